"""Trouble of the database and with offsets: what is waited for, what counts, and what only a person can decide."""

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from yijian_messaging import Message
from yijian_messaging.testing import wait_until

from .conftest import Bench
from .line import Line


async def _holds(value: object) -> bool:
    return bool(value)


on_sqlite = pytest.mark.parametrize("bench", ["sqlite"], indirect=True)
on_postgres = pytest.mark.parametrize("bench", ["postgres"], indirect=True)


def sqlite_of(bench: Bench) -> sqlite3.Connection:
    db: sqlite3.Connection = bench.store._db  # type: ignore[attr-defined]
    return db


async def execute(bench: Bench, statement: str) -> None:
    async with bench.store.transaction() as transaction:
        result = transaction.connection.execute(statement)
        if asyncio.iscoroutine(result):
            await result


class TestOffsetsThatLeadNowhere:
    async def halts(self, line: Line) -> None:
        """The consumer says why it stands still, opens an incident, and handles nothing of what waits."""
        await line.publish(*range(20, 30), key="k")
        async with line.running() as consumer:
            await wait_until(lambda: _holds(consumer.problem()), what="the consumer to halt")
            incidents = [i for i in await line.bench.store.incidents() if i.kind == "offset-lost"]
            await asyncio.sleep(1)
            assert consumer.problem()
        assert incidents
        assert len(await line.bench.effects()) == 10

    async def test_an_offset_of_another_cluster_halts(self, line: Line):
        async with line.running():
            await line.publish(*range(10), key="k")
            await line.arrived(10)
        await execute(line.bench, "UPDATE consumer_offset SET cluster_id = 'another'")
        await self.halts(line)

    async def test_an_offset_below_the_start_of_the_log_halts(
        self, line: Line, kafka_admin: Any, kafka_credentials: Any
    ):
        async with line.running():
            await line.publish(*range(10), key="k")
            await line.arrived(10)
        reader = Consumer(kafka_credentials("approval").client_config() | {"group.id": "approval.watermarks"})
        places = [TopicPartition(line.topic, number) for number in range(3)]
        ends = {place.partition: reader.get_watermark_offsets(place, timeout=10)[1] for place in places}
        reader.close()
        # Put back to before what was then deleted.
        await execute(line.bench, "UPDATE consumer_offset SET next_offset = 0")
        doomed = [TopicPartition(line.topic, number, end) for number, end in ends.items() if end]
        for future in kafka_admin.delete_records(doomed).values():
            future.result()
        await self.halts(line)


class TestWhatIsWaitedFor:
    @on_sqlite
    async def test_a_full_disk_is_waited_out(self, line: Line):
        db = sqlite_of(line.bench)
        await line.publish(*range(20), key="k")
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")

        async def write_much(transaction: Any, messages: Sequence[Message[str]]) -> None:
            transaction.connection.execute("CREATE TABLE IF NOT EXISTS much AS SELECT zeroblob(100000)")
            await line.keep(transaction, messages)

        async with line.running(write_much) as consumer:
            await wait_until(lambda: _holds(consumer.problem()), what="the full disk to be noticed")
            await asyncio.sleep(0.5)
            assert await line.bench.effects() == []
            db.execute("PRAGMA max_page_count = 1000000")
            await line.arrived(20)
        assert await line.bench.store.letters() == []

    @on_postgres
    @pytest.mark.parametrize("code", ["40001", "40P01", "55P03", "53100", "57P01"])
    async def test_what_passes_by_itself_costs_no_record(self, line: Line, code: str):
        times = 7  # more often than a failing record is tried

        async def trouble(transaction: Any, messages: Sequence[Message[str]]) -> None:
            nonlocal times
            if times:
                times -= 1
                await transaction.connection.execute(
                    f"DO $$ BEGIN RAISE EXCEPTION 'trouble' USING ERRCODE = '{code}'; END $$"
                )
            await line.keep(transaction, messages)

        await line.publish(*range(20), key="k")
        async with line.running(trouble):
            await line.arrived(20)
        assert await line.bench.effects() == [f"{n:05}" for n in range(20)]
        assert await line.bench.store.letters() == []

    @on_sqlite
    async def test_a_lock_that_somebody_holds_is_waited_for(self, line: Line):
        db = sqlite_of(line.bench)
        other = sqlite3.connect(db.execute("PRAGMA database_list").fetchone()[2], isolation_level=None)
        await line.publish(*range(20), key="k")
        other.execute("BEGIN IMMEDIATE")
        async with line.running():
            await asyncio.sleep(1.5)
            assert await line.bench.effects() == []
            other.execute("COMMIT")
            await line.arrived(20)
        other.close()
        assert await line.bench.store.letters() == []


class TestWhatCounts:
    @on_postgres
    async def test_a_lone_record_that_takes_too_long_becomes_a_dead_letter(self, line: Line):

        async def slow(transaction: Any, messages: Sequence[Message[str]]) -> None:
            if any(message.content == "00007" for message in messages):
                await transaction.connection.execute("SET LOCAL statement_timeout = 50")
                await transaction.connection.execute("SELECT pg_sleep(5)")
            await line.keep(transaction, messages)

        await line.publish(*range(20), key="k")
        async with line.running(slow):
            await line.arrived(19)
            await wait_until(lambda: _letters(line, 1), what="the dead letter")
        (letter,) = await line.bench.store.letters()
        assert letter.error == "the handler failed: QueryCanceledError"
        assert "00007" not in await line.bench.effects()


async def _letters(line: Line, count: int) -> bool:
    return len(await line.bench.store.letters()) == count
