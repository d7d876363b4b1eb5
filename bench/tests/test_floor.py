"""The floor writes as many rows as it was told, however few a single unit brings."""

import sqlite3
from pathlib import Path

from yijian_bench.floor.shape import Table
from yijian_bench.floor.tables import SqliteTables


def rows_in(path: Path, table: str) -> int:
    with sqlite3.connect(path) as store:
        found: int = store.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - our own name
    store.close()
    return found


async def test_what_a_unit_leaves_in_fractions_is_carried_over(tmp_path: Path):
    path = tmp_path / "floor.db"
    tables = [Table("task", row_bytes=600, indexes=3, inserted=1.0, updated=0, deleted=0)]
    # Ten units an application: each unit is a tenth of a row.
    store = SqliteTables(path, tables, per_unit=0.1)
    for _ in range(7):
        await store.write(5)
    assert rows_in(path, "task") == 3
    await store.write(5)
    assert rows_in(path, "task") == 4


async def test_what_was_to_be_sent_is_gone_once_it_was(tmp_path: Path):
    path = tmp_path / "floor.db"
    outbox = Table("outbox", row_bytes=900, indexes=1, inserted=2.0, updated=0, deleted=0)
    unsent = Table("outbox_unsent", row_bytes=60, indexes=2, inserted=2.0, updated=0, deleted=2.0)
    store = SqliteTables(path, [outbox, unsent], per_unit=1.0)
    await store.write(4)
    assert (rows_in(path, "outbox"), rows_in(path, "outbox_unsent")) == (8, 8)
    await store.clear()
    assert (rows_in(path, "outbox"), rows_in(path, "outbox_unsent")) == (8, 0)
