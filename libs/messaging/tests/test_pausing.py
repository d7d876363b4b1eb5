"""A topic gets more partitions under load: whoever publishes goes on, and no key's order is disturbed."""

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from contextlib import asynccontextmanager, closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, OffsetSpec
from yijian_messaging import Message, Tuning, pausing
from yijian_messaging.testing import wait_until

LEASE_S = 1.5
FAST = Tuning(tries=3, retry_pause=0.01, watchdog=5.0, lease=LEASE_S)


@asynccontextmanager
async def held(line, folder: Path):
    """No relay sends while the block lasts."""
    if line.bench._pool is None:
        with closing(sqlite3.connect(folder / "store.db", timeout=10)) as db:
            pausing.hold_relays_sqlite(db, 60)
            yield
            pausing.let_relays_go_sqlite(db)
        return
    async with line.bench._pool.acquire() as connection:
        await pausing.hold_relays(connection, 60)
        yield
        await pausing.let_relays_go(connection)


async def test_a_topic_grows_under_load_and_every_key_keeps_its_order(
    line, tmp_path: Path, kafka_admin: AdminClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("yijian_messaging.kafka.METADATA_MS", 500)
    heard: dict[str, list[str]] = defaultdict(list)
    partitions: set[int] = set()
    published = 0
    stopping = asyncio.Event()

    async def keep(_transaction: Any, messages: Sequence[Message[str]]) -> None:
        for message in messages:
            heard[(message.record.key or b"").decode()].append(message.content)
            partitions.add(message.record.partition)

    async def publish() -> None:
        nonlocal published
        for number in count():
            if stopping.is_set():
                return
            await line.publish(*range(number * 10, number * 10 + 10))
            published = number * 10 + 10
            await asyncio.sleep(0.02)

    async def all_heard() -> bool:
        return sum(map(len, heard.values())) >= published

    async with line.running(keep, tuning=FAST):
        publishing = asyncio.create_task(publish())
        await wait_until(lambda: _more_than(heard, 100), what="messages to flow")
        async with held(line, tmp_path):
            await asyncio.sleep(LEASE_S)
            waiting = (await line.bench.store.backlog())[0]
            before = published
            await _drained(line, kafka_admin)
            for future in kafka_admin.create_partitions([NewPartitions(line.topic, 7)]).values():
                future.result()
            await asyncio.sleep(1.5)
            # Whoever publishes was not held up, and nothing of it was sent.
            assert published > before
            assert (await line.bench.store.backlog())[0] > waiting > 0
        await asyncio.sleep(1)
        stopping.set()
        await publishing
        await wait_until(all_heard, what="everything to arrive", within=60)

    assert partitions == set(range(7))
    assert sum(map(len, heard.values())) == published
    for key, texts in heard.items():
        assert texts == sorted(texts), key


async def _more_than(heard: dict[str, list[str]], number: int) -> bool:
    return sum(map(len, heard.values())) > number


async def _drained(line, admin: AdminClient) -> None:
    """What was sent before the hold is handled."""

    async def at_the_end() -> bool:
        places = {TopicPartition(line.topic, number): OffsetSpec.latest() for number in range(3)}
        from_kafka = sum(future.result().offset for future in admin.list_offsets(places).values())
        rows = await line.bench.query("SELECT sum(next_offset) FROM consumer_offset")
        return int(rows[0][0]) == from_kafka

    await wait_until(at_the_end, what="the reader at the end")
