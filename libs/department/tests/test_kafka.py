"""A department on a real broker: what approval asks is answered once, across a crash and repeated requests."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiokafka import AIOKafkaConsumer
from yijian_common.crypto import Keyring, new_key_file
from yijian_contracts.cloudevents import decode, encode
from yijian_contracts.events import Event, TaskAnswered, TaskReceived, TaskRequested
from yijian_department.matters import Definition
from yijian_department.office import Office
from yijian_department.process import decode_task
from yijian_department.testing import cancellation, sample_task
from yijian_messaging import Consumer, KafkaSettings, Relay, Tuning
from yijian_messaging.kafka import build_producer, build_tail, discard_producer
from yijian_messaging.testing import wait_until

FAST = Tuning(batch_records=50, tries=3, retry_pause=0.01)

pytestmark = pytest.mark.kafka


@pytest.fixture
def tasks_topic(fresh_topics: Any) -> str:
    (topic,) = fresh_topics("tasks", partitions=3, writers=("approval",), readers=("department.health",))
    return str(topic)


@pytest.fixture
def reach(kafka_credentials: Any) -> Any:
    def settings(principal: str) -> KafkaSettings:
        given = kafka_credentials(principal)
        return KafkaSettings(
            bootstrap=given.bootstrap,
            security_protocol=given.security_protocol,
            username=given.username,
            password=given.password,
        )

    return settings


class Ear:
    """What health says from now on, as approval hears it: events with their ids, in the order of arrival."""

    def __init__(self, tail: AIOKafkaConsumer) -> None:
        self._tail = tail
        self.heard: list[tuple[str, Event]] = []

    async def listen_until(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not enough():
                for records in (await self._tail.getmany(timeout_ms=100)).values():
                    for record in records:
                        event = decode(record.headers, record.value)
                        self.heard.append((event.id, event.data))

    def about(self, *tasks: TaskRequested) -> list[tuple[str, Event]]:
        wanted = {task.application_id for task in tasks}
        return [(id_, event) for id_, event in self.heard if event.application_id in wanted]

    def answers(self, *tasks: TaskRequested) -> list[tuple[str, TaskAnswered]]:
        return [(id_, event) for id_, event in self.about(*tasks) if isinstance(event, TaskAnswered)]


@pytest.fixture
async def ear(reach: Any) -> AsyncIterator[Ear]:
    tail = build_tail(reach("approval"))
    await tail.start()
    tail.subscribe(["department.health.results"])

    async def has_partitions() -> bool:
        return bool(tail.assignment())

    await wait_until(has_partitions, what="partitions of the results topic")
    await tail.seek_to_end()
    yield Ear(tail)
    await tail.stop()


async def send(settings: KafkaSettings, topic: str, events: Iterable[Event]) -> None:
    producer = build_producer(settings, FAST)
    await producer.start()
    try:
        for event in events:
            encoded = encode(event, source="approval")
            headers = [(name, text.encode()) for name, text in encoded.headers.items()]
            await producer.send(topic, encoded.value, key=encoded.key.encode(), headers=headers)
        await producer.flush()
    finally:
        await discard_producer(producer)


@asynccontextmanager
async def at_work(
    definition: Definition[Any], folder: Path, settings: KafkaSettings, topic: str, *, crash: bool = False
) -> AsyncIterator[Office[Any]]:
    """The department as its process runs it; `crash` ends it without a word instead of stopping it."""
    keys = folder / "keys.json"
    if not keys.exists():
        keys.write_text(new_key_file())
    office = await Office.open(definition, database=folder / "health.db", keyring=Keyring.load(keys))
    consumer = Consumer(
        group=f"department.health.{topic[-12:]}",
        topics=[topic],
        store=office.store,
        kafka=settings,
        decode=partial(decode_task, "health"),
        handle=office.handling.receive,
        tuning=FAST,
    )
    relay = Relay(store=office.store, kafka=settings, tuning=FAST)
    stopping = asyncio.Event()
    loops = [asyncio.create_task(part.run(stopping)) for part in (consumer, office.scheduler, relay)]
    try:
        yield office
    finally:
        if crash:
            for loop in loops:
                loop.cancel()
        stopping.set()
        for loop in loops:
            with suppress(asyncio.CancelledError):
                await asyncio.wait_for(loop, 15)
        await office.close()


async def test_every_task_is_answered_once_across_a_crash_and_repeated_requests(
    definition: Definition[Any], tmp_path: Path, reach: Any, tasks_topic: str, ear: Ear
):
    tasks = [sample_task("L1", {"reader_id_no": f"reader-{n}"}) for n in range(300)]
    health = reach("department.health")

    await send(reach("approval"), tasks_topic, tasks[:200])
    async with at_work(definition, tmp_path, health, tasks_topic, crash=True):
        await ear.listen_until(lambda: len(ear.answers(*tasks)) >= 60)
    await send(reach("approval"), tasks_topic, [*tasks[150:], *tasks[:50]])
    async with at_work(definition, tmp_path, health, tasks_topic) as office:
        # The first fifty are asked again and told the same once more.
        await ear.listen_until(lambda: {answer.task_id for _, answer in ear.answers(*tasks)} == ids(tasks))
        await ear.listen_until(lambda: len(ear.answers(*tasks[:50])) >= 100)
        assert office.records.count() == 300

    said = {(id_, answer.model_dump_json()) for id_, answer in ear.answers(*tasks)}
    assert len(said) == 300


async def test_a_cancelled_task_is_not_decided_and_a_waiting_one_is_decided_later(
    definition: Definition[Any], tmp_path: Path, reach: Any, tasks_topic: str, ear: Ear
):
    cancelled, waiting = sample_task("L1", {"reader_id_no": "A"}), sample_task("L2", {"amount": 400})
    await send(reach("approval"), tasks_topic, [cancellation(cancelled), cancelled, waiting])
    async with at_work(definition, tmp_path, reach("department.health"), tasks_topic) as office:
        await ear.listen_until(lambda: len(ear.about(waiting)) == 1)
        await office.happened(waiting.task_id)
        await ear.listen_until(lambda: len(ear.about(waiting)) == 2)
        assert office.records.count() == 0

    assert [type(event) for _, event in ear.about(waiting)] == [TaskReceived, TaskAnswered]
    assert ear.about(cancelled) == []


async def test_two_processes_share_the_work_over_one_store(
    definition: Definition[Any], tmp_path: Path, reach: Any, tasks_topic: str, ear: Ear
):
    tasks = [sample_task("L1", {"reader_id_no": f"reader-{n}"}) for n in range(300)]
    health = reach("department.health")
    async with (
        at_work(definition, tmp_path, health, tasks_topic) as one,
        at_work(definition, tmp_path, health, tasks_topic) as other,
    ):
        for some in (tasks[:100], tasks[100:200], tasks[200:]):
            await send(reach("approval"), tasks_topic, [*some, *some[:10]])
            await ear.listen_until(lambda some=some: {a.task_id for _, a in ear.answers(*some)} == ids(some))
        assert one.records.count() == other.records.count() == 300

    assert len({(id_, answer.model_dump_json()) for id_, answer in ear.answers(*tasks)}) == 300
    assert len({answer.personal.documents[0].number for _, answer in ear.answers(*tasks)}) == 300


def ids(tasks: Iterable[TaskRequested]) -> set[UUID]:
    return {task.task_id for task in tasks}
