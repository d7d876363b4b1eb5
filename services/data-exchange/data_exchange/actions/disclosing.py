"""Writing down what was disclosed: the details for the people concerned, the leaf for everyone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from yijian_common.crypto import DataKey, Keyring
from yijian_common.database import Connection
from yijian_contracts.cloudevents import CloudEvent
from yijian_contracts.events import DataDisclosed, DocumentShown, Event
from yijian_ledger.leaf import LeafKind, commit, leaf_of
from yijian_messaging import Message, Rejected, Transaction

from data_exchange import ledger
from data_exchange.disclosures import (
    Disclosure,
    Opened,
    of_data_disclosed,
    of_document_shown,
    seal,
    store_new,
    write_out,
)
from data_exchange.forgetting import find_forgotten, note_never_kept, note_roles
from data_exchange.owners import visible
from data_exchange.people import person_index

Told = Message[CloudEvent[Event]]


async def record_disclosures(
    transaction: Transaction[Connection], messages: Sequence[Told], *, keyring: Keyring
) -> list[Rejected]:
    """Store each disclosure once, with one leaf, in the open transaction; what is none is rejected.

    Of people who were erased meanwhile nothing is stored; the leaf is there all the same.
    """
    rejected = []
    found: dict[UUID, Disclosure] = {}
    for message in messages:
        match message.content.data:
            case DataDisclosed() as event:
                found.setdefault(event.task_id, of_data_disclosed(event))
            case DocumentShown() as event:
                found.setdefault(event.disclosure_id, of_document_shown(event))
            case other:
                rejected.append(Rejected(message, f"{type(other).__name__} is no disclosure"))
    if found:
        await _record(transaction.connection, list(found.values()), keyring)
    return rejected


@dataclass(frozen=True, slots=True)
class _Entry:
    """A disclosure on its way into the tables: what its leaf commits to, and for whom of its people it is kept."""

    disclosure: Disclosure
    opened: Opened
    people: tuple[tuple[str, bytes], ...]


async def _record(connection: Connection, disclosures: Sequence[Disclosure], keyring: Keyring) -> None:
    entries = await _for_whom(connection, disclosures, keyring)
    kept = [entry for entry in entries if entry.people]
    keys = await _case_keys(connection, {entry.disclosure.case_id for entry in kept}, keyring)
    sealed = {
        entry.disclosure.id: seal(
            entry.opened, disclosure_id=entry.disclosure.id, data_key=keys[entry.disclosure.case_id]
        )
        for entry in kept
    }
    new = await store_new(connection, disclosures, sealed)
    await _note_people(connection, [entry for entry in kept if entry.disclosure.id in new])
    leaves = [
        leaf_of(entry.disclosure.id, LeafKind.DISCLOSURE, commit(entry.opened.details.text, salt=entry.opened.salt))
        for entry in entries
        # Of what is kept for nobody there is the leaf alone; it is not appended again.
        if entry.disclosure.id in new or not entry.people
    ]
    places = await ledger.append(connection, leaves)
    await note_never_kept(
        connection, [entry.disclosure.id for entry in entries if not entry.people and entry.disclosure.id in places]
    )


async def _for_whom(connection: Connection, disclosures: Sequence[Disclosure], keyring: Keyring) -> list[_Entry]:
    """The disclosures without the people who were erased since, and without what only those could have seen."""
    refs = {ref for disclosure in disclosures for _, ref in disclosure.people}
    known = {ref: person_index(keyring, ref) for ref in refs}
    forgotten = await find_forgotten(connection, known.values(), {disclosure.case_id for disclosure in disclosures})
    entries, gone = [], []
    for disclosure in disclosures:
        everyone = [(role, known[ref]) for role, ref in disclosure.people]
        people = tuple(
            (role, person)
            for role, person in everyone
            if not forgotten.covers(person, case_id=disclosure.case_id, role=role, said_at=disclosure.disclosed_at)
        )
        opened = write_out(disclosure)
        if len(people) < len(everyone):
            roles = {role for role, _ in people}
            opened = replace(opened, portions=visible(opened, roles))
            gone += [(disclosure.case_id, role) for role, _ in everyone if role not in roles]
        entries.append(_Entry(disclosure, opened, people))
    if gone:
        await note_roles(connection, gone)
    return entries


async def _case_keys(connection: Connection, cases: Iterable[UUID], keyring: Keyring) -> Mapping[UUID, DataKey]:
    """The data key of each case, made where there is none; in the order of ids: batches never wait crosswise."""
    ordered = sorted(cases)
    known = await connection.fetch("SELECT case_id, data_key FROM case_key WHERE case_id = ANY($1)", ordered)
    keys = {row["case_id"]: keyring.unwrap(row["data_key"]) for row in known}
    fresh = {case: keyring.new_data_key() for case in ordered if case not in keys}
    if fresh:
        rows = await connection.fetch(
            """
            INSERT INTO case_key AS k (case_id, data_key) SELECT * FROM unnest($1::uuid[], $2::bytea[])
            ON CONFLICT (case_id) DO UPDATE SET data_key = k.data_key RETURNING case_id, data_key
            """,
            list(fresh),
            [key.wrapped for key in fresh.values()],
        )
        keys |= {row["case_id"]: keyring.unwrap(row["data_key"]) for row in rows}
    return keys


async def _note_people(connection: Connection, entries: Sequence[_Entry]) -> None:
    rows = sorted({(person, entry.disclosure.case_id, role) for entry in entries for role, person in entry.people})
    await connection.execute(
        """
        INSERT INTO case_person (person, case_id, role) SELECT * FROM unnest($1::bytea[], $2::uuid[], $3::text[])
        ON CONFLICT DO NOTHING
        """,
        [person for person, _, _ in rows],
        [case for _, case, _ in rows],
        [role for _, _, role in rows],
    )
