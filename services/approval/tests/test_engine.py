"""The engine by itself: what happens to an application, told without a database."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from approval import engine
from approval.application import (
    NEXT,
    Application,
    ApplicationStatus,
    Decision,
    Need,
    Task,
    TaskState,
    dump,
    load,
)
from approval.engine import CancelTask, Deliver, NotPossibleError, OpenIncident, RequestTask
from hypothesis import given
from hypothesis import strategies as st
from yijian_contracts.events import (
    AnswerParts,
    ApplicationOutcome,
    Correction,
    IssuedDocument,
    Outcome,
    ReceivedStatus,
    TaskAnswered,
    TaskReceived,
    TaskUnprocessable,
)

NOON = datetime(2026, 11, 21, 4, tzinfo=UTC)
ID = UUID("01930000-0000-7000-8000-000000000001")
S = TaskState

HEALTH, POLICE, INSURANCE, TAX = "health", "public-security", "medical-insurance", "taxation"


def graph(children: int = 1) -> tuple[Task, ...]:
    """The birth's shape: a certificate per child, what needs it, and a benefit for the whole family."""
    orders = range(1, children + 1)
    per_child = [
        task
        for n in orders
        for task in (
            Task(key=f"B2-{n}", matter="B2", department=HEALTH, child=n, needs=(Need(("C1",)),)),
            Task(key=f"B4-{n}", matter="B4", department=POLICE, child=n, needs=(Need((f"B2-{n}",)),)),
            Task(key=f"B5-{n}", matter="B5", department=INSURANCE, child=n, needs=(Need((f"B4-{n}",)),)),
        )
    ]
    benefit = Need(tuple(f"B2-{n}" for n in orders), any=True)
    return (
        Task(key="C1", matter="C1", department="civil-affairs"),
        *per_child,
        Task(key="B8", matter="B8", department=INSURANCE, needs=(benefit,)),
    )


def submitted(children: int = 1, **not_needed: str) -> Application:
    application = Application(
        id=ID,
        life_event="birth",
        digest="d",
        submitted_at=NOON,
        due_at=NOON + timedelta(hours=2),
        tasks=graph(children),
    )
    return engine.start(application, not_needed=not_needed, at=NOON).application


def reply(application: Application, key: str, outcome: Outcome = Outcome.APPROVED, **changes: object) -> TaskAnswered:
    task = application.find_task(key)
    assert task is not None
    fields = {
        "application_id": ID,
        "department": task.department,
        "task_id": engine.task_id(application, task),
        "matter": task.matter,
        "outcome": outcome,
        "decided_at": NOON,
    }
    return TaskAnswered.model_validate(fields | changes)


def answered(application: Application, event: TaskAnswered, *, at: datetime) -> engine.Step:
    """The engine's step, with any digest that tells two answers apart."""
    return engine.answer(application, event, digest=event.model_dump_json(exclude={"decided_at"}), at=at)


def approve_all(application: Application, *, but: dict[str, Outcome] | None = None) -> Application:
    """Answer whatever is asked until nothing is."""
    while asked := [t for t in application.tasks if t.state is S.SUBMITTED]:
        for task in asked:
            outcome = (but or {}).get(task.key, Outcome.APPROVED)
            application = answered(application, reply(application, task.key, outcome), at=NOON).application
    return application


def states(application: Application) -> dict[str, TaskState]:
    return {task.key: task.state for task in application.tasks}


def test_a_task_is_requested_when_what_it_needs_is_there():
    application = submitted()
    assert states(application) == {"C1": S.SUBMITTED, "B2-1": S.DRAFT, "B4-1": S.DRAFT, "B5-1": S.DRAFT, "B8": S.DRAFT}
    step = answered(application, reply(application, "C1"), at=NOON)
    assert [e.task.key for e in step.effects if isinstance(e, RequestTask)] == ["B2-1"]
    step = answered(step.application, reply(application, "B2-1"), at=NOON)
    assert [e.task.key for e in step.effects if isinstance(e, RequestTask)] == ["B4-1", "B8"]


def test_everything_granted_completes_the_application():
    done = approve_all(submitted())
    assert (done.status, done.outcome) == (ApplicationStatus.COMPLETED, ApplicationOutcome.ALL_GRANTED)
    assert set(states(done).values()) == {S.CLOSED}


def test_what_needs_a_refused_matter_is_blocked_and_the_rest_goes_on():
    done = approve_all(submitted(), but={"B4-1": Outcome.REJECTED})
    assert states(done) == {"C1": S.CLOSED, "B2-1": S.CLOSED, "B4-1": S.CLOSED, "B5-1": S.BLOCKED, "B8": S.CLOSED}
    assert done.outcome is ApplicationOutcome.PARTLY
    refused = done.find_task("B4-1")
    assert refused is not None
    assert refused.decision is Decision.DENIED


