"""Deleting on PostgreSQL what is past its time, a bounded number of rows in each transaction."""

from typing import Any

import asyncpg

from yijian_messaging.retention import INBOX_DAYS, INCIDENT_DAYS, RECORD_DAYS

BATCH = 5_000

# Oldest first by an index, so that what is kept is never looked at.
_STATEMENTS = (
    (
        """
        DELETE FROM inbox WHERE id = ANY(ARRAY(
            SELECT id FROM inbox WHERE seen_at < now() - make_interval(days => $1) ORDER BY seen_at LIMIT $2))
        """,
        INBOX_DAYS,
    ),
    (
        """
        UPDATE dead_letter SET sealed = '' WHERE id = ANY(ARRAY(
            SELECT id FROM dead_letter
            WHERE state IN ('REPLAYED', 'DISCARDED') AND sealed <> '' AND settled_at < now() - make_interval(days => $1)
            ORDER BY settled_at LIMIT $2))
        """,
        RECORD_DAYS,
    ),
    (
        """
        DELETE FROM dead_letter WHERE id = ANY(ARRAY(
            SELECT id FROM dead_letter
            WHERE state IN ('REPLAYED', 'DISCARDED') AND settled_at < now() - make_interval(days => $1)
            ORDER BY settled_at LIMIT $2))
        """,
        INCIDENT_DAYS,
    ),
    (
        """
        DELETE FROM incident WHERE id = ANY(ARRAY(
            SELECT id FROM incident WHERE closed_at < now() - make_interval(days => $1) ORDER BY closed_at LIMIT $2))
        """,
        INCIDENT_DAYS,
    ),
)


async def purge(pool: "asyncpg.Pool[asyncpg.Record]") -> bool:
    """Delete a batch of each kind; whether there may be more."""
    full = False
    for statement, days in _STATEMENTS:
        done: Any = await pool.execute(statement, days, BATCH)
        full |= int(done.rpartition(" ")[2]) == BATCH
    return full
