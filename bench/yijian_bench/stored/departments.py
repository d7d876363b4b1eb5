"""What a department's own store keeps of tasks that are over: the task, and what its program wrote down about it."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import count, islice
from pathlib import Path
from typing import Any, Final

from yijian_messaging.retention import INBOX_DAYS, SENT_DAYS

from yijian_bench.stored.past import Past, days_ago, other, task

BATCH: Final = 20_000

# Tables of the messaging library and of the SDK are filled by name, not with one row for each copy.
# What a bureau held about people before anybody applied is its own, however many apply here.
_NOT_RECORDS: Final = frozenset(
    (
        "delivery", "household", "insured", "settlement", "marriage", "exemption",
        "consumer_offset", "inbox", "outbox", "outbox_unsent", "outbox_parked", "outbox_lease", "outbox_relay",
        "dead_letter", "incident", "task", "desk_record", "series", "records_file", "sqlite_sequence",
    )
)  # fmt: skip


def fill_store(path: Path, past: Past, *, have: int, wanted: int) -> int:
    """Add the copies after `have` up to `wanted`; returns the file's size. Its program should not run.

    The oldest is written first, as it was in truth, so that what comes after them belongs to the end of indexes by id.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as store:
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        # Not durable until the end: what a crash leaves behind is thrown away with the platform.
        for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -200000", "locking_mode = EXCLUSIVE"):
            store.execute(f"PRAGMA {setting}")
        store.execute("BEGIN")
        copies = range(wanted, have, -1)
        _fill(store, "task", _tasks(store, past, copies))
        for table in _record_tables(store):
            _fill(store, table, _records(store, past, table, copies))
        matters = store.execute("SELECT count(DISTINCT matter) FROM task").fetchone()[0]
        said, heard = (range(min(wanted, days_ago(days)), have, -1) for days in (SENT_DAYS, INBOX_DAYS))
        _fill(store, "outbox", _outbox(store, past, said, each=matters))
        _fill(store, "inbox", _inbox(past, heard, each=matters))
        store.execute("COMMIT")
        store.execute("PRAGMA journal_mode = WAL")
        store.execute("PRAGMA synchronous = FULL")
    return path.stat().st_size


def _fill(store: sqlite3.Connection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    waiting = iter(rows)
    while batch := list(islice(waiting, BATCH)):
        places = ", ".join("?" * len(batch[0]))
        store.executemany(f"INSERT INTO {table} VALUES ({places})", batch)  # noqa: S608 - own tables


def _columns(store: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in store.execute(f"PRAGMA table_info({table})")]


def _tasks(store: sqlite3.Connection, past: Past, copies: range) -> Iterator[tuple[Any, ...]]:
    columns = _columns(store, "task")
    # One of each matter.
    originals = store.execute("SELECT * FROM task WHERE state = 'ANSWERED' GROUP BY matter").fetchall()
    for n in copies:
        application, at = past.application(n), past.at(n).timestamp()
        for original in originals:
            row = dict(zip(columns, original, strict=True))
            row |= {
                "task_id": str(task(application, row["matter"])),
                "application_id": str(application),
                "changed_at": at,
            }
            yield tuple(row.values())


def _record_tables(store: sqlite3.Connection) -> list[str]:
    """The program's own tables, if something is in them."""
    names = [row[0] for row in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [
        name
        for name in names
        if name not in _NOT_RECORDS and store.execute(f"SELECT EXISTS (SELECT 1 FROM {name})").fetchone()[0]  # noqa: S608 - our own names
    ]


def _records(store: sqlite3.Connection, past: Past, table: str, copies: range) -> Iterator[tuple[Any, ...]]:
    """A row for each copy: like the last real one, under keys and numbers of its own."""
    columns = _columns(store, table)
    original = store.execute(f"SELECT * FROM {table} ORDER BY rowid DESC LIMIT 1").fetchone()  # noqa: S608 - our own names
    unique = _unique_columns(store, table)
    for n in copies:
        row = dict(zip(columns, original, strict=True))
        row |= {column: _own(row[column], n, f"{table}.{column}") for column in unique & row.keys()}
        if "task_id" in row:
            row["task_id"] = str(task(past.application(n), table))
        yield tuple(row.values())


def _unique_columns(store: sqlite3.Connection, table: str) -> set[str]:
    indexes = [row[1] for row in store.execute(f"PRAGMA index_list({table})") if row[2]]
    return {row[2] for index in indexes for row in store.execute(f"PRAGMA index_info({index})")}


def _own(value: Any, n: int, what: str) -> Any:
    """A value of the same kind and length, and of this copy alone."""
    derived = other(n, what)
    match value:
        case bytes():
            return (derived * (len(value) // len(derived) + 1))[: len(value)]
        case str():
            return derived.hex()[: max(len(value), 20)]
        case _:
            return value


def _outbox(store: sqlite3.Connection, past: Past, copies: range, *, each: int) -> Iterator[tuple[Any, ...]]:
    columns = _columns(store, "outbox")
    originals = store.execute("SELECT * FROM outbox ORDER BY id LIMIT ?", (each,)).fetchall()
    ids = count(store.execute("SELECT coalesce(max(id), 0) + 1 FROM outbox").fetchone()[0])
    for n in copies:
        for original in originals:
            row = dict(zip(columns, original, strict=True))
            row |= {
                "id": next(ids),
                "event_id": other(n, f"outbox/{row['id']}").hex(),
                "key": str(past.application(n)),
                "created_at": past.at(n).timestamp(),
            }
            yield tuple(row.values())


def _inbox(past: Past, copies: range, *, each: int) -> Iterator[tuple[Any, ...]]:
    for n in copies:
        for number in range(each):
            yield past.application(n).bytes[:8] + other(n, f"inbox/{number}"), past.at(n).timestamp()
