"""Forgetting a person: what only they could see is destroyed with its keys, and a leaf says that it was.

Where nobody of a case is left, its disclosures go with their data key. Where somebody is, the portions that only the
erased could see are cut out, and what remains is sealed anew under a new key, so that no copy of the old row opens
either. Leaves stay as they are: they commit to digests, and those whose content and salt are gone say nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_contracts.cloudevents import CloudEvent
from yijian_contracts.events import Event, PersonErased
from yijian_ledger.leaf import Leaf, LeafKind, make_leaf, new_salt
from yijian_messaging import Message, Rejected, Transaction

from data_exchange import ledger
from data_exchange.actions.consenting import hold_withdrawal
from data_exchange.actions.erasing_letters import erase_letters
from data_exchange.consents import withdrawn
from data_exchange.disclosures import open_sealed, seal
from data_exchange.forgetting import ERASURE_LOCK, REMEMBERED, note_roles
from data_exchange.owners import visible
from data_exchange.people import person_index
from data_exchange.telling import outgoing

AUDIENCE: Final = "data-exchange"

Told = Message[CloudEvent[Event]]


async def erase_people(
    transaction: Transaction[Connection], messages: Sequence[Told], *, keyring: Keyring
) -> list[Rejected]:
    """Forget these people, in the open transaction; what is no erasure is rejected."""
    rejected = []
    leaves: list[Leaf] = []
    # Alone: whoever writes something about people has finished, or will find these erasures.
    await transaction.connection.execute("SELECT pg_advisory_xact_lock($1)", ERASURE_LOCK)
    await hold_withdrawal(transaction.connection)
    for message in messages:
        match message.content.data:
            case PersonErased() as event:
                leaves += await _erase(transaction, event, keyring)
            case other:
                rejected.append(Rejected(message, f"{type(other).__name__} is no erasure"))
    await transaction.connection.execute("DELETE FROM erased_person WHERE erased_at < now() - $1::interval", REMEMBERED)
    await transaction.connection.execute("DELETE FROM erased_role WHERE erased_at < now() - $1::interval", REMEMBERED)
    await ledger.append(transaction.connection, leaves)
    return rejected


async def _erase(transaction: Transaction[Connection], event: PersonErased, keyring: Keyring) -> list[Leaf]:
    """Destroy what is kept of one person; the leaf that says so, unless it was said before or we never knew them."""
    ref = event.personal.refs.get(AUDIENCE)
    connection = transaction.connection
    if ref is None or await connection.fetchval("SELECT EXISTS (SELECT FROM erasure WHERE id = $1)", event.erasure_id):
        return []
    person, salt = person_index(keyring, ref), new_salt()
    await connection.execute(
        "INSERT INTO erasure (id, erased_at, salt) VALUES ($1, $2, $3)", event.erasure_id, event.erased_at, salt
    )
    await connection.execute(
        "INSERT INTO erased_person AS e (person, erased_at) VALUES ($1, $2)"
        " ON CONFLICT (person) DO UPDATE SET erased_at = greatest(e.erased_at, excluded.erased_at)",
        person,
        event.erased_at,
    )
    await _take_consents_back(transaction, person)
    touched = await _leave_cases(connection, person)
    destroyed = await _destroy(connection, touched.empty, keyring)
    cut = await _cut(connection, touched.others, keyring)
    await _note(connection, event.erasure_id, destroyed, whole=True)
    await _note(connection, event.erasure_id, cut, whole=False)
    await erase_letters(transaction, ref, keyring=keyring)
    return [
        make_leaf(
            event.erasure_id,
            LeafKind.ERASURE,
            erasure_details(event.erasure_id, event.erased_at, destroyed=destroyed, cut=cut),
            salt=salt,
        )
    ]


def erasure_details(
    erasure_id: UUID, erased_at: datetime, *, destroyed: Sequence[UUID], cut: Sequence[UUID]
) -> dict[str, Any]:
    """What an erasure's leaf commits to: when, and of which disclosures something is gone. Nobody's name in it."""
    return {
        "v": 1,
        "kind": "ERASURE",
        "id": str(erasure_id),
        "erased_at": erased_at.astimezone(UTC).isoformat(),
        "destroyed": sorted(str(one) for one in destroyed),
        "cut": sorted(str(one) for one in cut),
    }


async def _take_consents_back(transaction: Transaction[Connection], person: bytes) -> None:
    """Nothing rests on the word of somebody who is no longer there; approval hears of each that still counted."""
    rows = await transaction.connection.fetch(
        "DELETE FROM consent WHERE giver = $1 RETURNING id, case_id, basis, role, valid_until, withdrawn_at", person
    )
    now = datetime.now(UTC)
    await transaction.publish(
        [outgoing(withdrawn(row, now)) for row in rows if row["withdrawn_at"] is None and row["valid_until"] > now]
    )
    await note_roles(transaction.connection, [(row["case_id"], row["role"]) for row in rows])


@dataclass(frozen=True, slots=True)
class _Touched:
    """The cases that a person left: those where nobody remains, and who remains in the others, by their roles."""

    empty: tuple[UUID, ...]
    others: dict[UUID, frozenset[str]]


async def _leave_cases(connection: Connection, person: bytes) -> _Touched:
    left = await connection.fetch("DELETE FROM case_person WHERE person = $1 RETURNING case_id, role", person)
    cases = sorted({row["case_id"] for row in left})
    rows = await connection.fetch(
        "SELECT case_id, array_agg(DISTINCT role) AS roles FROM case_person WHERE case_id = ANY($1) GROUP BY case_id",
        cases,
    )
    others = {row["case_id"]: frozenset(row["roles"]) for row in rows}
    gone = [(row["case_id"], row["role"]) for row in left if row["role"] not in others.get(row["case_id"], ())]
    await note_roles(connection, gone)
    return _Touched(tuple(case for case in cases if case not in others), others)


async def _destroy(connection: Connection, cases: Sequence[UUID], keyring: Keyring) -> list[UUID]:
    """Everything of these cases, key first."""
    keys = await connection.fetch("DELETE FROM case_key WHERE case_id = ANY($1) RETURNING data_key", list(cases))
    for row in keys:
        keyring.forget(row["data_key"])
    rows = await connection.fetch("DELETE FROM disclosure WHERE case_id = ANY($1) RETURNING id", list(cases))
    return [row["id"] for row in rows]


async def _cut(connection: Connection, cases: dict[UUID, frozenset[str]], keyring: Keyring) -> list[UUID]:
    """Cut out of these cases what nobody who remains may see; returns the disclosures that lost something."""
    rows = await connection.fetch(
        "SELECT d.id, d.case_id, d.sealed, k.data_key FROM disclosure d JOIN case_key k ON k.case_id = d.case_id"
        " WHERE d.case_id = ANY($1) ORDER BY d.case_id, d.id",
        sorted(cases),
    )
    fresh = {case: keyring.new_data_key() for case in {row["case_id"] for row in rows}}
    cut, sealed = [], []
    for row in rows:
        opened = open_sealed(row["sealed"], disclosure_id=row["id"], data_key=keyring.unwrap(row["data_key"]))
        left = replace(opened, portions=visible(opened, cases[row["case_id"]]))
        if len(left.portions) < len(opened.portions):
            cut.append(row["id"])
        sealed.append(seal(left, disclosure_id=row["id"], data_key=fresh[row["case_id"]]))
    await connection.execute(
        "UPDATE disclosure d SET sealed = n.sealed FROM unnest($1::uuid[], $2::bytea[]) AS n(id, sealed)"
        " WHERE d.id = n.id",
        [row["id"] for row in rows],
        sealed,
    )
    await connection.execute(
        "UPDATE case_key k SET data_key = n.data_key FROM unnest($1::uuid[], $2::bytea[]) AS n(case_id, data_key)"
        " WHERE k.case_id = n.case_id",
        list(fresh),
        [key.wrapped for key in fresh.values()],
    )
    for row in rows:
        keyring.forget(row["data_key"])
    return cut


async def _note(connection: Connection, erasure_id: UUID, disclosures: Sequence[UUID], *, whole: bool) -> None:
    await connection.execute(
        "INSERT INTO erased_disclosure (disclosure_id, erasure_id, whole)"
        " SELECT id, $2, $3 FROM unnest($1::uuid[]) AS d(id)",
        list(disclosures),
        erasure_id,
        whole,
    )
