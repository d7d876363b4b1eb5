"""Applications of the past fit from store to store, and the ledger over them is one that anybody can verify."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from yijian_bench.stored.departments import fill_store
from yijian_bench.stored.ledger import TOGETHER, sign_all
from yijian_bench.stored.past import FUNCTIONS, STEP_MS, Past, days_ago, other, task
from yijian_department.tasks import SCHEMA as TASKS
from yijian_embedded.testing import FreshDatabase
from yijian_ledger.builder import TreeBuilder
from yijian_ledger.checkpoints import open_checkpoint
from yijian_ledger.keys import new_key
from yijian_ledger.leaf import LeafKind, make_leaf, new_salt
from yijian_messaging.sqlite import SCHEMA_V1

PAST = Past(round(datetime(2026, 11, 21, tzinfo=UTC).timestamp() * 1000))


def test_a_million_applications_reach_back_a_year():
    assert (PAST.at(0) - PAST.at(1_000_000)).days == 365
    assert days_ago(8) * STEP_MS <= 8 * 86_400_000 < (days_ago(8) + 1) * STEP_MS


def test_an_id_is_of_its_time_and_of_its_copy_alone():
    ids = [PAST.application(n) for n in range(1, 1000)]
    assert sorted(ids, reverse=True) == ids
    assert len(set(ids)) == len(ids)
    assert {one.version for one in ids} == {7}


@pytest.mark.postgres
async def test_the_database_derives_the_same_ids(fresh_database: FreshDatabase):
    connection = await asyncpg.connect(fresh_database("approval"))
    try:
        await connection.execute(FUNCTIONS)
        for n in (1, 77, 999_999):
            derived = await connection.fetchrow(
                "SELECT pg_temp.application($1, $2), pg_temp.task(pg_temp.application($1, $2), 'B4'),"
                " pg_temp.other($1, 'holder/1')",
                n,
                PAST.origin_ms - n * STEP_MS,
            )
            assert derived is not None
            assert (derived[0], derived[1], derived[2].bytes) == (
                PAST.application(n),
                task(PAST.application(n), "B4"),
                other(n, "holder/1"),
            )
    finally:
        await connection.close()


@pytest.mark.postgres
async def test_the_tree_over_the_copies_is_the_tree_over_all_leaves(fresh_database: FreshDatabase):
    """Signed in two goes, the second from the middle of a tile on."""
    key = new_key("test.example/ledger")
    leaves = [
        make_leaf(task(PAST.application(n), "B4"), LeafKind.DISCLOSURE, {"n": n}, salt=new_salt())
        for n in range(3 * TOGETHER + 7)
    ]
    connection = await asyncpg.connect(fresh_database("data-exchange"))
    try:
        for first, last in ((0, TOGETHER + 3), (TOGETHER + 3, len(leaves))):
            await connection.executemany(
                "INSERT INTO ledger.leaf VALUES ($1, $2, $3)",
                [(place, leaves[place].id, leaves[place].data) for place in range(first, last)],
            )
            assert await sign_all(connection, key) == last
        notes = await connection.fetch("SELECT size, note FROM ledger.checkpoint ORDER BY size")
        tiles = await connection.fetch("SELECT level, index, root FROM ledger.tile ORDER BY level, index")
    finally:
        await connection.close()
    tree = TreeBuilder()
    for row in notes:
        full = tree.extend(leaf.hash for leaf in leaves[tree.size : row["size"]])
        checkpoint, _ = open_checkpoint(row["note"], key.public)
        assert (checkpoint.size, checkpoint.root) == (tree.size, tree.root())
        assert {(tile.level, tile.index, tile.root) for tile in full} <= {tuple(tile) for tile in tiles}
    assert len(tiles) == 3


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A department's file after one application: a task of each of two matters, and what came of one."""
    path = tmp_path / "health.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            SCHEMA_V1 + TASKS + "CREATE TABLE card (number TEXT PRIMARY KEY, key BLOB UNIQUE, task_id TEXT);"
        )
        for matter in ("B1", "B2"):
            db.execute(
                "INSERT INTO task (task_id, application_id, matter, state, changed_at, reply)"
                " VALUES (?, 'a', ?, 'ANSWERED', 0, x'01')",
                (matter, matter),
            )
            db.execute(
                "INSERT INTO outbox (shard, event_id, topic, key, headers, value, personal)"
                " VALUES (0, ?, 't', 'k', '{}', x'', 0)",
                (matter,),
            )
        db.execute("INSERT INTO card VALUES ('C00001', x'0102030405060708', 'B1')")
        db.commit()
    return path


def test_a_department_keeps_a_task_of_each_matter_and_a_record_of_every_copy(store: Path):
    fill_store(store, PAST, have=0, wanted=50)
    fill_store(store, PAST, have=50, wanted=80)
    with closing(sqlite3.connect(store)) as db:
        rows = db.execute(
            "SELECT task_id, application_id FROM task WHERE matter = 'B1' ORDER BY changed_at DESC"
        ).fetchall()
        assert rows[:2] == [(str(task(PAST.application(n), "B1")), str(PAST.application(n))) for n in (1, 2)]
        counts = [
            db.execute(statement).fetchone()[0]
            for statement in (
                "SELECT count(*) FROM task",
                "SELECT count(*) FROM card",
                "SELECT count(*) FROM outbox",
                "SELECT count(*) FROM inbox",
            )
        ]
        assert counts == [2 + 2 * 80, 1 + 80, 2 + 2 * 80, 2 * 80]
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_what_is_gone_after_some_days_is_there_for_the_copies_of_those_days(store: Path):
    fill_store(store, PAST, have=days_ago(8) - 5, wanted=days_ago(8) + 5)
    with closing(sqlite3.connect(store)) as db:
        assert db.execute("SELECT count(*) FROM outbox").fetchone()[0] == 2 + 2 * 5
        assert db.execute("SELECT count(*) FROM inbox").fetchone()[0] == 2 * 10
