"""What follows of itself whenever something changed: tasks are requested, blocked, and at last everything is over."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from yijian_contracts.events import ApplicationOutcome

from approval.application import Application, ApplicationStatus, Task, TaskState
from approval.steps import Complete, EntryKind, RequestTask, Step

S = TaskState


def drop(step: Step, task: Task, reason: str, at: datetime) -> None:
    """A matter that does not apply is over."""
    step.change(msgspec.structs.replace(task, state=S.NOT_NEEDED, reason=reason, ended_at=at))
    step.note(EntryKind.TASK_NOT_NEEDED, at, task=task.key, states=(S.NOT_NEEDED,), note=reason)


def settle(step: Step, at: datetime) -> None:
    """Request what has become ready, block what never will be, and notice when everything is over."""
    moved = True
    while moved:
        moved = False
        for task in step.application.tasks:
            if task.state is not S.DRAFT:
                continue
            verdicts = [_verdict(step.application, need.tasks, any_one=need.any) for need in task.needs]
            if any(verdict is False for verdict in verdicts):
                blocked = msgspec.structs.replace(task, state=S.BLOCKED, reason="前置事项没有办成", ended_at=at)
                step.change(blocked)
                step.note(EntryKind.TASK_BLOCKED, at, task=task.key, states=(S.BLOCKED,), note=blocked.reason)
                moved = True
            elif all(verdicts):
                request(step, task, at)
                moved = True
    if all(task.terminal for task in step.application.tasks):
        _complete(step, at)


def _verdict(application: Application, keys: Sequence[str], *, any_one: bool) -> bool | None:
    """True: the need is met. False: it never will be. None: it is still open."""
    tasks = [task for task in application.tasks if task.key in keys]
    met = [task.granted or task.state is S.NOT_NEEDED for task in tasks]
    if any_one:
        return any(met) if all(task.terminal for task in tasks) else None
    if all(met):
        return True
    return False if any(task.terminal and not ok for task, ok in zip(tasks, met, strict=True)) else None


def request(step: Step, task: Task, at: datetime) -> None:
    """Ask the task's department."""
    asked = msgspec.structs.replace(
        task, state=S.SUBMITTED, requested_at=at, form_revision=step.application.form_revision
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
