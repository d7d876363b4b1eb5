"""The department's own memory of its tasks: one row per task id, for ever.

While a task waits, its request is kept sealed; once it is decided only the content's keyed digest and the sealed answer
stay. Times are seconds since 1970, as everywhere in the store.
"""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import asdict

SCHEMA = """
CREATE TABLE IF NOT EXISTS task (
    task_id        TEXT PRIMARY KEY,
    application_id TEXT NOT NULL,
    matter         TEXT NOT NULL,
    state          TEXT NOT NULL,
    changed_at     REAL NOT NULL,
    area           TEXT,
    digest         BLOB,
    request        BLOB,
    reply          BLOB,
    note           TEXT NOT NULL DEFAULT '',
    failures       INTEGER NOT NULL DEFAULT 0,
    step           TEXT,
    next_look_at   REAL,
    traceparent    TEXT
);
CREATE INDEX IF NOT EXISTS task_due ON task (next_look_at) WHERE next_look_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS task_open ON task (changed_at) WHERE request IS NOT NULL;

CREATE TABLE IF NOT EXISTS desk_record (
    id       INTEGER PRIMARY KEY,
    task_id  TEXT NOT NULL,
    official TEXT NOT NULL,
    action   TEXT NOT NULL,
    at       REAL NOT NULL
);
"""


class TaskState(StrEnum):
    """ACCEPTED waits for the program, IN_REVIEW for an official, SUSPENDED for somebody outside, UNPROCESSABLE for a
    repair; ANSWERED and CANCELLED are final."""

    ACCEPTED = "ACCEPTED"
    IN_REVIEW = "IN_REVIEW"
    SUSPENDED = "SUSPENDED"
    UNPROCESSABLE = "UNPROCESSABLE"
    ANSWERED = "ANSWERED"
    CANCELLED = "CANCELLED"


class Step(StrEnum):
    """What is due at `next_look_at`: the handler is asked, what was waited for has happened, the scripted official
    decides."""

    ASK = "ASK"
    HAPPENED = "HAPPENED"
    PERSON = "PERSON"


class DeskAction(StrEnum):
    """What an official did about a task. LOOKED saw it masked, REVEALED in clear."""

    LOOKED = "LOOKED"
    REVEALED = "REVEALED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    RETURNED = "RETURNED"
    RETRIED = "RETRIED"


@dataclass(frozen=True, slots=True)
class Official:
    """Who acts at the desk: the account, which stays in the department, and the post, which the applicant is told."""

    subject: str
    post: str


class StoredTask(Struct):
    """A row of the table; a task cancelled before it was requested has no digest."""

    task_id: str
    application_id: str
    matter: str
    state: TaskState
    changed_at: float
    area: str | None = None
    digest: bytes | None = None
    request: bytes | None = None
    reply: bytes | None = None
    note: str = ""
    failures: int = 0
    step: Step | None = None
    next_look_at: float | None = None
    traceparent: str | None = None

    @property
    def is_final(self) -> bool:
        return self.state in (TaskState.ANSWERED, TaskState.CANCELLED)

    def finish(self, state: TaskState, at: float) -> None:
        """Reach a final state: the request is let go of and nothing is due any more."""
        self.state = state
        self.changed_at = at
        self.request = self.step = self.next_look_at = None

    def look_again(self, step: Step, at: float) -> None:
        self.step = step
        self.next_look_at = at


_SAVE = """
INSERT INTO task VALUES (
    :task_id, :application_id, :matter, :state, :changed_at, :area, :digest, :request, :reply, :note, :failures, :step,
    :next_look_at, :traceparent
) ON CONFLICT (task_id) DO UPDATE SET
    state = :state, changed_at = :changed_at, area = :area, digest = :digest, request = :request, reply = :reply,
    note = :note, failures = :failures, step = :step, next_look_at = :next_look_at
"""


def find_tasks(db: sqlite3.Connection, task_ids: Iterable[str]) -> dict[str, StoredTask]:
    """The known ones among these tasks, by id."""
    rows = db.execute(
        "SELECT * FROM task WHERE task_id IN (SELECT value FROM json_each(?))", (json.dumps(list(task_ids)),)
    )
    return {row["task_id"]: _task(row) for row in rows}


def find_task(db: sqlite3.Connection, task_id: str) -> StoredTask | None:
    row = db.execute("SELECT * FROM task WHERE task_id = ?", (task_id,)).fetchone()
    return _task(row) if row else None


def due_tasks(db: sqlite3.Connection, now: float, limit: int) -> list[StoredTask]:
    """Tasks whose next look has come, the longest due first."""
    return [
        _task(row)
        for row in db.execute("SELECT * FROM task WHERE next_look_at <= ? ORDER BY next_look_at LIMIT ?", (now, limit))
    ]


def next_due(db: sqlite3.Connection) -> float | None:
    """When the next task is due, or None when nothing is."""
    at: float | None = db.execute("SELECT min(next_look_at) FROM task WHERE next_look_at IS NOT NULL").fetchone()[0]
    return at


def open_tasks(db: sqlite3.Connection) -> list[StoredTask]:
    """Every undecided task."""
    return [_task(row) for row in db.execute("SELECT * FROM task WHERE request IS NOT NULL ORDER BY changed_at")]


def desk_tasks(db: sqlite3.Connection, *, matters: Iterable[str], area_prefix: str, limit: int) -> list[StoredTask]:
    """Undecided tasks of these matters that need somebody, the longest waiting first; those without an area are
    everybody's, the others belong to the areas that begin with `area_prefix`."""
    rows = db.execute(
        "SELECT * FROM task WHERE request IS NOT NULL AND state <> 'ACCEPTED'"
        " AND matter IN (SELECT value FROM json_each(?)) AND (area IS NULL OR substr(area, 1, ?) = ?)"
        " ORDER BY changed_at LIMIT ?",
        (json.dumps(list(matters)), len(area_prefix), area_prefix, limit),
    )
    return [_task(row) for row in rows]


def save_tasks(db: sqlite3.Connection, tasks: Iterable[StoredTask]) -> None:
    """Insert or replace these rows."""
    db.executemany(_SAVE, [asdict(task) for task in tasks])


def record_action(db: sqlite3.Connection, task_id: str, official: Official, action: DeskAction, *, at: float) -> None:
    """Note who looked at a task or did something about it."""
    db.execute(
        "INSERT INTO desk_record (task_id, official, action, at) VALUES (?, ?, ?, ?)",
        (task_id, official.subject, action, at),
    )


def _task(row: sqlite3.Row) -> StoredTask:
    task = StoredTask(**row)
    task.state = TaskState(task.state)
    task.step = Step(task.step) if task.step else None
    return task