def test_nothing_granted_is_an_outcome_too():
    done = approve_all(submitted(), but={"C1": Outcome.REJECTED})
    assert done.outcome is ApplicationOutcome.NONE
    assert set(states(done).values()) == {S.CLOSED, S.BLOCKED}


def test_one_twin_failing_does_not_hold_the_other():
    done = approve_all(submitted(2), but={"B2-2": Outcome.REJECTED})
    assert states(done)["B5-1"] is S.CLOSED
    assert states(done)["B4-2"] is S.BLOCKED
    assert states(done)["B8"] is S.CLOSED, "one certificate is enough for the family's benefit"


def test_the_family_benefit_waits_for_every_twin():
    application = submitted(2)
    application = answered(application, reply(application, "C1"), at=NOON).application
    application = answered(application, reply(application, "B2-1"), at=NOON).application
    assert states(application)["B8"] is S.DRAFT
    application = answered(application, reply(application, "B2-2", Outcome.REJECTED), at=NOON).application
    assert states(application)["B8"] is S.SUBMITTED


def test_a_matter_that_does_not_apply_satisfies_who_needs_it():
    application = submitted(C1="未婚")
    assert states(application)["C1"] is S.NOT_NEEDED
    assert states(application)["B2-1"] is S.SUBMITTED
    assert approve_all(application).outcome is ApplicationOutcome.ALL_GRANTED


def test_an_answer_delivers_its_documents_once():
    application = submitted(C1="未婚")
    parts = AnswerParts(documents=(IssuedDocument(kind="certificate", number="Z990000001"),))
    answer = reply(application, "B2-1", personal=parts)
    first = answered(application, answer, at=NOON)
    assert [type(e) for e in first.effects] == [Deliver, RequestTask, RequestTask]
    assert first.entries[0].states == (S.ACCEPTED, S.IN_REVIEW, S.DECIDED_APPROVED, S.DELIVERED, S.CLOSED)
    again = answered(first.application, answer, at=NOON + timedelta(hours=1))
    assert (again.application, again.effects, again.entries) == (first.application, [], [])


def test_a_second_answer_that_differs_changes_nothing_and_opens_an_incident():
    application = submitted()
    decided = answered(application, reply(application, "C1"), at=NOON).application
    step = answered(decided, reply(application, "C1", Outcome.REJECTED), at=NOON)
    assert states(step.application) == states(decided)
    assert [e.kind for e in step.effects if isinstance(e, OpenIncident)] == ["answer-differs"]
    assert step.entries[0].kind == "ANSWER_IGNORED"


def test_an_answer_from_the_wrong_department_changes_nothing_and_opens_an_incident():
    application = submitted()
    step = answered(application, reply(application, "C1", department=TAX), at=NOON)
    assert states(step.application) == states(application)
    assert [e.kind for e in step.effects if isinstance(e, OpenIncident)] == ["wrong-department"]


def test_an_answer_for_a_task_that_was_never_asked_changes_nothing():
    application = submitted()
    step = answered(application, reply(application, "B4-1"), at=NOON)
    assert states(step.application) == states(application)
    assert step.entries[0].kind == "ANSWER_IGNORED"
    unknown = reply(application, "C1", task_id=UUID(int=5))
    step = answered(application, unknown, at=NOON)
    assert [e.kind for e in step.effects if isinstance(e, OpenIncident)] == ["unknown-task"]


def test_withdrawing_tells_departments_and_later_answers_change_nothing():
    application = submitted()
    step = engine.withdraw(application, at=NOON)
    assert [e.task.key for e in step.effects if isinstance(e, CancelTask)] == ["C1"]
    assert set(states(step.application).values()) == {S.WITHDRAWN}
    late = answered(step.application, reply(application, "C1"), at=NOON)
    assert states(late.application) == states(step.application)
    assert [e.kind for e in late.entries] == ["ANSWER_IGNORED"]
    assert late.effects == []
    with pytest.raises(NotPossibleError):
        engine.withdraw(step.application, at=NOON)


def test_what_was_decided_before_a_withdrawal_stands():
    application = submitted()
    application = answered(application, reply(application, "C1"), at=NOON).application
    withdrawn = engine.withdraw(application, at=NOON).application
    assert states(withdrawn)["C1"] is S.CLOSED
    assert states(withdrawn)["B2-1"] is S.WITHDRAWN


