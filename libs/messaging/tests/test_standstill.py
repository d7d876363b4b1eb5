"""What stands still without an error is noticed and begun anew; what is halted stays so and holds up nobody."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from yijian_messaging import Message, Tuning, kafka
from yijian_messaging.testing import wait_until

from .line import Line

WATCHFUL = Tuning(tries=3, retry_pause=0.01, watchdog=4.5, session_timeout=6.0)


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every Kafka client that consumers build, in order."""
    built: list[Any] = []
    build = kafka.build_consumer

    def note(*given: Any, **named: Any) -> Any:
        built.append(build(*given, **named))
        return built[-1]

    monkeypatch.setattr(kafka, "build_consumer", note)
    return built


async def test_a_client_that_answers_no_more_is_not_taken_for_the_database(line: Line, clients, monkeypatch):
    build = kafka.build_consumer

    async def silence(_partitions: Any) -> None:
        raise TimeoutError

    def build_a_mute_one_first(*given: Any, **named: Any) -> Any:
        client = build(*given, **named)
        if len(clients) == 1:
            client.beginning_offsets = silence
        return client

    monkeypatch.setattr(kafka, "build_consumer", build_a_mute_one_first)
    await line.publish(*range(10))
    async with line.running():
        await line.arrived(10)
    assert len(clients) == 2


async def test_a_handler_that_hangs_becomes_visible_and_is_begun_anew(line: Line, clients):
    hangs = True

    async def handle(transaction: Any, messages: Sequence[Message[str]]) -> None:
        if hangs:
            await asyncio.Event().wait()
        await line.keep(transaction, messages)

    await line.publish(*range(10))
    async with line.running(handle, tuning=WATCHFUL) as consumer:
        await wait_until(lambda: says(consumer, "takes very long"), what="the hanging handler to be told")
        await wait_until(lambda: has(clients, 2), what="a new client")
        hangs = False
        await line.arrived(10)
        await wait_until(lambda: is_well(consumer), what="the problem to be over")
    assert await line.bench.effects() == [f"{n:05}" for n in range(10)]


async def test_a_handler_too_slow_for_its_batch_gets_smaller_ones(line: Line):
    sizes = []

    async def slow(transaction: Any, messages: Sequence[Message[str]]) -> None:
        sizes.append(len(messages))
        await asyncio.sleep(0.1 * len(messages))
        await line.keep(transaction, messages)

    await line.publish(*range(40), key="k")
    async with line.running(slow, tuning=Tuning(batch_records=40, watchdog=1.5, session_timeout=6.0)):
        await line.arrived(40)
    assert max(sizes) == 40


async def test_an_offset_beyond_the_end_halts_its_partition_and_the_others_go_on(line: Line, clients):
    async with line.running():
        await line.publish(*range(60))
        await line.arrived(60)
    await run(line, "UPDATE consumer_offset SET next_offset = next_offset + 1000 WHERE partition = 0")
    hangs = True

    async def handle(transaction: Any, messages: Sequence[Message[str]]) -> None:
        if hangs:
            await asyncio.Event().wait()
        await line.keep(transaction, messages)

    del clients[:]
    async with line.running(handle, tuning=WATCHFUL) as consumer:
        await wait_until(lambda: says(consumer, f"{line.topic}/0: the offset"), what="the halt to be told")
        await line.publish(*range(60, 120))
        # The halted partition does not switch the watchdog of the others off.
        await wait_until(lambda: has(clients, 2), what="a new client")
        hangs = False
        await line.arrived(90)
        # What it handled last is there a moment before it says that nothing hangs any more.
        await wait_until(lambda: says(consumer, "beyond the end of the log"), what="the halt to be told again")
    (incident,) = await line.bench.store.incidents()
    assert incident.kind == "offset-lost"
    assert f"{line.topic}/0" in incident.subject
    assert len(await line.bench.effects()) < 120


async def test_a_member_without_partitions_joins_anew_ever_more_rarely_and_takes_over(line: Line, clients):
    await line.publish(*range(10))
    quick = Tuning(watchdog=1.0, session_timeout=6.0)
    async with line.running():
        await line.arrived(10)
        consumers = [line.running(relay=False, tuning=quick) for _ in range(3)]
        for standby in consumers:
            await standby.__aenter__()
        await wait_until(lambda: has(clients, 6), what="the one too many to join anew")
        await asyncio.sleep(4)
        assert len(clients) < 12
        for standby in consumers:
            await standby.__aexit__(None, None, None)
        await line.publish(*range(10, 20))
        await line.arrived(20)


async def run(line: Line, statement: str) -> None:
    async with line.bench.store.transaction() as transaction:
        outcome = transaction.connection.execute(statement)
        if asyncio.iscoroutine(outcome):
            await outcome


async def says(consumer: Any, words: str) -> bool:
    return words in (consumer.problem() or "")


async def is_well(consumer: Any) -> bool:
    return consumer.problem() is None


async def has(clients: list[Any], count: int) -> bool:
    return len(clients) >= count
