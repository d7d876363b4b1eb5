"""A task id has one effect for ever, whatever comes again, late, or in another order."""

import sqlite3
from typing import Any
from uuid import uuid4

import pytest
from yijian_contracts.events import (
    Outcome,
    ReceivedStatus,
    TaskAnswered,
    TaskMode,
    TaskReceived,
    TaskUnprocessable,
)
from yijian_department import approve, reject
from yijian_department.office import TaskClosedError
from yijian_department.tasks import TaskState
from yijian_department.testing import TestDepartment, cancellation, sample_task

Library = TestDepartment[Any]


def test_a_task_decided_at_once_is_answered_without_a_receipt(library: Library):
    task = sample_task("L1", {"reader_id_no": "A"})
    said = library.give_all([task])

    (answer,) = said
    assert isinstance(answer, TaskAnswered)
    assert answer.outcome is Outcome.APPROVED
    assert answer.personal.outputs == {"card_no": "C00001"}
    assert [(d.kind, d.number) for d in answer.personal.documents] == [("reader-card", "C00001")]
    assert answer.task_id == task.task_id
    assert answer.decided_by is None


def test_a_request_that_comes_again_gets_the_recorded_answer_and_has_no_second_effect(library: Library):
    task = sample_task("L1", {"reader_id_no": "A"})
    first = library.give(task)
    library.pass_time(3600)
    again = library.give(task)

    assert again == first
    assert again is not None
    assert first is not None
    assert again.event_id == first.event_id
    assert library.office.records.count() == 1


def test_the_same_request_twice_in_one_batch_is_one_task(library: Library):
    task = sample_task("L1", {"reader_id_no": "A"})
    first, second = library.give_all([task, task])

    assert first == second
    assert library.office.records.count() == 1


def test_a_repeated_request_that_still_waits_is_acknowledged_again(library: Library):
    task = sample_task("L1", {"reader_id_no": "A", "wish": "doubt"})
    first = library.give(task)
    again = library.give(task)

    assert isinstance(first, TaskReceived)
    assert first.status is ReceivedStatus.IN_REVIEW
    assert first.note == "需要核对证件"
    assert again == first


def test_other_content_under_the_same_id_changes_nothing_and_opens_an_incident(library: Library):
    application = uuid4()
    first = library.give(sample_task("L1", {"reader_id_no": "A"}, application_id=application))
    forged = sample_task("L1", {"reader_id_no": "B"}, application_id=application)

    assert library.give(forged) is None
    assert library.office.records.count() == 1
    (incident,) = library.incidents()
    assert incident.kind == "task-content-changed"
    assert incident.subject == str(forged.task_id)
    assert library.give(sample_task("L1", {"reader_id_no": "A"}, application_id=application)) == first


def test_a_task_cancelled_before_it_was_requested_is_never_handed_to_a_handler(library: Library):
    task = sample_task("L1", {"reader_id_no": "A"})
    assert library.give(cancellation(task)) is None
    assert library.give(task) is None
    assert library.give(task) is None

    assert library.office.records.count() == 0
    stored = library.stored(task)
    assert stored is not None
    assert stored.state is TaskState.CANCELLED


def test_request_and_cancellation_in_one_batch_are_taken_in_their_order(library: Library):
    task = sample_task("L1", {"reader_id_no": "A", "wish": "doubt"})
    said = library.give_all([task, cancellation(task)])

    assert [type(event) for event in said] == [TaskReceived]
    stored = library.stored(task)
    assert stored is not None
    assert stored.state is TaskState.CANCELLED
    assert stored.request is None


def test_cancelling_a_decided_task_changes_nothing(library: Library):
    task = sample_task("L1", {"reader_id_no": "A"})
    answer = library.give(task)
    assert library.give(cancellation(task)) is None
    assert library.give(task) == answer


def test_a_returned_and_a_refused_task_are_decided(library: Library):
    returned = library.give(sample_task("L1", {"reader_id_no": "A", "wish": "correct"}))
    assert isinstance(returned, TaskAnswered)
    assert returned.outcome is Outcome.RETURNED
    assert [(c.pointer, c.message) for c in returned.corrections] == [("/reader/name", "请填写真实姓名")]

    library.give(sample_task("L1", {"reader_id_no": "B"}))
    refused = library.give(sample_task("L1", {"reader_id_no": "B"}))
    assert isinstance(refused, TaskAnswered)
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, "已有读者证")


def test_a_proof_is_asked_of_its_own_handler(library: Library):
    library.give(sample_task("L1", {"reader_id_no": "A"}))
    proof = library.give(sample_task("L1", {"reader_id_no": "A"}, mode=TaskMode.PROVE))
    assert isinstance(proof, TaskAnswered)
    assert (proof.outcome, proof.personal.outputs) == (Outcome.PROVEN, {"card_no": "C00001"})


def test_a_task_that_needs_a_person_is_not_handed_to_the_handler(library: Library):
    task = sample_task("L1", {"reader_id_no": "A"}, needs_person=["未婚", "随父落户"])
    received = library.give(task)
    assert isinstance(received, TaskReceived)
    assert (received.status, received.note) == (ReceivedStatus.IN_REVIEW, "未婚；随父落户")
    assert library.office.records.count() == 0


