"""Forgetting on PostgreSQL what was said about somebody: sent messages, and letters that could not be handled.

Neither is found by an index, since nothing else asks for them this way. They are looked through in short statements,
a bounded number of rows each.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from yijian_messaging.letters import unpack
from yijian_messaging.outbox_days import days_kept
from yijian_messaging.postgres import PostgresStore
from yijian_messaging.record import Record
from yijian_messaging.store import LetterState, Sealer

MESSAGES_AT_ONCE = 20_000
LETTERS_AT_ONCE = 500


async def erase_sent(
    pool: "asyncpg.Pool[asyncpg.Record]", keys: Collection[str], *, since: datetime, until: datetime
) -> int:
    """Delete the messages under these keys that were written in this time and are sent; returns how many still wait."""
    waiting = 0
    # The days are the database's, whose clock may be behind that of whoever says since when, across a midnight.
    first, last = since.date() - timedelta(days=1), until.date()
    for day in await days_kept(pool):
        if not first <= day <= last:
            continue
        ends: Any = await pool.fetchrow("SELECT min(id) AS low, max(id) AS high FROM outbox WHERE day = $1", day)
        if ends["low"] is None:
            continue
        for low in range(ends["low"], ends["high"] + 1, MESSAGES_AT_ONCE):
            waiting += await pool.fetchval(
                """
                WITH found AS (
                    SELECT id, EXISTS (SELECT FROM outbox_unsent u WHERE u.id = o.id) AS waits FROM outbox o
                    WHERE day = $1 AND id >= $2 AND id < $3 AND key = ANY($4) AND created_at <= $5
                ), gone AS (
                    DELETE FROM outbox o USING found f WHERE o.day = $1 AND o.id = f.id AND NOT f.waits
                )
                SELECT count(*) FROM found WHERE waits
                """,
                day,
                low,
                low + MESSAGES_AT_ONCE,
                list(keys),
                until,
            )
    return waiting


async def erase_letters(
    store: PostgresStore, pool: "asyncpg.Pool[asyncpg.Record]", sealer: Sealer, about: Collection[str], *, note: str
) -> int:
    """Discard the dead letters that name one of these texts, and erase their records; returns how many."""
    wanted = [text.encode() for text in about]
    erased = last = 0
    while True:
        rows = await pool.fetch(
            "SELECT id, state, sealed FROM dead_letter WHERE id > $1 AND sealed <> '' ORDER BY id LIMIT $2",
            last,
            LETTERS_AT_ONCE,
        )
        for row in rows:
            if _names(unpack(sealer.open(row["sealed"]), topic="", partition=0, offset=0), wanted):
                if row["state"] in (LetterState.DEAD, LetterState.REPLAY):
                    await store.discard(row["id"], note=note)
                await pool.execute("UPDATE dead_letter SET sealed = '' WHERE id = $1", row["id"])
                erased += 1
        if len(rows) < LETTERS_AT_ONCE:
            return erased
        last = rows[-1]["id"]


def _names(record: Record, wanted: Collection[bytes]) -> bool:
    parts = (record.key or b"", record.value or b"", *(value for _, value in record.headers))
    return any(text in part for part in parts for text in wanted)
