"""The how-to's program and tests run as they are printed, and its events are events."""

import re
from pathlib import Path
from typing import Any

import pytest
from yijian_contracts import events
from yijian_contracts.departments import get_department
from yijian_contracts.events import TaskAnswered, TaskReceived, TaskRequested, TaskUnprocessable

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/how-to/connect-a-department.md").read_text(encoding="utf-8")


def printed() -> dict[str, Any]:
    """The names that the document's two blocks of code define."""
    blocks = re.findall(r"```python (program|test)\n(.*?)```", TEXT, re.DOTALL)
    assert [label for label, _ in blocks] == ["program", "test"]
    names: dict[str, Any] = {"__name__": "how_to"}
    for label, code in blocks:
        exec(compile(code, f"connect-a-department.md ({label})", "exec"), names)  # noqa: S102 - our own document
    return names


NAMES = printed()


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("test_")])
def test_what_is_printed_runs(name: str):
    NAMES[name]()


def printed_event(name: str) -> events.Event:
    (text,) = re.findall(rf"```json {name}\n(.*?)```", TEXT, re.DOTALL)
    model: type[events.Event] = getattr(events, name)
    return model.model_validate_json(text)


def test_the_printed_events_are_about_one_task_and_have_the_printed_ids():
    requested, answered, received = map(printed_event, ("TaskRequested", "TaskAnswered", "TaskReceived"))
    assert isinstance(requested, TaskRequested)
    assert isinstance(answered, TaskAnswered)
    assert isinstance(received, TaskReceived)
    assert requested.task_id == answered.task_id == received.task_id
    assert requested.key == answered.key == received.key
    assert requested.topic == get_department("disease-control").tasks_topic
    headers = re.findall(r"^ce_id +(\S+)\n(?:ce_source.*\n)?ce_type +(\S+)$", TEXT, re.MULTILINE)
    assert headers == [(str(event.event_id), event.full_type()) for event in (requested, answered)]
    ids = dict(re.findall(r"^\| (Task\w+) \| `event:[^`]+` \| `(\S+)` \|$", TEXT, re.MULTILINE))
    assert ids == {
        "TaskAnswered": str(answered.event_id),
        "TaskUnprocessable": str(TaskUnprocessable.id_for(requested.task_id)),
        "TaskReceived": str(received.event_id),
    }


def test_the_task_to_try_it_with_is_the_printed_one():
    task = (ROOT / "examples/java-department/task.json").read_text(encoding="utf-8")
    assert TaskRequested.model_validate_json(task) == printed_event("TaskRequested")
