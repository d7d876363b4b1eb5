"""The outbox's day partitions on PostgreSQL: made ahead, dropped when nothing in them waits any more."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import asyncpg

from yijian_messaging.retention import SENT_DAYS

DAYS_AHEAD = 8


async def keep_days(pool: "asyncpg.Pool[asyncpg.Record]", *, today: date | None = None) -> date:
    """Have partitions from yesterday on to `DAYS_AHEAD`, and none older than `SENT_DAYS` without an unsent row.

    Returns the last day that there is a partition for. Any number of processes may do this at the same time.
    """
    today = today or datetime.now(UTC).date()
    last = await _prepare(pool, today)
    for day in await days_kept(pool):
        if day < today - timedelta(days=SENT_DAYS):
            await _drop(pool, day)
    return last


async def _prepare(pool: "asyncpg.Pool[asyncpg.Record]", today: date) -> date:
    days = [today + timedelta(days=n) for n in range(-1, DAYS_AHEAD + 2)]
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('outbox days'))")
        for day, after in pairwise(days):
            # The names are made from dates alone; DDL takes no parameters.
            await connection.execute(
                f"CREATE TABLE IF NOT EXISTS outbox_{day:%Y%m%d} PARTITION OF outbox"
                f" FOR VALUES FROM ('{day}') TO ('{after}') WITH (toast_tuple_target = 8160)"
            )
    return days[-2]


async def days_kept(pool: "asyncpg.Pool[asyncpg.Record]") -> list[date]:
    """The days that have a partition, in order."""
    rows = await pool.fetch(
        """
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'outbox'::regclass ORDER BY c.relname
        """
    )
    return [
        datetime.strptime(row["relname"].removeprefix("outbox_"), "%Y%m%d").replace(tzinfo=UTC).date() for row in rows
    ]


async def _drop(pool: "asyncpg.Pool[asyncpg.Record]", day: date) -> None:
    async with pool.acquire() as connection, connection.transaction():
        waiting: Any = await connection.fetchval("SELECT EXISTS (SELECT FROM outbox_unsent WHERE day = $1)", day)
        if not waiting:
            await connection.execute(f"DROP TABLE IF EXISTS outbox_{day:%Y%m%d}")
