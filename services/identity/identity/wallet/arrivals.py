"""Recording what departments issued and registered: a batch of messages, a handful of statements.

The two events of a newborn come in either order. Until the register gives a number, a child is known by its place in
an application; the number then names the same child, or shows that it is one we know already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_contracts.cloudevents import CloudEvent
from yijian_contracts.events import DocumentIssued, Event, RelationRegistered
from yijian_messaging import Message, Rejected, Transaction

from identity.wallet.holders import FAMILY_PLACE, Holder, Holders, Parents, Place, Role, write_guardians
from identity.wallet.issuing import Issued, store_documents
from identity.wallet.merging import merge

Arrival = Message[CloudEvent[Event]]

ERASURES = 4_180_003
"""The advisory lock that batches share and an erasure holds alone: neither overlooks what the other just did."""

# What an application in flight still says of somebody who was erased comes within this time.
LATE = timedelta(days=1)


async def record_arrivals(
    transaction: Transaction[Connection], messages: Sequence[Arrival], *, keyring: Keyring
) -> list[Rejected]:
    """Put documents into wallets and make children known, in the open transaction.

    Returns the messages that contradict what is known: a child of an application with a second number.
    """
    held = transaction.connection
    await held.execute("SELECT pg_advisory_xact_lock_shared($1)", ERASURES)
    batch = _Batch(keyring, [(message, message.content.data) for message in messages])
    batch.erased = await _erased(held, list(batch.indexes.values()))
    await batch.holders.load(held, batch.places(), batch.indexes.values())
    for message, event in batch.events:
        error = batch.fold(event)
        if error is not None:
            batch.rejected.append(Rejected(message, error))
    await batch.holders.write(held)
    for newborn, person in batch.holders.merged.items():
        await merge(held, newborn, person)
    await write_guardians(held, batch.guardians_of_the_known())
    await store_documents(held, batch.issued_to_the_known(), keyring=keyring)
    return batch.rejected


async def _erased(held: Connection, indexes: Sequence[bytes]) -> dict[bytes, datetime]:
    """Those of these people who were erased and have not come back."""
    rows = await held.fetch(
        "SELECT person, erased_at FROM erased_person WHERE person = ANY($1)"
        " AND NOT EXISTS (SELECT FROM people WHERE id_index = person)",
        list(indexes),
    )
    return {row["person"]: row["erased_at"] for row in rows}


@dataclass(slots=True)
class _Batch:
    """What a batch comes to, gathered before it is written."""

    keyring: Keyring
    events: list[tuple[Arrival, Event]]
    holders: Holders = field(init=False)
    indexes: dict[str, bytes] = field(default_factory=dict)
    """Each number's keyed hash, computed once."""
    erased: Mapping[bytes, datetime] = field(default_factory=dict)
    guardians: dict[Holder, Parents] = field(default_factory=dict)
    issued: list[Issued] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.holders = Holders(self.keyring)
        for _, event in self.events:
            for number in _numbers(event):
                if number not in self.indexes:
                    self.indexes[number] = self.keyring.blind_index("id_no", number.upper())

    def places(self) -> list[Place]:
        return [place for _, event in self.events if (place := _place(event)) is not None]

    def fold(self, event: Event) -> str | None:
        """Take one event in; returns why it cannot be, or None."""
        match event:
            case DocumentIssued():
                return self._issue(event)
            case RelationRegistered():
                return self._register(event)
            case other:
                return f"{type(other).__name__} is not for the wallet"

    def _register(self, event: RelationRegistered) -> str | None:
        parts = event.personal
        if self._is_erased(parts.child_id_no, event.registered_at):
            return None
        place = Place(event.application_id, event.child)
        child = self._holder_at(place, parts.child_id_no)
        if child is None:
            return "this child of the application has another number already"
        self._guard(child, self._parents(parts.mother_id_no, parts.father_id_no, event.registered_at), registered=True)
        return None

    def _issue(self, event: DocumentIssued) -> str | None:
        owner, at = event.personal.owner, event.issued_at
        if owner.owner_id_no is not None and self._is_erased(owner.owner_id_no, at):
            return None
        parents = self._parents(owner.mother_id_no, owner.father_id_no, at)
        place = _place(event)
        if place is None and owner.owner_id_no is not None:
            person = self.holders.of_person(self.indexes[owner.owner_id_no], owner.owner_id_no)
            self.issued.append(Issued(event.document_id, event, person))
            return None
        if place is None or not (owner.owner_id_no or parents.by_index):
            return None  # everyone who could see it was erased
        holder = self._holder_at(place, owner.owner_id_no)
        if holder is None:
            return "this child of the application has another number already"
        self._guard(holder, parents, registered=False)
        self.issued.append(Issued(event.document_id, event, holder))
        return None

    def _holder_at(self, place: Place, number: str | None) -> Holder | None:
        if number is None:
            return self.holders.at(place)
        return self.holders.name(place, self.indexes[number], number.upper())

    def _is_erased(self, number: str, at: datetime) -> bool:
        erased_at = self.erased.get(self.indexes[number])
        return erased_at is not None and at < erased_at + LATE

    def _parents(self, mother: str, father: str | None, at: datetime) -> Parents:
        named = ((Role.MOTHER, mother), (Role.FATHER, father))
        kept = {
            self.indexes[number]: (role, number.upper())
            for role, number in named
            if number is not None and not self._is_erased(number, at)
        }
        return Parents(kept, at)

    def _guard(self, holder: Holder, parents: Parents, *, registered: bool) -> None:
        named = parents if registered else Parents(parents.by_index, None)
        known = self.guardians.get(holder)
        self.guardians[holder] = named if known is None else known.joined(named)

    def guardians_of_the_known(self) -> dict[Holder, Parents]:
        """What is known of each holder's parents, a newborn's joined to that of the person it turned out to be."""
        known: dict[Holder, Parents] = {}
        for holder, parents in self.guardians.items():
            person = self.holders.merged.get(holder, holder)
            known[person] = parents if person not in known else known[person].joined(parents)
        return known

    def issued_to_the_known(self) -> list[Issued]:
        merged = self.holders.merged
        return [replace(each, holder=merged[each.holder]) if each.holder in merged else each for each in self.issued]


def _numbers(event: Event) -> list[str]:
    found: tuple[str | None, ...] = ()
    match event:
        case DocumentIssued(personal=parts):
            found = (parts.owner.owner_id_no, parts.owner.mother_id_no, parts.owner.father_id_no)
        case RelationRegistered(personal=parts):
            found = (parts.child_id_no, parts.mother_id_no, parts.father_id_no)
    return [number for number in found if number is not None]


def _place(event: Event) -> Place | None:
    """The child or the family that an event is about; None for a person of their own."""
    match event:
        case RelationRegistered():
            return Place(event.application_id, event.child)
        case DocumentIssued(personal=parts) if parts.owner.child is not None:
            return Place(event.application_id, parts.owner.child)
        case DocumentIssued(personal=parts) if parts.owner.owner_id_no is None:
            return Place(event.application_id, FAMILY_PLACE)
        case _:
            return None
