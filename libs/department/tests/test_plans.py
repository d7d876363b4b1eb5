"""However many tasks a department has decided, what it asks its store is a look-up by key or by what still waits."""

import re
import sqlite3

import pytest
from yijian_department.tasks import (
    SCHEMA,
    DeskAction,
    Official,
    Step,
    StoredTask,
    TaskState,
    desk_tasks,
    due_tasks,
    find_task,
    find_tasks,
    next_due,
    open_tasks,
    record_action,
    save_tasks,
)

DECIDED = 20_000


def waiting(name: str) -> StoredTask:
    task = StoredTask(name, "a", "B1", TaskState.IN_REVIEW, 1.0, area="990100000000", request=b"x")
    task.look_again(Step.ASK, 5.0)
    return task


@pytest.fixture
def db() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    connection.executescript(SCHEMA)
    save_tasks(connection, [StoredTask(f"t{n}", "a", "B1", TaskState.ANSWERED, float(n)) for n in range(DECIDED)])
    save_tasks(connection, [waiting("w")])
    return connection


def everything(db: sqlite3.Connection) -> None:
    """All that `tasks` can be asked."""
    assert set(find_tasks(db, ["t1", "w", "unknown"])) == {"t1", "w"}
    assert find_task(db, "w") is not None
    assert [task.task_id for task in due_tasks(db, 9.0, 10)] == ["w"]
    assert next_due(db) == 5.0
    assert [task.task_id for task in open_tasks(db)] == ["w"]
    assert [task.task_id for task in desk_tasks(db, matters=["B1"], area_prefix="9901", limit=5)] == ["w"]
    save_tasks(db, [waiting("w")])
    record_action(db, "w", Official("o", "p"), DeskAction.LOOKED, at=1.0)


def test_no_statement_reads_all_tasks(db: sqlite3.Connection):
    ran: set[str] = set()
    db.set_trace_callback(ran.add)
    everything(db)
    db.set_trace_callback(None)
    statements = [text for text in ran if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE)\b", text)]
    assert len(statements) == 8
    # The two partial indexes hold what waits: to read one of them is to read that.
    read = [
        f"{row[3]} in {text}"
        for text in statements
        for row in db.execute(f"EXPLAIN QUERY PLAN {text}")
        if re.match(r"SCAN (task|desk_record)\b(?! USING (COVERING )?INDEX task_(open|due))", row[3])
    ]
    assert read == []
