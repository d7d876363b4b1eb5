"""Keeping every relay of a store from sending for a while, however many there are and wherever they run.

An operator takes the leases of all shards. Work goes on: what is said meanwhile waits in the outbox.
"""

import sqlite3
import time
from typing import Final

import asyncpg

from yijian_messaging.settings import PRODUCTION

PAUSER: Final = "operator"
SETTLES_WITHIN_SECONDS: Final = PRODUCTION.lease
"""After this time nobody sends any more who had a lease when it was taken."""


async def hold_relays(connection: asyncpg.Connection, seconds: float) -> None:
    """Take the leases for this time, or keep them for so much longer."""
    await connection.execute(
        """
        UPDATE outbox_lease SET epoch = epoch + (owner IS DISTINCT FROM $1)::int, owner = $1,
            expires_at = now() + make_interval(secs => $2)
        WHERE shard IN (SELECT shard FROM outbox_lease ORDER BY shard FOR UPDATE)
        """,
        PAUSER,
        seconds,
    )


async def let_relays_go(connection: asyncpg.Connection) -> None:
    await connection.execute("UPDATE outbox_lease SET owner = NULL WHERE owner = $1", PAUSER)


def hold_relays_sqlite(db: sqlite3.Connection, seconds: float) -> None:
    """The same for a department's store."""
    db.execute(
        "UPDATE outbox_lease SET epoch = epoch + (owner IS NOT ?), owner = ?, expires_at = ?",
        (PAUSER, PAUSER, time.time() + seconds),
    )
    db.commit()


def let_relays_go_sqlite(db: sqlite3.Connection) -> None:
    db.execute("UPDATE outbox_lease SET owner = NULL WHERE owner = ?", (PAUSER,))
    db.commit()
