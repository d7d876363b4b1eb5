"""Kafka was lost: everything is said again under the same ids, read from the beginning, and has no second effect."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from yijian_messaging import new_kafka
from yijian_messaging.store import NoSealer

LONG_AGO = datetime.now(UTC) - timedelta(days=8)
ALL_SHARDS = list(range(16))


async def begin_anew(line, folder: Path, *, but: tuple[str, ...] = ()) -> tuple[int, int]:
    """How many offsets were forgotten, and how many messages wait to be said again."""
    if line.bench._pool is None:
        with closing(sqlite3.connect(folder / "store.db")) as db, db:
            return new_kafka.begin_anew_sqlite(db), new_kafka.say_again_sqlite(db, LONG_AGO)
    async with line.bench._pool.acquire() as connection:
        return await new_kafka.begin_anew(connection), await new_kafka.say_again(connection, LONG_AGO, but=but)


async def test_what_was_said_is_said_again_and_heard_once(line, tmp_path: Path):
    await line.publish(*range(100))
    async with line.running():
        await line.arrived(100)
    await line.publish(900)
    async with line.bench.store.transaction() as transaction:
        assert await transaction.cancel_unsent(["e900"]) == 1

    offsets, waiting = await begin_anew(line, tmp_path)

    assert offsets == 3
    # What was taken back before it was said is not among it.
    assert waiting == 100
    if line.bench._pool is not None:
        # And yet it is known that it was to be said: a relay may have been sending it when it was taken back.
        async with line.bench._pool.acquire() as connection:
            assert await connection.fetchval("SELECT count(*) FROM outbox WHERE event_id = 'e900'") == 1
    assert (await line.bench.store.backlog())[0] == 100
    async with line.running():
        # Behind everything that is said twice now.
        await line.publish(901)
        await line.arrived(101)
    assert sorted(await line.bench.effects()) == [*(f"{n:05}" for n in range(100)), "00901"]
    assert (await line.bench.store.backlog())[0] == 0
    assert await line.bench.store.incidents() == []


async def test_what_must_not_be_said_any_more_is_left_out(line, tmp_path: Path):
    await line.publish(*range(10))
    async with line.running():
        await line.arrived(10)
    if line.bench._pool is None:
        return  # a department takes nothing back
    async with line.bench._pool.acquire() as connection, connection.transaction():
        values = [value async for value in new_kafka.said(connection, "none", LONG_AGO, sealer=NoSealer())]
    assert values == []

    _, waiting = await begin_anew(line, tmp_path, but=("e3", "e4"))

    assert waiting == 8
    assert {one.message.id for one in await line.bench.store.unsent(ALL_SHARDS, 100)} == {
        f"e{n}" for n in range(10) if n not in (3, 4)
    }
