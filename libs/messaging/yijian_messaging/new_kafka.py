"""After Kafka was lost: read the new one from its beginning, and say again what the old one may have taken with it.

Both are an operator's, while nothing else works on the database. Whoever hears something again knows it by its id.
"""

import sqlite3
from collections.abc import AsyncIterator, Collection
from datetime import datetime
from typing import Final

import asyncpg

from yijian_messaging.store import TAKEN_BACK, Sealer

# Eight days of messages at once.
PATIENCE_SECONDS: Final = 3600

_SAY_AGAIN: Final = """
INSERT INTO outbox_unsent (id, day, shard, event_id, gate)
SELECT o.id, o.day, o.shard, o.event_id, o.gate FROM outbox o
WHERE o.day >= ($1 AT TIME ZONE 'UTC')::date AND o.created_at >= $1 AND o.event_id <> ALL($2) AND o.gate <> $3
ON CONFLICT DO NOTHING
"""

_SAID: Final = """
SELECT value, personal FROM outbox
WHERE day >= ($1 AT TIME ZONE 'UTC')::date AND created_at >= $1 AND strpos(headers, $2) > 0
"""


async def begin_anew(connection: asyncpg.Connection) -> int:
    """Forget every stored offset; returns how many there were."""
    done = await connection.execute("DELETE FROM consumer_offset")
    return int(done.rpartition(" ")[2])


async def say_again(connection: asyncpg.Connection, since: datetime, *, but: Collection[str] = ()) -> int:
    """Have what was said since then wait for the relay again, `but` for these event ids; returns how many do."""
    done = await connection.execute(_SAY_AGAIN, since, list(but), TAKEN_BACK, timeout=PATIENCE_SECONDS)
    return int(done.rpartition(" ")[2])


async def said(
    connection: asyncpg.Connection, event_type: str, since: datetime, *, sealer: Sealer
) -> AsyncIterator[bytes]:
    """The values of the events of this type that were said since then; within a transaction of the caller."""
    async for row in connection.cursor(_SAID, since, event_type, timeout=PATIENCE_SECONDS):
        yield sealer.open(row["value"]) if row["personal"] else row["value"]


def begin_anew_sqlite(db: sqlite3.Connection) -> int:
    """The same for a department's store."""
    return db.execute("DELETE FROM consumer_offset").rowcount


def say_again_sqlite(db: sqlite3.Connection, since: datetime) -> int:
    """The same for a department's store, which cancels nothing."""
    return db.execute(
        "INSERT OR IGNORE INTO outbox_unsent (id, shard, event_id)"
        " SELECT id, shard, event_id FROM outbox WHERE created_at >= ?",
        (since.timestamp(),),
    ).rowcount
