"""While the ledger does not write down what was disclosed, nothing more is disclosed; everything else goes on."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaProducer
from approval import consumers
from approval.application import TaskState
from approval.presentation import HELD
from pydantic import SecretStr
from yijian_contracts import derived_ids
from yijian_contracts.cloudevents import encode
from yijian_contracts.events import MOST_COVERED, CheckpointSigned, DataDisclosed, Outcome, TaskRequested
from yijian_embedded.testing import Credentials, FreshDatabase, FreshTopics
from yijian_messaging import KafkaSettings
from yijian_messaging.kafka import build_producer
from yijian_messaging.settings import PRODUCTION
from yijian_messaging.testing import wait_until

from .bureaus import grant, reply, said, state
from .conftest import Service, serving, settings_of

pytestmark = [pytest.mark.postgres, pytest.mark.kafka, pytest.mark.timeout(90)]

LIMIT = timedelta(seconds=2)


class Ledger:
    """data-exchange as approval hears it: a topic of its own, silent until it is told to speak."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._size = 0

    async def covers(self, *disclosures: UUID) -> None:
        self._size += 1
        now = datetime.now(UTC)
        signed = CheckpointSigned(
            origin="test.ledger", size=self._size, checkpoint="signed", covered=disclosures, signed_at=now
        )
        event = encode(signed, source="data-exchange")
        headers = [(name, text.encode()) for name, text in event.headers.items()]
        await self._producer.send_and_wait(self._topic, event.value, key=event.key.encode(), headers=headers)

    async def covers_everything(self, service: Service) -> None:
        rows = await service.parts.pool.fetch("SELECT task_id FROM disclosure_uncovered")
        await self.covers(*(row["task_id"] for row in rows))


@pytest.fixture
async def ledger(
    fresh_topics: FreshTopics, kafka_credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Ledger]:
    (topic,) = fresh_topics("checkpoints", writers=("data-exchange",))
    monkeypatch.setattr(consumers, "CHECKPOINTS", topic)
    given = kafka_credentials("data-exchange")
    kafka = KafkaSettings(
        bootstrap=given.bootstrap,
        security_protocol=given.security_protocol,
        username=given.username,
        password=given.password,
    )
    producer: AIOKafkaProducer = build_producer(kafka, PRODUCTION)
    await producer.start()
    yield Ledger(producer, topic)
    await producer.stop()


class Town:
    """approval as one process after the other, over one database and its own group of readers."""

    def __init__(self, database_url: str, folder: Path, kafka_credentials: Credentials, group: str) -> None:
        self._running = ("intake", "ledger-coverage", "sweeper", group)
        given = kafka_credentials("approval")
        self._settings = settings_of(
            database_url,
            folder,
            kafka_bootstrap=given.bootstrap,
            kafka_username=given.username,
            kafka_password=SecretStr(given.password),
            kafka_security_protocol=given.security_protocol,
            ledger_limit_seconds=LIMIT.total_seconds(),
        )

    def process(self) -> AbstractAsyncContextManager[Service]:
        return serving(self._settings, running=self._running)


@pytest.fixture
def town(
    fresh_database: FreshDatabase,
    tmp_path: Path,
    kafka_credentials: Credentials,
    monkeypatch: pytest.MonkeyPatch,
) -> Town:
    group = f"approval.checkpoints.{uuid4().hex[:8]}"
    monkeypatch.setattr(consumers, "CHECKPOINTS_GROUP", group)
    return Town(fresh_database("approval"), tmp_path, kafka_credentials, group)


async def behind(service: Service) -> bool:
    return service.parts.effects.coverage.behind(datetime.now(UTC))


async def caught_up(service: Service) -> bool:
    return not await behind(service)


async def incidents(service: Service) -> list[str]:
    return [incident.kind for incident in await service.parts.store.incidents()]


async def requests(service: Service, application_id: UUID) -> list[str]:
    return [event.matter for event in await said(service, application_id, TaskRequested)]


async def test_what_the_ledger_does_not_write_down_is_followed_by_nothing(town: Town, ledger: Ledger):
    async with town.process() as service:
        first, mother = await service.accepted()
        assert await requests(service, first) == ["C1"]
        await wait_until(lambda: behind(service), what="the limit to pass")

        second, other = await service.accepted()
        assert await requests(service, second) == [], "accepted, and nobody asked"
        assert await said(service, second, DataDisclosed) == []
        shown = (await service.client.get(f"/v1/applications/{second}", headers=other)).json()
        assert shown["held"] == HELD
        assert {task["key"]: (task["state"], task["reason"]) for task in shown["tasks"]}["C1"] == ("DRAFT", HELD)
        lines = (await service.client.get(f"/v1/applications/{second}/timeline", headers=other)).json()
        assert [line["kind"] for line in lines] == ["SUBMITTED", "CONSENT_GIVEN", "TASK_HELD"]

        await wait_until(lambda: _told(service), what="the incident")
        assert (await service.client.get("/readyz")).status_code == 200

        (marriage,) = [t for t in (await state(service, first)).tasks if t.key == "C1"]
        await grant(service, first, marriage)
        after = {task.key: task for task in (await state(service, first)).tasks}
        assert after["C1"].state is TaskState.CLOSED, "what was decided is recorded"
        assert (after["B2-1"].state, after["B2-1"].held) == (TaskState.DRAFT, True)
        assert await requests(service, first) == ["C1"]

        await ledger.covers_everything(service)
        await wait_until(lambda: caught_up(service), what="the ledger to be known to have caught up")
        await wait_until(lambda: _asked(service, second, "C1"), what="the second's first task")
        await wait_until(lambda: _asked(service, first, "B2"), what="the first's next task")
        shown = (await service.client.get(f"/v1/applications/{first}", headers=mother)).json()
        assert shown["held"] is None
        assert await incidents(service) == []


