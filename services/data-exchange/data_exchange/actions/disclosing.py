"""Writing down what was disclosed: the details for the people concerned, the leaf for everyone."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from yijian_common.crypto import DataKey, Keyring
from yijian_common.database import Connection
from yijian_contracts.cloudevents import CloudEvent
from yijian_contracts.events import DataDisclosed, DocumentShown, Event
from yijian_ledger.leaf import LeafKind, make_leaf, new_salt
from yijian_ledger.portions import in_portions
from yijian_messaging import Message, Rejected, Transaction

from data_exchange import ledger
from data_exchange.disclosures import Disclosure, Opened, of_data_disclosed, of_document_shown, seal, store_new
from data_exchange.people import person_index

Told = Message[CloudEvent[Event]]


async def record_disclosures(
    transaction: Transaction[Connection], messages: Sequence[Told], *, keyring: Keyring
) -> list[Rejected]:
    """Store each disclosure once, with one leaf, in the open transaction; what is none is rejected."""
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


async def _record(connection: Connection, disclosures: Sequence[Disclosure], keyring: Keyring) -> None:
    keys = await _case_keys(connection, {disclosure.case_id for disclosure in disclosures}, keyring)
    opened = {disclosure.id: _in_portions(disclosure) for disclosure in disclosures}
    sealed = {
        disclosure.id: seal(opened[disclosure.id], disclosure_id=disclosure.id, data_key=keys[disclosure.case_id])
        for disclosure in disclosures
    }
    new = await store_new(connection, disclosures, sealed)
    await _note_people(connection, [disclosure for disclosure in disclosures if disclosure.id in new], keyring)
    leaves = [
        make_leaf(disclosure.id, LeafKind.DISCLOSURE, opened[disclosure.id].details, salt=opened[disclosure.id].salt)
        for disclosure in disclosures
        if disclosure.id in new
    ]
    await ledger.append(connection, leaves)


def _in_portions(disclosure: Disclosure) -> Opened:
    details, portions = in_portions(disclosure.head, disclosure.contents)
    return Opened(details, new_salt(), tuple(portions))


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


async def _note_people(connection: Connection, disclosures: Sequence[Disclosure], keyring: Keyring) -> None:
    rows = sorted(
        {
            (person_index(keyring, ref), disclosure.case_id, role)
            for disclosure in disclosures
            for role, ref in disclosure.people
        }
    )
    await connection.execute(
        """
        INSERT INTO case_person (person, case_id, role) SELECT * FROM unnest($1::bytea[], $2::uuid[], $3::text[])
        ON CONFLICT DO NOTHING
        """,
        [person for person, _, _ in rows],
        [case for _, case, _ in rows],
        [role for _, _, role in rows],
    )
