"""What is kept for a while must not make the work of the day slower."""

import asyncio
import sqlite3
from collections.abc import Awaitable
from typing import Any

from yijian_messaging.record import Outgoing

RETAINED = 20_000


def message(event_id: str) -> Outgoing:
    return Outgoing(id=event_id, topic="t", key="k", headers={}, value=b"{}", personal=False)


async def run(transaction: Any, statement: str) -> None:
    result = transaction.connection.execute(statement)
    if asyncio.iscoroutine(result):
        await result


async def retain(bench: Any) -> None:
    """Many sent rows in the outbox, behind one that still waits, and statistics taken while all of them waited."""
    async with bench.store.transaction() as transaction:
        await transaction.publish([message("waits"), *(message(f"sent-{n}") for n in range(RETAINED))])
        await run(transaction, "ANALYZE")
        await run(
            transaction, "DELETE FROM outbox_unsent WHERE id IN (SELECT id FROM outbox WHERE event_id <> 'waits')"
        )


async def effort(transaction: Any, doing: Awaitable[Any]) -> int:
    """How much the database did for it: rows looked at on PostgreSQL, thousands of machine steps on SQLite."""
    connection = transaction.connection
    if isinstance(connection, sqlite3.Connection):
        steps: list[None] = []
        connection.set_progress_handler(lambda: steps.append(None), 1_000)
        await doing
        connection.set_progress_handler(None, 0)
        return len(steps)
    looked = "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int FROM pg_stat_xact_user_tables"
    before = await connection.fetchval(looked)
    await doing
    after: int = await connection.fetchval(looked)
    return after - before


async def test_taking_back_costs_the_same_however_much_is_retained(bench):
    await retain(bench)
    async with bench.store.transaction() as transaction:
        spent = await effort(transaction, transaction.cancel_unsent(["waits", "sent-7", "unknown"]))
    assert await bench.store.unsent(list(range(16)), 10) == []
    assert spent < 10
