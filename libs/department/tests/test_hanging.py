"""A handler that gives no answer holds up its department for seconds, not for ever."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from pydantic import BaseModel
from yijian_contracts.events import ReceivedStatus, TaskAnswered, TaskReceived, TaskUnprocessable
from yijian_department import Answer, Department, Records, Task, approve, asking
from yijian_department.tasks import TaskState
from yijian_department.testing import TestDepartment, sample_task

Bureau = TestDepartment[Records]

LIMIT = 0.2


class Enquiry(BaseModel):
    answered: bool = True


slow = Department("taxation", tries=2)


@slow.matter("T1")
async def ask_elsewhere(task: Task[Enquiry], records: Records) -> Answer:
    number = records.next_number("enquiry")
    if not task.fields.answered:
        await asyncio.Event().wait()
    return approve({"number": number})


@slow.matter("T2")
async def ask_with_a_limit_of_its_own(_: Task[Enquiry], __: Records) -> Answer:
    async with asyncio.timeout(0.001):
        await asyncio.Event().wait()
    return approve()


@pytest.fixture
def bureau(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bureau]:
    monkeypatch.setattr(asking, "HANDLER_SECONDS", LIMIT)
    with TestDepartment(slow) as running:
        yield running


def test_a_task_without_an_answer_waits_and_its_neighbours_are_decided(bureau: Bureau):
    silent = sample_task("T1", {"answered": False})
    before, received, after = bureau.give_all([sample_task("T1", {}), silent, sample_task("T2", {})])
    assert isinstance(before, TaskAnswered)
    assert isinstance(received, TaskReceived)
    assert (received.task_id, received.status) == (silent.task_id, ReceivedStatus.ACCEPTED)
    assert isinstance(after, TaskReceived)

    stored = bureau.stored(silent)
    assert stored is not None
    assert (stored.state, stored.failures) == (TaskState.ACCEPTED, 1)
    (answer,) = bureau.give_all([sample_task("T1", {})])
    assert isinstance(answer, TaskAnswered)
    assert answer.personal.outputs == {"number": 2}, "what the silent handler wrote is undone"


def test_a_silence_is_waited_for_once_in_a_transaction(bureau: Bureau):
    tasks = [sample_task("T1", {"answered": False}) for _ in range(20)]
    began = time.monotonic()
    assert [type(event) for event in bureau.give_all(tasks)] == [TaskReceived] * 20
    assert time.monotonic() - began < LIMIT * 5
    stored = [bureau.stored(task) for task in tasks]
    assert [task.failures for task in stored if task] == [1] + [0] * 19, "only what was asked about counts"


def test_a_handler_that_stays_silent_is_given_up(bureau: Bureau):
    bureau.give(sample_task("T1", {"answered": False}))
    (unprocessable,) = bureau.pass_time(1)
    assert isinstance(unprocessable, TaskUnprocessable)
    assert unprocessable.error == "no answer within 0.2 seconds"


def test_a_limit_of_the_handlers_own_is_its_ordinary_failure(bureau: Bureau):
    bureau.give(sample_task("T2", {}))
    (unprocessable,) = bureau.pass_time(1)
    assert isinstance(unprocessable, TaskUnprocessable)
    assert unprocessable.error.startswith("TimeoutError in")


def test_an_approval_without_an_answer_leaves_the_task_at_the_desk(bureau: Bureau):
    task = sample_task("T1", {"answered": False}, needs_person=["核对"])
    bureau.give(task)
    answer = bureau.desk("POST", f"/desk/tasks/{task.task_id}/decision", matters=["T1"], body={"act": "APPROVE"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/cannot-approve")
    assert bureau.desk("GET", f"/desk/tasks/{task.task_id}", matters=["T1"]).status_code == 200