def test_a_correction_is_a_further_attempt_with_a_task_id_of_its_own():
    application = submitted()
    correction = Correction(pointer="/marriage/cert_no", message="证号与登记不一致")
    returned = answered(
        application, reply(application, "C1", Outcome.RETURNED, corrections=(correction,)), at=NOON
    ).application
    task = returned.find_task("C1")
    assert task is not None
    assert (task.state, task.corrections) == (S.RETURNED_FOR_CORRECTION, (correction,))
    step = engine.correct(returned, task_key="C1", replanned=graph(), not_needed={}, at=NOON)
    (request,) = [e for e in step.effects if isinstance(e, RequestTask)]
    assert (request.task.attempt, request.task.form_revision) == (2, 2)
    assert engine.task_id(step.application, request.task) != engine.task_id(returned, task)
    repeated = reply(returned, "C1", Outcome.RETURNED, corrections=(correction,))
    assert answered(step.application, repeated, at=NOON).entries == []
    other = answered(step.application, reply(returned, "C1"), at=NOON)
    assert [e.kind for e in other.effects if isinstance(e, OpenIncident)] == ["answer-differs"]
    assert states(other.application) == states(step.application)
    assert approve_all(step.application).outcome is ApplicationOutcome.ALL_GRANTED


def returned_for(application: Application, key: str) -> Application:
    correction = Correction(pointer="/marriage/cert_no", message="证号与登记不一致")
    event = reply(application, key, Outcome.RETURNED, corrections=(correction,))
    return answered(application, event, at=NOON).application


def test_a_correction_after_which_a_matter_no_longer_applies_ends_it():
    returned = returned_for(submitted(), "C1")
    step = engine.correct(returned, task_key="C1", replanned=graph(), not_needed={"C1": "未婚"}, at=NOON)
    assert states(step.application)["C1"] is S.NOT_NEEDED
    assert [e.task.key for e in step.effects if isinstance(e, RequestTask)] == ["B2-1"]


def test_a_correction_cannot_bring_back_a_matter_that_is_over():
    application = submitted(C1="未婚")
    returned = returned_for(application, "B2-1")
    with pytest.raises(NotPossibleError):
        engine.correct(returned, task_key="B2-1", replanned=graph(), not_needed={}, at=NOON)


def test_a_late_receipt_never_leads_back():
    application = submitted()
    suspended = engine.receive(application, receipt_of(application, "C1", ReceivedStatus.SUSPENDED), at=NOON)
    assert states(suspended.application)["C1"] is S.SUSPENDED
    for status in (ReceivedStatus.ACCEPTED, ReceivedStatus.SUSPENDED):
        late = engine.receive(suspended.application, receipt_of(application, "C1", status), at=NOON)
        assert (late.application, late.entries) == (suspended.application, [])


def receipt_of(application: Application, key: str, status: ReceivedStatus) -> TaskReceived:
    task = application.find_task(key)
    assert task is not None
    return TaskReceived(
        application_id=ID,
        department=task.department,
        task_id=engine.task_id(application, task),
        matter=task.matter,
        status=status,
        received_at=NOON,
    )


def test_only_what_was_returned_can_be_corrected():
    application = submitted()
    with pytest.raises(NotPossibleError):
        engine.correct(application, task_key="C1", replanned=graph(), not_needed={}, at=NOON)


def test_receipts_move_a_task_and_never_back_from_a_decision():
    application = submitted()
    task = application.find_task("C1")
    assert task is not None
    receipt = TaskReceived(
        application_id=ID,
        department="civil-affairs",
        task_id=engine.task_id(application, task),
        matter="C1",
        status=ReceivedStatus.IN_REVIEW,
        note="由工作人员核对",
        received_at=NOON,
    )
    reviewed = engine.receive(application, receipt, at=NOON)
    assert states(reviewed.application)["C1"] is S.IN_REVIEW
    assert reviewed.entries[0].states == (S.ACCEPTED, S.IN_REVIEW)
    assert engine.receive(reviewed.application, receipt, at=NOON).entries == []
    decided = answered(reviewed.application, reply(application, "C1", decided_by="officer"), at=NOON).application
    assert engine.receive(decided, receipt, at=NOON).application == decided


def test_an_unprocessable_task_is_an_incident_and_stays_open():
    application = submitted()
    task = application.find_task("C1")
    assert task is not None
    report = TaskUnprocessable(
        application_id=ID,
        department="civil-affairs",
        task_id=engine.task_id(application, task),
        matter="C1",
        error="RuntimeError",
        failed_at=NOON,
    )
    step = engine.report_unprocessable(application, report, at=NOON)
    assert states(step.application)["C1"] is S.SUBMITTED
    assert [e.kind for e in step.effects if isinstance(e, OpenIncident)] == ["task-unprocessable"]


