"""What is said in one database takes effect in another, once, whatever comes between."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from yijian_messaging import Message, Outgoing, Rejected, Tuning
from yijian_messaging.store import LetterState
from yijian_messaging.testing import wait_until

from .line import outgoing


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
