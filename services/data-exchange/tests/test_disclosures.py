"""What was disclosed is written down once: details for the people concerned, a leaf for everyone."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from data_exchange.actions.disclosing import record_disclosures
from data_exchange.disclosures import open_sealed
from data_exchange.people import person_index
from yijian_contracts.cloudevents import CloudEvent
from yijian_contracts.events import DataDisclosed, DocumentShown, Event, SessionsEnded
from yijian_ledger.canonical import Written
from yijian_ledger.leaf import LeafKind, opens, read_leaf
from yijian_ledger.portions import Portion, opens_with
from yijian_messaging import Message, Record, Rejected

from .conftest import Service

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
MOTHER, FATHER = "m" * 43, "f" * 43


def disclosed(**changes: Any) -> DataDisclosed:
    """What went to public security for one household registration."""
    told = {
        "application_id": uuid4(),
        "life_event": "birth",
        "department": "public-security",
        "task_id": uuid4(),
        "matter": "B4",
        "child": 1,
        "purpose": "出生登记",
        "people": [{"role": "MOTHER", "ref": MOTHER}, {"role": "FATHER", "ref": FATHER}],
        "guardians": ["MOTHER", "FATHER"],
        "parts": [
            {
                "basis": {"kind": "LAW", "reference": "户口登记条例第七条"},
                "concerns": ["MOTHER"],
                "fields": [{"name": "mother_name", "title": "母亲姓名", "source": "form"}],
            }
        ],
        "disclosed_at": NOW,
        **changes,
    }
    return DataDisclosed.model_validate(told)


def shown() -> DocumentShown:
    basis = {"kind": "CONSENT", "reference": "本人出示"}
    field = {"name": "birth_cert_no", "title": "出生医学证明编号", "source": "wallet"}
    return DocumentShown.model_validate(
        {
            "disclosure_id": uuid4(),
            "recipient": "某幼儿园",
            "purpose": "入园登记",
            "kind": "birth-certificate",
            "name": "出生医学证明",
            "people": [MOTHER],
            "part": {"basis": basis, "concerns": ["CHILD"], "fields": [field]},
            "shown_at": NOW,
        }
    )


def message(event: Event) -> Message[CloudEvent[Event]]:
    told = CloudEvent(id=str(event.event_id), source="/approval", time=NOW, data=event)
    record = Record(event.topic, 0, 0, event.key.encode(), b"", (), 0)
    return Message(told.id, told, record)


async def record(service: Service, *events: Event) -> list[Rejected]:
    async with service.parts.store.transaction() as transaction:
        messages = [message(event) for event in events]
        return await record_disclosures(transaction, messages, keyring=service.parts.keyring)


async def test_details_are_sealed_and_the_leaf_commits_to_them(service: Service):
    event = disclosed()
    assert await record(service, event) == []

    row = await service.parts.pool.fetchrow("SELECT * FROM disclosure NATURAL JOIN case_key")
    leaf = await service.parts.pool.fetchrow("SELECT * FROM ledger.leaf")
    assert row is not None
    assert leaf is not None
    assert row["case_id"] == event.application_id
    opened = open_sealed(row["sealed"], disclosure_id=row["id"], data_key=service.parts.keyring.unwrap(row["data_key"]))
    (portion,) = opened.portions
    assert portion.content.value["concerns"] == ["MOTHER"]
    assert portion.content.value["fields"][0]["title"] == "母亲姓名"
    content = read_leaf(leaf["data"])
    assert (leaf["index"], leaf["id"], content.kind) == (0, event.task_id, LeafKind.DISCLOSURE)
    assert opens_with(content, opened.details.value, salt=opened.salt, portions=opened.portions)
    assert not opens(content, {**opened.details.value, "purpose": "别的用途"}, salt=opened.salt)


async def test_each_person_can_be_shown_their_own_fields_and_can_check_them_alone(service: Service):
    basis = {"kind": "LAW", "reference": "户口登记条例第七条"}
    names = {"mother_name": ["MOTHER"], "father_name": ["FATHER"], "address": ["FATHER", "MOTHER"]}
    parts = [
        {"basis": basis, "concerns": roles, "fields": [{"name": name, "title": name, "source": "form"}]}
        for name, roles in names.items()
    ]
    event = disclosed(parts=parts)
    await record(service, event)
    row = await service.parts.pool.fetchrow("SELECT * FROM disclosure NATURAL JOIN case_key")
    assert row is not None
    opened = open_sealed(row["sealed"], disclosure_id=row["id"], data_key=service.parts.keyring.unwrap(row["data_key"]))
    content = read_leaf(await service.parts.pool.fetchval("SELECT data FROM ledger.leaf"))
    assert "_name" not in str(opened.details)

    hers = [portion for portion in opened.portions if "MOTHER" in portion.content.value["concerns"]]
    assert len(hers) == 2
    assert opens_with(content, opened.details.value, salt=opened.salt, portions=hers)
    told = hers[0].content.value
    forged = Portion(Written.of({**told, "fields": [{**told["fields"][0], "title": "别的"}]}), hers[0].salt)
    assert not opens_with(content, opened.details.value, salt=opened.salt, portions=[forged])


async def test_neither_leaf_nor_tables_tell_who_it_was_about(service: Service):
    event = disclosed()
    await record(service, event)
    tables = ("disclosure", "case_key", "case_person", "ledger.leaf")
    for table in tables:
        stored = str(await service.parts.pool.fetch(f"SELECT * FROM {table}"))  # noqa: S608 - our own names
        assert MOTHER not in stored
        assert "母亲" not in stored
    leaf: bytes = await service.parts.pool.fetchval("SELECT data FROM ledger.leaf")
    assert str(event.application_id).encode() not in leaf


async def test_the_people_of_a_case_are_found_by_their_reference(service: Service):
    first, second = disclosed(), shown()
    await record(service, first, second)
    found = await service.parts.pool.fetch(
        "SELECT case_id, role FROM case_person WHERE person = $1", person_index(service.parts.keyring, MOTHER)
    )
    assert {(row["case_id"], row["role"]) for row in found} == {
        (first.application_id, "MOTHER"),
        (second.disclosure_id, "OWNER"),
    }


async def test_the_same_disclosure_has_one_leaf_however_often_it_is_told(service: Service):
    event = disclosed()
    again = disclosed(application_id=event.application_id, task_id=event.task_id, purpose="改过的用途")
    await record(service, event, event)
    await record(service, again, disclosed(application_id=event.application_id))
    assert await service.count("ledger.leaf") == await service.count("disclosure") == 2
    assert await service.count("case_key") == 1


async def test_places_have_no_gap_after_a_batch_that_failed(service: Service):
    await record(service, disclosed(), disclosed())
    with pytest.raises(asyncpg.PostgresError):
        async with service.parts.store.transaction() as transaction:
            await record_disclosures(transaction, [message(disclosed())], keyring=service.parts.keyring)
            await transaction.connection.execute("SELECT 1 / 0")
    await record(service, disclosed())
    places = await service.parts.pool.fetch("SELECT index FROM ledger.leaf ORDER BY index")
    assert [row["index"] for row in places] == [0, 1, 2]


async def test_what_is_no_disclosure_is_rejected_and_its_neighbours_stay(service: Service):
    odd = SessionsEnded(subject=UUID(int=1), ended_at=NOW)
    (rejected,) = await record(service, disclosed(), odd)
    assert rejected.error == "SessionsEnded is no disclosure"
    assert await service.count("ledger.leaf") == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger.leaf SET data = data",
        "DELETE FROM ledger.leaf",
        "TRUNCATE ledger.leaf",
        "ALTER TABLE ledger.leaf DISABLE TRIGGER ALL",
        "ALTER TABLE ledger.leaf ALTER COLUMN data DROP NOT NULL",
        "DROP TABLE ledger.cosignature",
        "CREATE TABLE ledger.other (id int)",
        "SET ROLE ledger",
    ],
)
async def test_the_service_may_read_and_add_and_nothing_else(service: Service, change: str):
    await record(service, disclosed())
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await service.parts.pool.execute(change)
