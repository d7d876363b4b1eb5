"""What happens to an application: a pure function of its state and what arrives.

No database, no clock, no Kafka here: `at` is given, effects are returned for the actions to carry out. Any order of
the same answers leads to the same final state.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache

import msgspec
from yijian_contracts.events import Outcome, TaskAnswered, TaskReceived, TaskUnprocessable

from approval import consenting
from approval.application import (
    NEXT,
    TERMINAL,
    WITH_DEPARTMENT,
    Application,
    ApplicationStatus,
    Decision,
    Need,
    Task,
    TaskState,
)
from approval.consenting import Agreed
from approval.planning import PlannedTask
from approval.settling import drop, drop_idle_consents, may_be_sent, request, settle
from approval.steps import (
    CancelTask,
    ChangeConsent,
    Complete,
    Deliver,
    Effect,
    Entry,
    EntryKind,
    NotPossibleError,
    OpenIncident,
    RequestTask,
    Step,
    Withdraw,
    attempt_id,
    task_id,
)

__all__ = [
    "CancelTask",
    "ChangeConsent",
    "Complete",
    "Deliver",
    "Effect",
    "Entry",
    "EntryKind",
    "NotPossibleError",
    "OpenIncident",
    "RequestTask",
    "Step",
    "Withdraw",
    "answer",
    "correct",
    "proceed",
    "receive",
    "report_unprocessable",
    "resend",
    "start",
    "task_id",
    "tasks_of",
    "terminate",
    "withdraw",
]

S = TaskState

# Where a receipt may lead from a state.
_AHEAD: dict[TaskState, frozenset[TaskState]] = {
    S.SUBMITTED: frozenset({S.ACCEPTED, S.IN_REVIEW, S.SUSPENDED}),
    S.ACCEPTED: frozenset({S.IN_REVIEW, S.SUSPENDED}),
    S.IN_REVIEW: frozenset({S.SUSPENDED}),
    S.SUSPENDED: frozenset({S.IN_REVIEW}),
}


def tasks_of(plan: Sequence[PlannedTask]) -> tuple[Task, ...]:
    """The tasks of a plan, as an application begins with them."""
    return tuple(
        Task(
            key=planned.key,
            matter=planned.matter,
            department=planned.department,
            child=planned.child,
            needs=tuple(Need(tasks=need.tasks, any=need.any) for need in planned.needs),
            mode=planned.mode,
            needs_person=planned.needs_person,
            consents=planned.consents,
        )
        for planned in plan
    )


# --- the applicant ---------------------------------------------------------------------------------------------------


def start(
    application: Application,
    *,
    not_needed: Mapping[str, str],
    agreed: Mapping[tuple[str, str], Agreed] | None = None,
    at: datetime,
) -> Step:
    """A new application: matters that do not apply are over, and what needs nothing is requested.

    `agreed` are the consents that came with it, by basis and giver; for the others it waits.
    """
    step = Step(application)
    step.note(EntryKind.SUBMITTED, at, actor="applicant")
    consenting.begin(step, agreed or {}, at)
    for task in application.tasks:
        if task.key in not_needed:
            drop(step, task, not_needed[task.key], at)
    settle(step, at)
    return step


def withdraw(application: Application, *, at: datetime, actor: str = "applicant", note: str = "") -> Step:
    """The applicant takes the application back, or somebody in it is forgotten; what was decided stands."""
    if application.status is not ApplicationStatus.IN_PROGRESS:
        raise NotPossibleError("这份申请已经办结或撤回，不能再撤回。")
    step = Step(application)
    step.application = msgspec.structs.replace(application, status=ApplicationStatus.WITHDRAWN, completed_at=at)
    step.note(EntryKind.WITHDRAWN, at, actor=actor, note=note)
    step.effects.append(Withdraw())
    for task in application.tasks:
        if not task.terminal:
            if task.state in WITH_DEPARTMENT:
                step.effects.append(CancelTask(task, "申请人撤回了申请" if actor == "applicant" else "申请已经终止"))
            step.change(msgspec.structs.replace(task, state=S.WITHDRAWN, ended_at=at))
    drop_idle_consents(step)
    return step


def correct(
    application: Application,
    *,
    task_key: str,
    replanned: Sequence[Task],
    not_needed: Mapping[str, str],
    at: datetime,
) -> Step:
    """The applicant corrected what a department returned: the task is asked again, as a further attempt.

    `replanned` and `not_needed` are the plan for the corrected form. Tasks that no department knows of yet follow it.
    """
    task = application.find_task(task_key)
    if application.status is not ApplicationStatus.IN_PROGRESS or task is None:
        raise NotPossibleError("这份申请已经办结或撤回，不能再补正。")
    if task.state is not S.RETURNED_FOR_CORRECTION:
        raise NotPossibleError("这个事项没有等待补正的内容。")
    plan = {planned.key: planned for planned in replanned}
    other_tasks = plan.keys() != {t.key for t in application.tasks}
    if other_tasks or _brought_back(application, not_needed) or _asks_for_more(application, replanned):
        raise NotPossibleError("这样修改会改变需要办理的事项，请撤回后重新申请。")
    step = Step(msgspec.structs.replace(application, form_revision=application.form_revision + 1))
    step.note(EntryKind.TASK_CORRECTED, at, task=task_key, actor="applicant")
    for other in application.tasks:
        if other.key == task_key or other.state is S.DRAFT:
            _follow(step, other, plan[other.key], not_needed.get(other.key), at)
    corrected = step.application.find_task(task_key)
    if corrected is not None and not corrected.terminal:
        if not may_be_sent(step.application, corrected, at):
            raise NotPossibleError("这样修改需要另外取得同意，请撤回后重新申请。")
        request(step, msgspec.structs.replace(corrected, attempt=task.attempt + 1, corrections=(), reason=""), at)
    settle(step, at)
    return step


def _brought_back(application: Application, not_needed: Mapping[str, str]) -> bool:
    """Whether a matter that was over because it did not apply would apply now."""
    return any(task.state is S.NOT_NEEDED and task.key not in not_needed for task in application.tasks)


def _asks_for_more(application: Application, replanned: Sequence[Task]) -> bool:
    """Whether something would rest on a consent that nobody was asked for."""
    asked = {consent.basis for consent in application.consents}
    return any(not asked.issuperset(task.consents) for task in replanned)


def _follow(step: Step, task: Task, planned: Task, not_needed: str | None, at: datetime) -> None:
    """Take what the corrected form means for a task over."""
    task = msgspec.structs.replace(
        task, mode=planned.mode, needs_person=planned.needs_person, consents=planned.consents
    )
    if not_needed is None:
        step.change(task)
        return
    drop(step, task, not_needed, at)


# --- the departments -------------------------------------------------------------------------------------------------


def receive(application: Application, event: TaskReceived, *, at: datetime) -> Step:
    """A department has the task in its store and says what it does with it. Receipts may come late: none leads back."""
    step = Step(application)
    found = _addressed(step, event, at)
    if found is None:
        return step
    task, attempt = found
    target = TaskState(event.status)
    if attempt != task.attempt or target not in _AHEAD.get(task.state, ()):
        return step
    states = _path(task.state, target)
    step.change(msgspec.structs.replace(task, state=target, reason=event.note))
    step.note(EntryKind.TASK_RECEIVED, at, task=task.key, actor=event.department, states=states, note=event.note)
    return step


def answer(application: Application, event: TaskAnswered, *, digest: str, at: datetime) -> Step:
    """A department decided. `digest` tells this answer from another one to the same attempt."""
    step = Step(application)
    found = _addressed(step, event, at)
    if found is None:
        return step
    task, attempt = found
    if attempt <= len(task.digests):
        if task.digests[attempt - 1] != digest:
            _ignore(step, event, task, at, "与已经记录的决定不一致", incident="answer-differs")
        return step
    if task.state not in WITH_DEPARTMENT:
        _ignore(step, event, task, at, "事项已经不在办理中", incident=None)
        return step
    digests = (*task.digests, digest)
    task = msgspec.structs.replace(task, digests=digests, automatic=event.decided_by is None, reason=event.reason)
    if event.outcome is Outcome.RETURNED:
        _return(step, task, event, at)
        settle(step, at)
        return step
    _decide(step, task, event, at)
    settle(step, at)
    return step


def report_unprocessable(application: Application, event: TaskUnprocessable, *, at: datetime) -> Step:
    """The department's program failed on the task; it waits there for a person."""
    step = Step(application)
    found = _addressed(step, event, at)
    if found is None:
        return step
    task, attempt = found
    if attempt != task.attempt or task.state not in WITH_DEPARTMENT:
        return step
    step.note(EntryKind.TASK_UNPROCESSABLE, at, task=task.key, actor=event.department)
    step.effects.append(
        OpenIncident("task-unprocessable", str(event.task_id), f"{event.department} {task.matter}: {event.error}")
    )
    return step


