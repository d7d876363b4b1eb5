"""Saying how far withdrawals of consent were told, so that approval knows when it has heard of all of them.

Why nothing is missed. Whoever withdraws holds `WITHDRAWAL_LOCK` shared from before the outbox row is written until
COMMIT. This takes the lock alone, so at that moment no withdrawal is between its row and its COMMIT: what was committed
is seen, and what comes later commits after `as_of`. If rows of the topic still wait to be sent, `as_of` is when the
oldest of them was begun, which is before any of their COMMITs; those older than that were acknowledged by Kafka, and
stand before this in the topic's one partition. That holds whichever relay sends which row, and in whatever order.
"""

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Final

from yijian_common.database import Connection
from yijian_contracts.events import WithdrawalsToldUntil
from yijian_contracts.topics import CONSENTS_WITHDRAWN
from yijian_messaging import Store, Transaction

from data_exchange.actions.consenting import WITHDRAWAL_LOCK
from data_exchange.telling import outgoing

PAUSE_SECONDS: Final = 5.0


class WithdrawalsTold:
    """A component of every worker; one of them speaks at a time."""

    name = "withdrawals-told"

    def __init__(self, store: Store[Connection], *, pause: float = PAUSE_SECONDS) -> None:
        self._store = store
        self._pause = pause
        self._problem: str | None = None

    def problem(self) -> str | None:
        return self._problem

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                async with self._store.transaction() as transaction:
                    await tell(transaction, pause=self._pause)
                self._problem = None
            except Exception as error:
                if not self._store.is_transient(error):
                    raise
                self._problem = f"approval is not told how far withdrawals went ({type(error).__name__}); trying again"
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), self._pause)


async def tell(transaction: Transaction[Connection], *, pause: float = PAUSE_SECONDS) -> datetime | None:
    """Say it in the open transaction, unless somebody did in the last `pause`; returns what was said.

    Waits until no withdrawal is under way; raises what the server says when that takes too long, and nothing is said.
    """
    connection = transaction.connection
    claimed = await connection.fetchval(
        """
        UPDATE withdrawals_told SET said_at = now() WHERE one = (
            SELECT one FROM withdrawals_told WHERE said_at < now() - make_interval(secs => $1) FOR UPDATE SKIP LOCKED
        ) RETURNING true
        """,
        pause * 0.8,
    )
    if not claimed:
        return None
    await connection.execute("SELECT pg_advisory_xact_lock($1)", WITHDRAWAL_LOCK)
    as_of = await _as_of(connection)
    await connection.execute("UPDATE withdrawals_told SET as_of = $1", as_of)
    await transaction.publish([outgoing(WithdrawalsToldUntil(as_of=as_of))])
    return as_of


async def _as_of(connection: Connection) -> datetime:
    """Now, or when the oldest unsent withdrawal was begun. What was said before and not sent yet is taken back.

    Nobody needs an old word beside a new one, and while Kafka is away they would pile up.
    """
    word = WithdrawalsToldUntil(as_of=datetime.now(UTC)).key
    found: datetime = await connection.fetchval(
        """
        WITH waiting AS MATERIALIZED (
            SELECT u.gate, u.id, o.key, o.created_at FROM outbox_unsent u
            CROSS JOIN LATERAL (SELECT * FROM outbox s WHERE s.day = u.day AND s.id = u.id OFFSET 0) o
            WHERE o.topic = $1
        ), taken_back AS (
            DELETE FROM outbox_unsent u USING waiting w WHERE u.gate = w.gate AND u.id = w.id AND w.key = $2
        )
        SELECT coalesce(min(created_at) FILTER (WHERE key <> $2), clock_timestamp()) FROM waiting
        """,
        CONSENTS_WITHDRAWN,
        word,
    )
    return found.astimezone(UTC)
