"""A department's SQLite file, read beside its program."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yijian_chaos.checker.facts import BIRTH
from yijian_chaos.checker.fingerprints import Fingerprints
from yijian_chaos.checker.snapshot import (
    DepartmentTask,
    Effect,
    Incident,
    Letter,
    Outgoing,
    Parked,
    Series,
    Stored,
    Unsent,
)

_LOADED = {"vaccination_record": "vaccination-record", "card": "card"}
"""The tables by number that a records file may fill beforehand, with the kind of the records that do."""


@dataclass(slots=True)
class StoreRows:
    """What the departments' files held."""

    tasks: list[DepartmentTask] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    known_numbers: dict[str, frozenset[str]] = field(default_factory=dict)
    inbox: dict[str, frozenset[str]] = field(default_factory=dict)
    inbox_repeated: dict[str, int] = field(default_factory=dict)
    stored: list[Stored] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)


def _rows(db: sqlite3.Connection, statement: str, *parameters: Any) -> Iterator[tuple[Any, ...]]:
    yield from db.execute(statement, parameters)


def open_store(path: Path) -> "closing[sqlite3.Connection]":
    return closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30))


def read_outboxes(stores: Mapping[str, Path]) -> list[Outgoing]:
    """Every row that was to go out."""
    found = []
    for code, path in stores.items():
        with open_store(path) as db:
            rows = _rows(
                db,
                "SELECT id, event_id, topic, key, headers, created_at FROM outbox ORDER BY id",
            )
            found += [
                Outgoing(code, number, event, topic, key, json.loads(headers).get("ce_type", ""), "", at)
                for number, event, topic, key, headers, at in rows
            ]
    return found


def read_unsent(stores: Mapping[str, Path], *, at: float) -> list[Unsent]:
    """What waits, and for how long by the reader's clock."""
    found = []
    for code, path in stores.items():
        with open_store(path) as db:
            rows = _rows(
                db,
                "SELECT u.id, u.event_id, o.created_at FROM outbox_unsent u LEFT JOIN outbox o ON o.id = u.id",
            )
            found += [Unsent(code, number, event, at - (since or 0.0)) for number, event, since in rows]
    return found


def read_stored(stores: Mapping[str, Path]) -> list[Stored]:
    """Offsets as they stand beside the effects."""
    found = []
    for code, path in stores.items():
        with open_store(path) as db:
            rows = _rows(db, "SELECT consumer, topic, partition, next_offset FROM consumer_offset")
            found += [Stored(code, *row) for row in rows]
    return found


def read_stores(stores: Mapping[str, Path], records: Mapping[str, Path], prints: Fingerprints) -> StoreRows:
    """Everything else that the departments keep."""
    found = StoreRows()
    for code, path in stores.items():
        with open_store(path) as db:
            _read_messaging(db, code, found)
            found.tasks += [
                DepartmentTask(code, task, application, matter, state, bool(answered))
                for task, application, matter, state, answered in _rows(
                    db, "SELECT task_id, application_id, matter, state, reply IS NOT NULL FROM task"
                )
            ]
            found.series += [Series(code, name, last) for name, last in _rows(db, "SELECT name, last FROM series")]
            _read_effects(db, code, found, prints)
    for table, kind in _LOADED.items():
        department = next(matter.department for matter in BIRTH.values() if matter.table == table)
        if department in records:
            found.known_numbers[table] = frozenset(_loaded(records[department], kind, prints))
    return found


def _read_messaging(db: sqlite3.Connection, code: str, found: StoreRows) -> None:
    keys = [key.hex() for (key,) in _rows(db, "SELECT id FROM inbox")]
    found.inbox[code] = frozenset(keys)
    found.inbox_repeated[code] = len(keys) - len(found.inbox[code])
    letters = list(
        _rows(db, "SELECT id, kind, consumer, topic, partition, record_offset, state, error, note FROM dead_letter")
    )
    found.letters += [Letter(code, *row[:7]) for row in letters]
    incidents = list(_rows(db, "SELECT kind, subject, closed_at IS NULL, summary FROM incident"))
    found.incidents += [Incident(code, kind, subject, bool(is_open)) for kind, subject, is_open, _ in incidents]
    found.parked += [Parked(code, key, row) for key, row in _rows(db, "SELECT key, row_id FROM outbox_parked")]
    found.texts += [(f"{code}.dead_letter", f"{row[7]}\n{row[8]}") for row in letters]
    found.texts += [(f"{code}.incident", f"{row[1]}\n{row[3]}") for row in incidents]


def _read_effects(db: sqlite3.Connection, code: str, found: StoreRows, prints: Fingerprints) -> None:
    for matter in BIRTH.values():
        if matter.department != code or not matter.table:
            continue
        column = "task_id" if matter.by_task else "number"
        for (value,) in _rows(db, f"SELECT {column} FROM {matter.table}"):  # noqa: S608 - our own table of facts
            if matter.by_task:
                # What was loaded from elsewhere was made for no task.
                found.effects += [Effect(code, matter.table, value, None)] if value is not None else []
            else:
                found.effects.append(Effect(code, matter.table, None, prints.of(value)))


def _loaded(path: Path, kind: str, prints: Fingerprints) -> Iterator[str]:
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            record = json.loads(line) if line.strip() else {}
            if record.get("kind") == kind:
                yield prints.of(record["number"])