# --- operators and time ----------------------------------------------------------------------------------------------


def resend(application: Application, *, unanswered_since: datetime, at: datetime) -> Step:
    """Ask again, under the same task id, for every task that no department has acknowledged since then."""
    step = Step(application)
    if application.status is not ApplicationStatus.IN_PROGRESS:
        return step
    for task in application.tasks:
        silent = task.state is S.SUBMITTED and task.requested_at is not None and task.requested_at <= unanswered_since
        if silent and may_be_sent(application, task, at):
            step.effects.append(RequestTask(task, again=True))
            step.note(EntryKind.TASK_RESENT, at, task=task.key, actor="approval")
    return step


def proceed(application: Application, *, at: datetime) -> Step:
    """What was held may be requested now."""
    step = Step(application)
    if application.status is ApplicationStatus.IN_PROGRESS:
        settle(step, at)
    return step


def terminate(application: Application, *, task_key: str, reason: str, at: datetime) -> Step:
    """An operator ends a task that can no longer be decided, so that the rest may come to an end."""
    task = application.find_task(task_key)
    if task is None or task.terminal or application.status is not ApplicationStatus.IN_PROGRESS:
        raise NotPossibleError("the application has no open task of this name")
    step = Step(application)
    if task.state in WITH_DEPARTMENT:
        step.effects.append(CancelTask(task, reason))
    step.change(msgspec.structs.replace(task, state=S.TERMINATED, reason=reason, ended_at=at))
    step.note(EntryKind.TASK_TERMINATED, at, task=task.key, actor="operator", states=(S.TERMINATED,), note=reason)
    settle(step, at)
    return step


