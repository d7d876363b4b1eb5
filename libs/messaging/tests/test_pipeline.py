"""Records through a real broker: from one store's outbox into another's effects."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from yijian_messaging import Consumer, Decoded, KafkaSettings, Message, Outgoing, Record, Rejected, Relay, Tuning
from yijian_messaging.store import LetterState
from yijian_messaging.testing import wait_until

FAST = Tuning(tries=3, retry_pause=0.01, watchdog=5.0)


def outgoing(number: int, *, key: str | None = None, topic: str) -> Outgoing:
    value = json.dumps({"id": f"e{number}", "text": f"{number:05}"}).encode()
    return Outgoing(id=f"e{number}", topic=topic, key=key or f"key-{number % 50}", headers={}, value=value)


def decode(record: Record) -> Decoded[str]:
    content = json.loads(record.value or b"")
    return Decoded(id=content["id"], content=content["text"])


@dataclass
class Line:
    """A producer side and a consumer side over one topic; here both use the same store."""

    bench: Any
    topic: str
    kafka: KafkaSettings

    async def publish(self, *numbers: int, key: str | None = None) -> None:
        async with self.bench.store.transaction() as transaction:
            await transaction.publish([outgoing(n, key=key, topic=self.topic) for n in numbers])

    @asynccontextmanager
    async def running(
        self, handle: Any = None, *, tuning: Tuning = FAST, relay: bool = True, group: str = "approval.t"
    ):
        consumer = Consumer(
            group=f"{group}.{self.topic[-6:]}",
            topics=[self.topic],
            store=self.bench.store,
            kafka=self.kafka,
            decode=decode,
            handle=handle or self.keep,
            tuning=tuning,
        )
        stopping = asyncio.Event()
        components = [consumer, *([Relay(store=self.bench.store, kafka=self.kafka, tuning=tuning)] if relay else [])]
        tasks = [asyncio.create_task(component.run(stopping)) for component in components]
        try:
            yield consumer
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            stopping.set()
            await asyncio.wait_for(asyncio.gather(*tasks), 15)

    async def keep(self, transaction: Any, messages: Sequence[Message[str]]) -> None:
        for message in messages:
            await self.bench.effect(transaction, message.content)

    async def arrived(self, count: int) -> None:
        await wait_until(lambda: self._count(count), what=f"{count} effects")

    async def _count(self, count: int) -> bool:
        return len(await self.bench.effects()) >= count


@pytest.fixture
def line(bench, fresh_topics, kafka_credentials) -> Line:
    (topic,) = fresh_topics("line", partitions=3)
    given = kafka_credentials("approval")
    kafka = KafkaSettings(
        bootstrap=given.bootstrap,
        security_protocol=given.security_protocol,
        username=given.username,
        password=given.password,
    )
    return Line(bench, topic, kafka)


async def test_everything_published_takes_effect_once(line):
    async with line.running():
        await line.publish(*range(300))
        await line.arrived(300)
    assert await line.bench.effects() == [f"{n:05}" for n in range(300)]
    assert await line.bench.store.backlog() == (0, pytest.approx(0))


async def test_what_was_sent_twice_takes_effect_once(line):
    async with line.running():
        await line.publish(1, 2, key="k")
        await line.publish(1, 2, 3, key="k")
        await line.arrived(3)
    assert await line.bench.effects() == ["00001", "00002", "00003"]


async def test_a_restarted_consumer_goes_on_where_the_database_is(line):
    async with line.running():
        await line.publish(*range(50))
        await line.arrived(50)
    await line.publish(*range(50, 100))
    async with line.running():
        await line.arrived(100)
    assert len(await line.bench.effects()) == 100


async def test_a_poison_record_becomes_a_dead_letter_and_its_neighbours_go_on(line):
    async with line.bench.store.transaction() as transaction:
        poison = Outgoing(id="p", topic=line.topic, key="k", headers={}, value=b"\xff not json")
        await transaction.publish(
            [outgoing(1, key="k", topic=line.topic), poison, outgoing(2, key="k", topic=line.topic)]
        )
    async with line.running():
        await line.arrived(2)
    (letter,) = await line.bench.store.letters()
    assert letter.state is LetterState.DEAD
    assert letter.record.topic == line.topic


async def test_a_failing_record_is_found_by_halving_and_replayed_when_mended(line):
    broken = True
    batches = []

    async def fussy(transaction: Any, messages: Sequence[Message[str]]) -> None:
        batches.append(len(messages))
        if broken and any(message.content == "00013" for message in messages):
            raise RuntimeError("13")
        await line.keep(transaction, messages)

    await line.publish(*range(40), key="k")
    async with line.running(fussy):
        await line.arrived(39)
        await wait_until(lambda: _some(line.bench.store.letters()), what="the dead letter")
        (letter,) = await line.bench.store.letters()
        assert letter.error == "the handler failed: RuntimeError"
        broken = False
        await line.bench.store.request_replay(letter.id, note="the handler was mended", value=None)
        await line.arrived(40)
    assert await line.bench.effects() == [f"{n:05}" for n in range(40)]
    (letter,) = await line.bench.store.letters()
    assert letter.state is LetterState.REPLAYED
    # Halving needs the logarithm of a batch, not one transaction per record.
    assert len(batches) < 30


async def test_a_rejected_message_is_a_dead_letter_that_can_be_replayed(line):
    async def picky(transaction: Any, messages: Sequence[Message[str]]) -> list[Rejected]:
        await line.keep(transaction, [m for m in messages if m.content != "00002"])
        return [Rejected(m, "two is not wanted") for m in messages if m.content == "00002"]

    await line.publish(1, 2, 3, key="k")
    async with line.running(picky):
        await line.arrived(2)
        await wait_until(lambda: _some(line.bench.store.letters()), what="the dead letter")
        (letter,) = await line.bench.store.letters()
        mended = json.dumps({"id": "e2", "text": "00022"}).encode()
        await line.bench.store.request_replay(letter.id, note="corrected", value=mended)
        await line.arrived(3)
    assert await line.bench.effects() == ["00001", "00003", "00022"]


async def test_a_database_that_goes_back_in_time_replays_what_it_lost(line):
    async with line.running():
        await line.publish(*range(20), key="k")
        await line.arrived(20)
    # A backup from before the batch: neither effect, inbox nor offset is there.
    async with line.bench.store.transaction() as transaction:
        for table in ("effect", "inbox"):
            statement = f"DELETE FROM {table}"  # noqa: S608 - a literal
            result = transaction.connection.execute(statement)
            if asyncio.iscoroutine(result):
                await result
        result = transaction.connection.execute("UPDATE consumer_offset SET next_offset = 0")
        if asyncio.iscoroutine(result):
            await result
    async with line.running():
        await line.arrived(20)
    assert len(await line.bench.effects()) == 20


async def test_two_members_of_a_group_share_the_work_and_nothing_is_done_twice(line):
    async with line.running(tuning=Tuning(session_timeout=6.0)):
        await line.publish(*range(100))
        async with line.running(relay=False, tuning=Tuning(session_timeout=6.0)):
            await line.publish(*range(100, 400))
            await line.arrived(400)
        await line.publish(*range(400, 500))
        await line.arrived(500)
    assert await line.bench.effects() == [f"{n:05}" for n in range(500)]


async def test_a_message_that_kafka_refuses_holds_up_only_its_key(line):
    async with line.bench.store.transaction() as transaction:
        huge = Outgoing(id="huge", topic=line.topic, key="k", headers={}, value=b"x" * 2_000_000)
        await transaction.publish(
            [huge, outgoing(1, key="k", topic=line.topic), outgoing(2, key="other", topic=line.topic)]
        )
    async with line.running():
        await line.arrived(1)
        (letter,) = await line.bench.store.letters()
        assert "MessageSizeTooLarge" in letter.error
        assert await line.bench.effects() == ["00002"]
        await line.bench.store.discard(letter.id, note="nobody needs it")
        await line.arrived(2)


async def test_one_message_at_a_time_is_a_setting(line):
    sizes = []

    async def count(transaction: Any, messages: Sequence[Message[str]]) -> None:
        sizes.append(len(messages))
        await line.keep(transaction, messages)

    await line.publish(*range(10))
    async with line.running(count, tuning=Tuning(batch_records=1, relay_batch=1, commit_each_batch=True)):
        await line.arrived(10)
    assert sizes == [1] * 10


async def _some(letters: Any) -> bool:
    return bool(await letters)