def test_what_a_handler_wrote_before_it_failed_is_undone_and_its_neighbours_go_on(library: Library):
    said = library.give_all(
        [
            sample_task("L1", {"reader_id_no": "A"}),
            sample_task("L1", {"reader_id_no": "B", "wish": "crash"}),
            sample_task("L1", {"reader_id_no": "C"}),
        ]
    )
    assert [type(event) for event in said] == [TaskAnswered, TaskReceived, TaskAnswered]
    first, received, third = said
    assert isinstance(received, TaskReceived)
    assert received.status is ReceivedStatus.ACCEPTED
    assert isinstance(first, TaskAnswered)
    assert isinstance(third, TaskAnswered)
    # The number that the failing task had taken is given to the next one.
    assert (first.personal.outputs, third.personal.outputs) == ({"card_no": "C00001"}, {"card_no": "C00002"})


def test_a_handler_that_keeps_failing_makes_the_task_unprocessable_without_naming_values(library: Library):
    task = sample_task("L1", {"reader_id_no": "990101199001010019", "wish": "crash"})
    library.give(task)
    assert library.pass_time(1) == []
    (unprocessable,) = library.pass_time(2)

    assert isinstance(unprocessable, TaskUnprocessable)
    assert unprocessable.error.startswith("RuntimeError in issue_card (conftest.py:")
    assert "9901" not in unprocessable.error
    assert library.pass_time(86400) == []
    assert library.give(task) == unprocessable
    assert library.office.records.count() == 0


def test_a_matter_without_handler_and_unfit_fields_are_unprocessable(library: Library):
    unknown = library.give(sample_task("L9", {"reader_id_no": "A"}))
    assert isinstance(unknown, TaskUnprocessable)
    assert unknown.error == "no handler for matter L9 in mode DECIDE"

    unfit = library.give(sample_task("L1", {"reader_id_no": 990101199001010019, "area_code": []}))
    assert isinstance(unfit, TaskUnprocessable)
    assert "reader_id_no: string_type; area_code: string_type" in unfit.error
    assert "9901" not in unfit.error


def test_a_suspended_task_is_answered_when_what_it_waits_for_has_happened(library: Library):
    task = sample_task("L2", {"amount": 400})
    received = library.give(task)
    assert isinstance(received, TaskReceived)
    assert (received.status, received.note) == (ReceivedStatus.SUSPENDED, "等待缴费")

    (answer,) = library.happened(task)
    assert isinstance(answer, TaskAnswered)
    assert answer.personal.outputs == {"paid": 400}


def test_a_handler_may_ask_to_be_asked_again(library: Library):
    library.give(sample_task("L3", {"amount": 3}))
    assert library.pass_time(599) == []
    assert library.pass_time(1) == []
    (answer,) = library.pass_time(600)
    assert isinstance(answer, TaskAnswered)


def test_a_task_that_waits_may_be_answered_later_by_the_program(library: Library):
    task = sample_task("L2", {"amount": 400})
    library.give(task)
    answer = library.answer(task, reject("缴费期已过"))
    assert isinstance(answer, TaskAnswered)
    assert (answer.outcome, answer.decided_by) == (Outcome.REJECTED, None)
    with pytest.raises(TaskClosedError):
        library.answer(task, approve())


def test_an_answer_that_is_no_json_is_the_handlers_failure(library: Library):
    library.give(sample_task("L1", {"reader_id_no": "A", "wish": "nonsense"}))
    library.pass_time(1)
    (unprocessable,) = library.pass_time(2)
    assert isinstance(unprocessable, TaskUnprocessable)
    assert unprocessable.error.startswith("ValidationError in")
    assert library.office.records.count() == 0


def test_a_full_store_rolls_the_batch_back_and_counts_against_nobody(library: Library):
    db = library.office.records.db
    tasks = [sample_task("L1", {"reader_id_no": "A" * 9}), sample_task("L1", {"reader_id_no": "B" * 20_000})]
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        library.give_all([*tasks, *(sample_task("L1", {"reader_id_no": str(n)}) for n in range(200))])
    assert library.stored(tasks[0]) is None
    assert library.office.records.count() == 0

    db.execute(f"PRAGMA max_page_count = {pages * 100}")
    assert [type(event) for event in library.give_all(tasks)] == [TaskAnswered, TaskAnswered]


def test_a_restart_keeps_what_waits_and_what_was_decided(library: Library):
    waiting = sample_task("L2", {"amount": 400})
    failing = sample_task("L1", {"reader_id_no": "B", "wish": "crash"})
    decided = sample_task("L1", {"reader_id_no": "A"})
    answer = library.give_all([waiting, failing, decided])[-1]

    library.restart()

    assert library.give(decided) == answer
    assert [type(event) for event in library.pass_time(1) + library.pass_time(2)] == [TaskUnprocessable]
    (paid,) = library.happened(waiting)
    assert isinstance(paid, TaskAnswered)


def test_the_store_keeps_nothing_personal_in_clear(library: Library):
    canary = "990101199001010019"
    library.give(sample_task("L1", {"reader_id_no": canary, "wish": "doubt"}))
    library.give(sample_task("L1", {"reader_id_no": canary}))
    files = [path for path in library.folder.iterdir() if path.name.startswith("department.db")]
    assert files
    assert not [path.name for path in files if canary.encode() in path.read_bytes()]