# --- rules -----------------------------------------------------------------------------------------------------------


def _addressed(
    step: Step, event: TaskReceived | TaskAnswered | TaskUnprocessable, at: datetime
) -> tuple[Task, int] | None:
    """The task that an event is about and which attempt at it, when its sender is the one who was asked."""
    application = step.application
    for task in application.tasks:
        if task.matter != event.matter:
            continue
        for attempt in range(task.attempt, 0, -1):
            if attempt_id(application, task, attempt) == event.task_id:
                if task.department == event.department:
                    return task, attempt
                _ignore(step, event, task, at, "不是承办这个事项的部门", incident="wrong-department")
                return None
    summary = f"{event.department} speaks of task {event.task_id}, which application {application.id} does not have"
    step.effects.append(OpenIncident("unknown-task", str(event.task_id), summary))
    step.note(EntryKind.ANSWER_IGNORED, at, actor=event.department, note="没有这个事项")
    return None


def _ignore(
    step: Step,
    event: TaskReceived | TaskAnswered | TaskUnprocessable,
    task: Task,
    at: datetime,
    note: str,
    *,
    incident: str | None,
) -> None:
    step.note(EntryKind.ANSWER_IGNORED, at, task=task.key, actor=event.department, note=note)
    if incident is not None:
        summary = f"{event.department} {task.matter} of application {event.application_id}: {incident}"
        step.effects.append(OpenIncident(incident, str(event.task_id), summary))


def _return(step: Step, task: Task, event: TaskAnswered, at: datetime) -> None:
    states = _path(task.state, S.RETURNED_FOR_CORRECTION)
    step.change(msgspec.structs.replace(task, state=S.RETURNED_FOR_CORRECTION, corrections=event.corrections))
    step.note(EntryKind.TASK_RETURNED, at, task=task.key, actor=event.department, states=states, note=event.reason)


def _decide(step: Step, task: Task, event: TaskAnswered, at: datetime) -> None:
    kinds = tuple(document.kind for document in event.personal.documents)
    match event.outcome:
        case Outcome.APPROVED:
            states = _path(task.state, S.DECIDED_APPROVED)
            states += (S.DELIVERED, S.CLOSED) if kinds else (S.CLOSED,)
            decision: Decision | None = Decision.APPROVED
        case Outcome.PROVEN:
            states, decision = _path(task.state, S.SKIPPED_WITH_PROOF), None
        case Outcome.REJECTED:
            states, decision = (*_path(task.state, S.DECIDED_DENIED), S.CLOSED), Decision.DENIED
        case Outcome.NOT_ACCEPTED:
            states, decision = _path(task.state, S.REJECTED_ACCEPTANCE), None
        case Outcome.RETURNED:
            raise AssertionError("a returned task is not decided")
    task = msgspec.structs.replace(task, state=states[-1], decision=decision, ended_at=at, documents=kinds)
    step.change(task)
    step.note(EntryKind.TASK_DECIDED, at, task=task.key, actor=event.department, states=states, note=event.reason)
    if task.granted:
        step.effects.append(Deliver(task, event))
    elif task.matter.endswith("-rekey"):
        summary = f"application {event.application_id}: {task.key} was refused; what it re-keys stands"
        step.effects.append(OpenIncident("rekey-failed", str(event.task_id), summary))


# The applicant's turn: nothing that a department says leads through it.
_NO_WAY_THROUGH = frozenset({S.RETURNED_FOR_CORRECTION, S.SUBMITTED})


@cache
def _path(start: TaskState, goal: TaskState) -> tuple[TaskState, ...]:
    """The states after `start` up to `goal`, by the shortest way: an immediate answer implies acceptance and review."""
    paths: list[tuple[TaskState, ...]] = [()]
    seen = {start}
    while paths:
        found: list[tuple[TaskState, ...]] = []
        for path in paths:
            for state in _following(path[-1] if path else start):
                if state is goal:
                    return (*path, state)
                if state not in seen and state not in TERMINAL and state not in _NO_WAY_THROUGH:
                    seen.add(state)
                    found.append((*path, state))
        paths = found
    raise AssertionError(f"no way from {start} to {goal}")


def _following(state: TaskState) -> Iterator[TaskState]:
    yield from sorted(NEXT[state])
