"""What comes twice, in another order, from the wrong sender or as nonsense changes nothing, and nothing is lost."""

import json
import random
from typing import Any
from uuid import uuid4

import pytest
from yijian_contracts.cloudevents import decode, encode
from yijian_contracts.departments import departments, get_department
from yijian_contracts.events import Outcome, TaskAnswered
from yijian_messaging.testing import wait_until

from tests.e2e.broker import Read, read_all
from tests.faults.births import Births

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def results_of(births: Births, department: str) -> list[Read]:
    topic = get_department(department).results_topic
    records = read_all(births.city.platform.kafka_credentials("approval"), topic)
    ours = {str(application).encode() for application in births.accepted}
    return [record for record in records if record.key in ours]


def answer_of(births: Births, department: str, matter: str) -> TaskAnswered:
    events = (decode(record.headers, record.value).data for record in results_of(births, department))
    return next(event for event in events if isinstance(event, TaskAnswered) and event.matter == matter)


def state(births: Births) -> list[dict[str, Any]]:
    return births.city.query("approval", "SELECT * FROM application WHERE id = ANY(%s) ORDER BY id", [*births.accepted])


async def is_read(births: Births) -> None:
    """Wait until approval has handled everything that its topics hold."""
    await wait_until(births.at_rest, what="approval to read its topics to their ends", within=30)


async def test_answers_that_come_three_times_and_shuffled_change_nothing(births: Births, seed: int):
    chance = random.Random(seed)  # noqa: S311 - tests, not secrets
    await births.apply(3)
    await births.settled_once()
    before = state(births)
    letters = births.dead_letters()

    for department in departments():
        again = results_of(births, department) * 3
        chance.shuffle(again)
        for record in again:
            assert record.key is not None
            assert record.value is not None
            # Half of them under another key, as a client that partitions differently would send them.
            key = record.key if chance.random() < 0.5 else uuid4().hex.encode()
            births.city.produce(department, value=record.value, key=key, headers=dict(record.headers))
    more = await births.apply(2)
    await births.all_granted()
    await is_read(births)

    assert [row for row in state(births) if row["id"] not in more] == before
    assert births.dead_letters() == letters


async def test_nonsense_becomes_dead_letters_and_its_neighbours_go_on(births: Births):
    await births.apply(1)
    await births.all_granted()
    good = encode(answer_of(births, "health", "B2"), source="department.health")
    headers = {name: text.encode() for name, text in good.headers.items()}
    data = json.loads(good.value)
    poison: list[tuple[bytes, dict[str, bytes]]] = [
        (b"", headers),
        (b"\xff\xfe\x00", headers),
        (good.value[:-7], headers),
        (good.value, {}),
        (good.value, {name: text for name, text in headers.items() if name != "ce_id"}),
        (good.value, {name: text for name, text in headers.items() if name != "ce_type"}),
        (good.value, headers | {"ce_type": b"gov.city.department.task-answered.v2"}),
        (good.value, headers | {"ce_type": b"gov.city.department.nothing-we-know.v1"}),
        (good.value, headers | {"ce_specversion": b"0.3"}),
        (good.value, headers | {"ce_type": b"\xff\xfe"}),
        (good.value, headers | {"ce_subject": str(uuid4()).encode()}),
        (good.value, headers | {"ce_time": b"yesterday"}),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, headers),
        (b"[" * 10_000 + b"]" * 10_000, headers),
        (b'{"application_id": NaN}', headers),
        (b'{"application_id": Infinity}', headers),
        (b'{"application_id": 9223372036854775808}', headers),
        (b'{"application_id": ' + b"9" * 10_000 + b"}", headers),
        (b'{"application_id": "a", "application_id": "b"}', headers),
        (b"null", headers),
        (b"[]", headers),
        (b'"text"', headers),
        (b"x" * 900_000, headers),
        (json.dumps({**data, "department": "taxation"}).encode(), headers),
        (json.dumps({**data, "application_id": str(uuid4())}).encode(), _other_subject(headers)),
        (json.dumps({**data, "outcome": "PERHAPS"}).encode(), headers),
        (json.dumps({**data, "decided_at": "2026-02-30T00:00:00Z"}).encode(), headers),
        (json.dumps({**data, "task_id": 1}).encode(), headers),
        (json.dumps({**data, "reason": "x\x00y"}).encode(), headers | {"ce_id": uuid4().hex.encode()}),
        (json.dumps({**data, "reason": "\ud800"}).encode(), headers | {"ce_id": uuid4().hex.encode()}),
        (json.dumps({**data, "reason": "x" * 100_000}).encode(), headers | {"ce_id": uuid4().hex.encode()}),
        (json.dumps({**data, "personal": {"outputs": {"number": 1}}}).encode(), headers | {"ce_id": b"another"}),
        (
            json.dumps({**data, "reason": "?"}).replace('"?"', "1e999").encode(),
            headers | {"ce_id": uuid4().hex.encode()},
        ),
    ]
    before = births.dead_letters()
    incidents = open_incidents(births, "dead-letter")

    for number, (value, its_headers) in enumerate(poison):
        births.city.produce("health", value=value, key=f"poison-{number}".encode(), headers=its_headers)
    await births.apply(2)
    await births.all_granted()
    await is_read(births)

    assert births.dead_letters() == before + len(poison)
    assert open_incidents(births, "dead-letter") == incidents + len(poison)
    assert births.city.platform.process("approval") is not None


