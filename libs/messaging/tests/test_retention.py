"""What is past its time goes, however much of it there is, and what is not stays."""

import sqlite3

import pytest
from yijian_messaging import postgres_purge, sqlite_purge
from yijian_messaging.record import Record
from yijian_messaging.store import LetterState
from yijian_messaging.testing import wait_until

from .conftest import Bench
from .line import Line
from .test_retained import effort, run

MANY = 12_000  # more than a batch of either store


def keys(first: int, count: int) -> list[bytes]:
    return [b"%024d" % number for number in range(first, first + count)]


async def age(bench: Bench, table: str, column: str, days: int, where: str = "true") -> None:
    async with bench.store.transaction() as transaction:
        if isinstance(transaction.connection, sqlite3.Connection):
            older = f"{column} - {days * 86400}"
        else:
            older = f"{column} - interval '{days} days'"
        await run(transaction, f"UPDATE {table} SET {column} = {older} WHERE {where}")  # noqa: S608 - literals


async def purge(bench: Bench) -> None:
    while await bench.store.purge():
        pass


async def handle(bench: Bench, first: int, count: int) -> None:
    async with bench.store.transaction() as transaction:
        await transaction.unseen(keys(first, count))


async def test_many_old_keys_go_in_several_transactions_and_fresh_ones_stay(bench: Bench):
    await handle(bench, 0, MANY)
    await age(bench, "inbox", "seen_at", 33)
    await handle(bench, MANY, 3)
    assert await bench.store.purge()
    ((left,),) = await bench.query("SELECT count(*) FROM inbox")
    assert 3 < left < MANY + 3
    await purge(bench)
    assert [row[0] for row in await bench.query("SELECT id FROM inbox ORDER BY id")] == keys(MANY, 3)


async def test_looking_for_what_is_old_costs_nothing_while_all_is_fresh(bench: Bench):
    await handle(bench, 0, MANY)
    async with bench.store.transaction() as transaction:
        connection = transaction.connection
        doing = swept(connection) if isinstance(connection, sqlite3.Connection) else postgres_purge.purge(connection)
        assert await effort(transaction, doing) < 10


async def swept(connection: sqlite3.Connection) -> bool:
    return sqlite_purge.purge(connection)


async def test_the_relay_works_off_what_has_piled_up(line: Line):
    await handle(line.bench, 0, MANY)
    await age(line.bench, "inbox", "seen_at", 33)
    async with line.running():
        await wait_until(lambda: empty(line.bench), what="the inbox to be empty")


async def empty(bench: Bench) -> bool:
    return await bench.query("SELECT count(*) FROM inbox") == [(0,)]


@pytest.fixture
async def settled(bench: Bench) -> Bench:
    """A dead letter that was discarded, and one that still waits."""
    async with bench.store.transaction() as transaction:
        record = Record("t", 0, 7, b"key", b"somebody", (), 0)
        await transaction.bury("c", [(record, "not JSON"), (record, "not JSON")])
    decided, _ = await bench.store.letters()
    await bench.store.discard(decided.id, note="nobody needs it")
    return bench


async def test_the_record_of_a_settled_letter_goes_and_what_was_decided_stays(settled: Bench):
    await age(settled, "dead_letter", "settled_at", 91, "settled_at IS NOT NULL")
    await age(settled, "dead_letter", "created_at", 91)
    await purge(settled)
    decided, waiting = [await settled.store.letter(letter.id) for letter in await settled.store.letters()]
    assert (decided.state, decided.note, decided.record.value) == (LetterState.DISCARDED, "nobody needs it", None)
    assert (waiting.state, waiting.record.value) == (LetterState.DEAD, b"somebody")
    assert len(await settled.store.incidents(open_only=False)) == 2


async def test_after_more_than_a_year_only_what_is_open_is_left(settled: Bench):
    await age(settled, "dead_letter", "settled_at", 401, "settled_at IS NOT NULL")
    await age(settled, "dead_letter", "created_at", 401)
    await age(settled, "incident", "closed_at", 401, "closed_at IS NOT NULL")
    await age(settled, "incident", "opened_at", 401)
    await purge(settled)
    (letter,) = await settled.store.letters()
    (incident,) = await settled.store.incidents(open_only=False)
    assert (letter.state, incident.subject) == (LetterState.DEAD, str(letter.id))


@pytest.mark.parametrize("bench", ["sqlite"], indirect=True)
async def test_sent_rows_go_from_sqlite_after_eight_days_and_unsent_ones_stay(bench: Bench):
    async with bench.store.transaction() as transaction:
        columns = "shard, event_id, topic, key, headers, value, personal, created_at"
        rows = "(0, 'unsent', 't', 'k', '{}', x'', 0, 0), (0, 'sent', 't', 'k', '{}', x'', 0, 0)"
        await run(transaction, f"INSERT INTO outbox ({columns}) VALUES {rows}")  # noqa: S608 - literals
        await run(
            transaction,
            "INSERT INTO outbox_unsent (id, shard, event_id) SELECT id, shard, event_id FROM outbox WHERE id = 1",
        )
    await purge(bench)
    assert await bench.query("SELECT event_id FROM outbox") == [("unsent",)]
