"""Deleting on SQLite what is past its time, in batches so small that the event loop hardly waits for them."""

import sqlite3
import time

from yijian_messaging.retention import INBOX_DAYS, INCIDENT_DAYS, RECORD_DAYS, SENT_DAYS

BATCH = 1_000

_STATEMENTS = (
    (
        """
        DELETE FROM outbox WHERE id IN (
            SELECT id FROM outbox WHERE created_at < ? AND id NOT IN (SELECT id FROM outbox_unsent)
            ORDER BY created_at LIMIT ?)
        """,
        SENT_DAYS,
    ),
    (
        "DELETE FROM inbox WHERE id IN (SELECT id FROM inbox WHERE seen_at < ? ORDER BY seen_at LIMIT ?)",
        INBOX_DAYS,
    ),
    (
        """
        UPDATE dead_letter SET sealed = x'' WHERE id IN (
            SELECT id FROM dead_letter
            WHERE state IN ('REPLAYED', 'DISCARDED') AND sealed <> x'' AND settled_at < ?
            ORDER BY settled_at LIMIT ?)
        """,
        RECORD_DAYS,
    ),
    (
        """
        DELETE FROM dead_letter WHERE id IN (
            SELECT id FROM dead_letter WHERE state IN ('REPLAYED', 'DISCARDED') AND settled_at < ?
            ORDER BY settled_at LIMIT ?)
        """,
        INCIDENT_DAYS,
    ),
    (
        "DELETE FROM incident WHERE id IN (SELECT id FROM incident WHERE closed_at < ? ORDER BY closed_at LIMIT ?)",
        INCIDENT_DAYS,
    ),
)


def purge(connection: sqlite3.Connection) -> bool:
    """Delete a batch of each kind within the open transaction; whether there may be more."""
    now = time.time()
    counts = [connection.execute(statement, (now - days * 86400, BATCH)).rowcount for statement, days in _STATEMENTS]
    return BATCH in counts