async def test_nonsense_among_a_departments_tasks_becomes_dead_letters_there(births: Births):
    (application,) = await births.apply(1)
    await births.all_granted()
    topic = get_department("disease-control").tasks_topic
    records = read_all(births.city.platform.kafka_credentials("department.disease-control"), topic)
    good = next(record for record in records if record.key == str(application).encode())
    headers, data = dict(good.headers), json.loads(good.value)
    poison: list[tuple[bytes, dict[str, bytes]]] = [
        (b"", headers),
        (b"\xff\xfe\x00", headers),
        (good.value[:-7], headers),
        (good.value, {}),
        (good.value, headers | {"ce_type": b"gov.city.approval.task-requested.v2"}),
        (b"[" * 10_000 + b"]" * 10_000, headers),
        (b'{"attempt": NaN}', headers),
        (json.dumps({**data, "attempt": 0}).encode(), headers),
        (json.dumps({**data, "department": "taxation"}).encode(), headers),
    ]
    before = births.dead_letters()

    for number, (value, its_headers) in enumerate(poison):
        births.city.ask("disease-control", value=value, key=f"poison-{number}".encode(), headers=its_headers)
    await births.apply(1)
    await births.all_granted()

    async def are_buried() -> bool:
        return births.dead_letters() == before + len(poison)

    await wait_until(are_buried, what="a dead letter for each")


def _other_subject(headers: dict[str, bytes]) -> dict[str, bytes]:
    return {name: text for name, text in headers.items() if name != "ce_subject"} | {"ce_id": uuid4().hex.encode()}


def open_incidents(births: Births, kind: str) -> int:
    found = births.city.query(
        "approval", "SELECT count(*) AS n FROM incident WHERE kind = %s AND closed_at IS NULL", kind
    )
    count: int = found[0]["n"]
    return count


async def test_a_second_answer_that_differs_changes_nothing_and_is_an_incident(births: Births):
    await births.apply(1)
    await births.all_granted()
    before = state(births)
    first = answer_of(births, "health", "B2")
    other = first.model_copy(update={"outcome": Outcome.REJECTED, "reason": "不再同意", "personal": None})
    other = TaskAnswered.model_validate(other.model_dump(exclude_none=True))
    encoded = encode(other, source="department.health")
    headers = {name: text.encode() for name, text in encoded.headers.items()} | {"ce_id": uuid4().hex.encode()}
    births.city.produce("health", value=encoded.value, key=encoded.key.encode(), headers=headers)
    await is_read(births)

    after = state(births)
    assert after[0]["status"] == before[0]["status"]
    assert json.loads(after[0]["state"])["tasks"] == json.loads(before[0]["state"])["tasks"]
    kinds = births.city.query("approval", "SELECT kind FROM incident WHERE subject = %s", str(first.task_id))
    assert len(kinds) == 1


async def test_an_answer_by_another_departments_topic_is_a_dead_letter(births: Births):
    (application,) = await births.apply(1)
    await births.all_granted()
    encoded = encode(answer_of(births, "health", "B2"), source="department.taxation")
    letters = births.dead_letters()
    headers = {name: text.encode() for name, text in encoded.headers.items()} | {"ce_id": uuid4().hex.encode()}
    births.city.produce("taxation", value=encoded.value, key=str(application).encode(), headers=headers)
    await is_read(births)
    assert births.dead_letters() == letters + 1