async def _told(service: Service) -> bool:
    return await incidents(service) == ["ledger-behind"]


async def _asked(service: Service, application_id: UUID, matter: str) -> bool:
    return matter in await requests(service, application_id)


async def test_a_correction_is_accepted_and_asked_again_later(town: Town, ledger: Ledger):
    async with town.process() as service:
        application_id = UUID((await service.submit(101)).json()["id"])
        await reply(service, application_id, "C1", Outcome.APPROVED, personal={"outputs": {"marriage_verified": True}})
        pointer = "/newborns/0/weight_g"
        corrections = ({"pointer": pointer, "message": "请核对体重"},)
        await reply(service, application_id, "B2-1", Outcome.RETURNED, reason="请补正", corrections=corrections)
        await wait_until(lambda: behind(service), what="the limit to pass")

        body = {"task": "B2-1", "fields": [{"pointer": pointer, "value": 3333}]}
        headers = service.mother(101) | {"Idempotency-Key": uuid4().hex}
        answer = await service.client.post(f"/v1/applications/{application_id}/corrections", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        task = (await state(service, application_id)).find_task("B2-1")
        assert task is not None
        assert (task.state, task.held, task.attempt) == (TaskState.DRAFT, True, 2)

        await ledger.covers_everything(service)
        await wait_until(lambda: _asked_again(service, application_id), what="the second attempt")
        (_, asked) = [e for e in await said(service, application_id, TaskRequested) if e.matter == "B2"]
        assert (asked.attempt, asked.personal.fields["weight_g"]) == (2, 3333)


async def _asked_again(service: Service, application_id: UUID) -> bool:
    return (await requests(service, application_id)).count("B2") == 2


async def test_a_process_that_starts_in_between_holds_and_goes_on_as_well(town: Town, ledger: Ledger):
    async with town.process() as service:
        await service.accepted()
        await wait_until(lambda: behind(service), what="the limit to pass")
        waiting, _ = await service.accepted()
    async with town.process() as service:
        assert await behind(service), "known before the first request"
        assert await requests(service, waiting) == []
        await ledger.covers_everything(service)
        await wait_until(lambda: _asked(service, waiting, "C1"), what="the held task")
        assert await incidents(service) == [], "opened by the process before"


async def test_a_withdrawn_application_that_was_held_tells_no_department(town: Town, ledger: Ledger):
    async with town.process() as service:
        await service.accepted()
        await wait_until(lambda: behind(service), what="the limit to pass")
        waiting, mother = await service.accepted()
        answer = await service.client.post(f"/v1/applications/{waiting}/withdrawal", headers=mother)
        assert answer.json()["status"] == "WITHDRAWN"
        await ledger.covers_everything(service)
        await wait_until(lambda: caught_up(service), what="the ledger to have caught up")
        next_one, _ = await service.accepted()
        await wait_until(lambda: _asked(service, next_one, "C1"), what="business as usual")
        topics = await service.parts.pool.fetch("SELECT DISTINCT topic FROM outbox WHERE key = $1", str(waiting))
        told = {row["topic"] for row in topics}
        assert "approval.disclosures" not in told
        assert not any(topic.startswith("department.") for topic in told)


async def test_what_was_covered_before_it_was_written_again_is_not_waited_for(town: Town, ledger: Ledger):
    """After a restore from a backup the checkpoint may be read again before the disclosure is written again."""
    async with town.process() as service:
        application_id, _ = await service.accepted()
        certificate = derived_ids.task_id(application_id, child=1, matter="B2", attempt=1)
        await ledger.covers(certificate, certificate)
        await wait_until(lambda: _remembered(service), what="the early checkpoint")

        (marriage,) = [t for t in (await state(service, application_id)).tasks if t.key == "C1"]
        await grant(service, application_id, marriage)
        disclosed = {event.matter for event in await said(service, application_id, DataDisclosed)}
        assert "B2" in disclosed
        waiting = {row["task_id"] for row in await service.parts.pool.fetch("SELECT task_id FROM disclosure_uncovered")}
        assert certificate not in waiting
        assert len(waiting) == len(disclosed) - 1


async def _remembered(service: Service) -> bool:
    return await service.count("disclosure_covered_early") == 1


async def test_a_checkpoint_that_covers_most_is_one_statement_of_look_ups(town: Town, ledger: Ledger):
    async with town.process() as service:
        pool = service.parts.pool
        await pool.execute(
            "INSERT INTO disclosure_uncovered SELECT gen_random_uuid(), now() FROM generate_series(1, $1::int)",
            MOST_COVERED,
        )
        await ledger.covers_everything(service)
        await wait_until(lambda: _empty(service), what="ten thousand to be covered", within=10)
        assert await service.count("disclosure_covered_early") == 0


async def _empty(service: Service) -> bool:
    return await service.count("disclosure_uncovered") == 0