def test_only_unanswered_tasks_are_asked_again_under_the_same_id():
    application = submitted()
    early = engine.resend(application, unanswered_since=NOON - timedelta(days=6), at=NOON)
    assert early.effects == []
    step = engine.resend(application, unanswered_since=NOON, at=NOON + timedelta(days=6))
    (again,) = step.effects
    assert isinstance(again, RequestTask)
    assert again.again
    assert engine.task_id(application, again.task) == reply(application, "C1").task_id


def test_an_operator_can_end_a_task_that_nobody_can_decide():
    application = submitted()
    step = engine.terminate(application, task_key="C1", reason="部门系统已停用", at=NOON)
    assert states(step.application)["C1"] is S.TERMINATED
    assert step.application.outcome is ApplicationOutcome.NONE


def test_a_failed_rekey_is_an_incident_and_undoes_nothing():
    tasks = (
        Task(key="B5-1", matter="B5", department=INSURANCE, child=1),
        Task(key="B5-rekey-1", matter="B5-rekey", department=INSURANCE, child=1, needs=(Need(("B5-1",)),)),
    )
    application = Application(id=ID, life_event="birth", digest="d", submitted_at=NOON, due_at=NOON, tasks=tasks)
    application = engine.start(application, not_needed={}, at=NOON).application
    application = answered(application, reply(application, "B5-1"), at=NOON).application
    step = answered(application, reply(application, "B5-rekey-1", Outcome.REJECTED), at=NOON)
    assert [e.kind for e in step.effects if isinstance(e, OpenIncident)] == ["rekey-failed"]
    kept = step.application.find_task("B5-1")
    assert kept is not None
    assert kept.decision is Decision.APPROVED


def test_an_application_reads_as_it_was_written():
    application = submitted(2)
    returned = answered(
        application,
        reply(application, "C1", Outcome.RETURNED, corrections=(Correction(pointer="/a", message="b"),)),
        at=NOON,
    ).application
    assert load(dump(returned)) == returned


OUTCOMES = st.sampled_from([Outcome.APPROVED, Outcome.REJECTED, Outcome.NOT_ACCEPTED, Outcome.PROVEN])
KEYS = [task.key for task in graph(2)]


@given(
    outcomes=st.fixed_dictionaries(dict.fromkeys(KEYS, OUTCOMES)),
    order=st.permutations(KEYS),
    other=st.permutations(KEYS),
    repeats=st.lists(st.sampled_from(KEYS), max_size=8),
)
def test_any_order_of_answers_gives_the_same_final_state(
    outcomes: dict[str, Outcome], order: Sequence[str], other: Sequence[str], repeats: Sequence[str]
):
    first = _answer_in(order, outcomes, [])
    second = _answer_in(other, outcomes, repeats)
    assert _final(first) == _final(second)
    assert first.status is ApplicationStatus.COMPLETED


def _answer_in(order: Sequence[str], outcomes: dict[str, Outcome], repeats: Sequence[str]) -> Application:
    """Departments answer in this order of preference, whatever they were asked by then; some say it again."""
    application = submitted(2)
    told: list[TaskAnswered] = []
    while application.status is ApplicationStatus.IN_PROGRESS:
        key = next(key for key in order if states(application)[key] is S.SUBMITTED)
        told.append(reply(application, key, outcomes[key]))
        step = answered(application, told[-1], at=NOON)
        for entry in step.entries:
            _assert_path(application, entry.task, entry.states)
        application = step.application
        for again in told:
            if again.matter in {repeated.split("-")[0] for repeated in repeats}:
                application = answered(application, again, at=NOON).application
    return application


def _assert_path(before: Application, key: str, path: Sequence[TaskState]) -> None:
    task = before.find_task(key)
    state = task.state if task else S.DRAFT
    for following in path:
        assert following in NEXT[state], f"{state} → {following} is not in the table"
        state = following


def _final(application: Application) -> object:
    tasks = [(t.key, t.state, t.decision) for t in application.tasks]
    return (application.status, application.outcome, tasks)


def test_every_state_can_be_reached_and_left_only_by_the_table():
    reachable = {S.DRAFT}
    while more := {n for state in reachable for n in NEXT[state]} - reachable:
        reachable |= more
    assert reachable == set(TaskState)
    assert msgspec.json.decode(dump(submitted()).encode())["tasks"]
