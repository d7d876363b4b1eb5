"""Whatever the library asks a database is a look-up by key, with nothing stored and with much, and whatever statistics.

The statements are not copied here: the store is put through all that it can do and listened to.
"""

# ruff: noqa: S608 - literals

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg
import pytest
from yijian_messaging.postgres import PLANNER_SETTINGS
from yijian_messaging.record import Record
from yijian_messaging.store import LetterKind, Move, Store

from .conftest import Bench
from .test_retained import message, run

# A row per shard, relay or parked key, what waits to be sent, and what an operator has to look at.
SMALL = ("outbox_lease", "outbox_relay", "outbox_parked", "outbox_unsent", "dead_letter", "consumer_offset")
RECORD = Record("t", 0, 7, b"key", b"value", (), 0)
MUCH = 20_000
GROWING = ("inbox", "outbox", "incident")
SHARDS = list(range(16))


async def everything(store: Store[Any]) -> None:
    """Receive, publish, send, park, take back, bury, look, decide, replay, keep house: each at least once."""
    await store.positions("c", {("t", 0): 0}, "cluster")
    await store.lease_shards("one", 10)
    await store.backlog()
    async with store.transaction() as transaction:
        assert await transaction.advance("c", [Move("t", 0, 0, 5)])
        assert await transaction.unseen([b"%024d" % n for n in range(3)])
        await transaction.forget([b"%024d" % 2])
        await transaction.publish([message(f"m{n}") for n in range(4)])
        await transaction.cancel_unsent(["m3"])
        await transaction.open_incident("kind", "subject", "summary")
        await transaction.close_incident("kind", "subject", "mended")
        await transaction.bury("c", [(RECORD, "not JSON"), (RECORD, "nor this")])
    rows = await store.unsent(SHARDS, 10)
    await store.backlog()
    await store.mark_sent("one", rows[:1])
    await store.park(rows[1], "too large")
    letters = await store.letters()
    unsendable = next(one for one in letters if one.kind is LetterKind.UNSENDABLE)
    assert await store.discard(unsendable.id, note="nobody needs it")
    first, second = [one for one in letters if one.kind is LetterKind.RECORD]
    assert await store.letter(first.id)
    assert await store.request_replay(first.id, note="mended", value=b"other")
    assert await store.replays("c", 10) == [first.id]
    assert await store.discard(second.id, note="nobody needs it")
    await store.incidents()
    await store.purge()
    await store.housekeep()
    await store.ping()
    await store.release_predecessors("one")
    await store.release_shards("one")


_OUTBOX = "INSERT INTO outbox (shard, event_id, topic, key, headers, value, personal) {series} "
_FILL_SQLITE = (
    "INSERT INTO inbox (id) {series} SELECT CAST(printf('stored-%017d', n) AS BLOB) FROM s",
    _OUTBOX + "SELECT n % 16, 'sent', 't', 'k', '', x'', 0 FROM s",
    "INSERT INTO incident (kind, subject, summary, closed_at) {series} SELECT 'k', 's', 't', 0 FROM s",
)
_FILL_POSTGRES = (
    "INSERT INTO inbox (id) {series} SELECT convert_to('stored-' || n, 'UTF8') FROM s",
    _OUTBOX + "SELECT n % 16, 'sent', 't', 'k', '', '', false FROM s",
    "INSERT INTO incident (kind, subject, summary, closed_at) {series} SELECT 'k', 's', 't', now() FROM s",
)


async def fill(bench: Bench, statements: Sequence[str]) -> None:
    """Much of everything that is kept, of which the planner has heard nothing."""
    series = f"WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {MUCH})"
    async with bench.store.transaction() as transaction:
        for statement in statements:
            await run(transaction, statement.format(series=series))


def data_statements(ran: set[str]) -> list[str]:
    # One statement each: what a pool runs to put a session back ends with RESET ALL, which EXPLAIN would carry out.
    found = [text for text in sorted(ran) if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b[^;]*$", text)]
    assert len(found) > 30
    return found


@pytest.mark.parametrize("bench", ["sqlite"], indirect=True)
async def test_on_sqlite_nothing_reads_a_whole_table(bench: Bench):
    connection: sqlite3.Connection = bench.store._db  # type: ignore[attr-defined]
    ran: set[str] = set()
    connection.set_trace_callback(ran.add)
    await everything(bench.store)
    connection.set_trace_callback(None)
    statements = data_statements(ran)
    assert list(sqlite_scans(connection, statements)) == []
    # Nobody takes statistics there: plans are those of tables of which nothing is known.
    await fill(bench, _FILL_SQLITE)
    assert list(sqlite_scans(connection, statements)) == []


def sqlite_scans(connection: sqlite3.Connection, statements: Sequence[str]) -> Iterator[str]:
    for text in statements:
        for row in connection.execute(f"EXPLAIN QUERY PLAN {text}"):
            scanned = re.match(r"SCAN (\w+)", row[3])
            # An index read in its order ends after as many rows as are asked for.
            if scanned and _table(scanned.group(1), text) in GROWING and "LIMIT" not in text:
                yield f"{row[3]} in {text}"


def _table(name: str, text: str) -> str:
    """What stands behind an alias."""
    found = re.search(rf"(\w+) (?:AS )?{name}\b", text)
    return name if name in GROWING or found is None else found.group(1)


@pytest.mark.postgres
@pytest.mark.parametrize("bench", ["postgres"], indirect=True)
async def test_on_postgres_nothing_reads_a_whole_table(bench: Bench):
    pool = bench._pool
    assert pool is not None
    address: str = pool._connect_args[0]
    ran: set[str] = set()
    held = [await pool.acquire() for _ in range(pool.get_max_size())]
    for connection in held:
        connection.add_query_logger(lambda logged: ran.add(logged.query))
    for connection in held:
        await pool.release(connection)
    await everything(bench.store)
    statements = data_statements(ran)
    await pool.execute("ANALYZE")
    assert postgres_scans(address, statements) == []
    await fill(bench, _FILL_POSTGRES)
    assert postgres_scans(address, statements) == []
    await pool.execute("ANALYZE")
    assert postgres_scans(address, statements) == []


def postgres_scans(address: str, statements: Sequence[str]) -> list[str]:
    """As the server plans them once for all arguments, under the settings that they ran with."""
    with psycopg.connect(address, autocommit=True) as held:
        held.execute("".join(f"SET {name} = {value};" for name, value in PLANNER_SETTINGS.items()))
        rows = [held.execute(f"EXPLAIN (FORMAT JSON, GENERIC_PLAN) {text}").fetchone() for text in statements]
    plans = [row[0][0]["Plan"] for row in rows if row]
    return [f"{node} in {text}" for text, plan in zip(statements, plans, strict=True) for node in _reads_all(plan)]


def _reads_all(plan: Mapping[str, Any]) -> Iterator[str]:
    """The readings of a table from end to end; one that ends after as many rows as are asked for is none."""
    table = plan.get("Relation Name", "")
    if table and "Index Cond" not in plan and plan["Node Type"] != "ModifyTable" and not _is_small(table):
        yield f"{plan['Node Type']} of {table}"
    for inner in plan.get("Plans", []):
        ends = plan["Node Type"] == "Limit" and inner["Node Type"].startswith("Index")
        for node in inner.get("Plans", []) if ends else [inner]:
            yield from _reads_all(node)


def _is_small(table: str) -> bool:
    return table in SMALL or table.startswith("pg_")
