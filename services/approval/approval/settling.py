"""What follows of itself whenever something changed: tasks are requested, blocked, and at last everything is over."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from yijian_contracts.events import ApplicationOutcome

from approval.application import Application, ApplicationStatus, ConsentState, Task, TaskState
from approval.steps import Complete, EntryKind, RequestTask, Step

S = TaskState

# Tasks that nobody works on: they end of themselves when a consent they rest on is lost.
_IDLE = frozenset({S.DRAFT, S.RETURNED_FOR_CORRECTION})
_LOST = {
    ConsentState.REFUSED: "{}没有同意，这个事项不再办理",
    ConsentState.WITHDRAWN: "{}撤回了同意，这个事项不再办理",
    ConsentState.EXPIRED: "{}的同意已经到期，这个事项不再办理",
}
_UNANSWERED = "{}没有在规定期限内答复是否同意，这个事项不再办理"


def drop(step: Step, task: Task, reason: str, at: datetime) -> None:
    """A matter that does not apply is over."""
    step.change(msgspec.structs.replace(task, state=S.NOT_NEEDED, reason=reason, ended_at=at))
    step.note(EntryKind.TASK_NOT_NEEDED, at, task=task.key, states=(S.NOT_NEEDED,), note=reason)


def settle(step: Step, at: datetime) -> None:
    """Request what has become ready, end or block what never will be, and notice when everything is over."""
    for task in step.application.tasks:
        lost = lost_because(step.application, task) if task.state in _IDLE else None
        if lost is not None:
            end(step, task, lost, at)
    # A task that is blocked may block others; one that is requested changes nothing for anybody yet.
    while _follow(step, at):
        pass
    drop_idle_consents(step)
    if step.application.status is ApplicationStatus.IN_PROGRESS and all(t.terminal for t in step.application.tasks):
        _complete(step, at)


def _follow(step: Step, at: datetime) -> bool:
    """Request or block each draft whose needs are decided; says whether any was blocked."""
    by_key = {task.key: task for task in step.application.tasks}
    blocked = False
    for task in step.application.tasks:
        if task.state is not S.DRAFT:
            continue
        verdicts = [
            _verdict([by_key[key] for key in need.tasks if key in by_key], any_one=need.any) for need in task.needs
        ]
        if False in verdicts:
            by_key[task.key] = _block(step, task, at)
            blocked = True
        elif all(verdicts) and may_be_sent(step.application, task, at):
            request(step, task, at)
    return blocked


def _block(step: Step, task: Task, at: datetime) -> Task:
    blocked = msgspec.structs.replace(task, state=S.BLOCKED, reason="前置事项没有办成", ended_at=at)
    step.change(blocked)
    step.note(EntryKind.TASK_BLOCKED, at, task=task.key, states=(S.BLOCKED,), note=blocked.reason)
    return blocked


def may_be_sent(application: Application, task: Task, at: datetime) -> bool:
    """Whether everybody agreed to everything that the task rests on, each basis with at least one giver."""
    if not task.consents:
        return True
    consents = application.consents_of(task)
    return {c.basis for c in consents} == set(task.consents) and all(c.holds(at) for c in consents)


def lost_because(application: Application, task: Task) -> str | None:
    """Why a task can never be sent, in Chinese: a consent that it rests on was refused, withdrawn or ran out."""
    for consent in application.consents_of(task) if task.consents else ():
        if consent.state is ConsentState.EXPIRED and consent.until is None:
            return _UNANSWERED.format(consent.title)
        if consent.state in _LOST:
            return _LOST[consent.state].format(consent.title)
    return None


def end(step: Step, task: Task, reason: str, at: datetime) -> None:
    """A task is over because a consent that it rests on is."""
    step.change(msgspec.structs.replace(task, state=S.WITHDRAWN, reason=reason, corrections=(), ended_at=at))
    step.note(EntryKind.TASK_WITHDRAWN, at, task=task.key, states=(S.WITHDRAWN,), note=reason)


def drop_idle_consents(step: Step) -> None:
    """Nobody is asked any more for what no open task rests on."""
    if all(consent.state is not ConsentState.PENDING for consent in step.application.consents):
        return
    needed = {basis for task in step.application.tasks if not task.terminal for basis in task.consents}
    for consent in step.application.consents:
        if consent.state is ConsentState.PENDING and consent.basis not in needed:
            step.change_consent(msgspec.structs.replace(consent, state=ConsentState.EXPIRED))


def _verdict(tasks: Sequence[Task], *, any_one: bool) -> bool | None:
    """True: the need for these is met. False: it never will be. None: it is still open."""
    met = [task.granted or task.state is S.NOT_NEEDED for task in tasks]
    if any_one:
        return any(met) if all(task.terminal for task in tasks) else None
    if all(met):
        return True
    return False if any(task.terminal and not ok for task, ok in zip(tasks, met, strict=True)) else None


def request(step: Step, task: Task, at: datetime) -> None:
    """Ask the task's department."""
    asked = msgspec.structs.replace(
        task, state=S.SUBMITTED, held=False, requested_at=at, form_revision=step.application.form_revision
    )
    step.change(asked)
    step.effects.append(RequestTask(asked))
    step.note(EntryKind.TASK_REQUESTED, at, task=task.key, actor="approval", states=(S.SUBMITTED,))


def _complete(step: Step, at: datetime) -> None:
    wanted = [task for task in step.application.tasks if task.state is not S.NOT_NEEDED]
    granted = sum(task.granted for task in wanted)
    if granted == len(wanted):
        outcome = ApplicationOutcome.ALL_GRANTED
    else:
        outcome = ApplicationOutcome.PARTLY if granted else ApplicationOutcome.NONE
    step.application = msgspec.structs.replace(
        step.application, status=ApplicationStatus.COMPLETED, outcome=outcome, completed_at=at
    )
    step.effects.append(Complete())
    step.note(EntryKind.COMPLETED, at, actor="approval", note=outcome)
