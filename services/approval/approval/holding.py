"""What happens to requests while the ledger is behind: pure like the engine, and the last word on each of its steps.

No department gets anything that the ledger may not be able to write down (docs/decisions/0022): a task that would be
requested stays where it was, marked as held, and is requested once the ledger has caught up. Everything else goes on.
"""

from collections.abc import Sequence

import msgspec

from approval.application import Application, TaskState
from approval.steps import CancelTask, Effect, Entry, EntryKind, RequestTask


def hold_back(
    application: Application, effects: Sequence[Effect], entries: Sequence[Entry]
) -> tuple[Application, list[Effect], list[Entry]]:
    """The same without a request for anything that was not sent before: such tasks are held as drafts."""
    held = {effect.task.key for effect in effects if isinstance(effect, RequestTask) and not effect.again}
    for task in application.tasks:
        if task.key in held and task.state is TaskState.SUBMITTED:
            draft = msgspec.structs.replace(task, state=TaskState.DRAFT, held=True, requested_at=None)
            application = application.with_task(draft)
    return (
        application,
        [effect for effect in effects if not _is_about(effect, held)],
        [_told(entry) if entry.task in held else entry for entry in entries],
    )


def _is_about(effect: Effect, held: set[str]) -> bool:
    """Whether this sends a request that is held, or takes one back that was never sent."""
    match effect:
        case RequestTask(task=task, again=False) | CancelTask(task=task):
            return task.key in held
        case _:
            return False


def _told(entry: Entry) -> Entry:
    if entry.kind is not EntryKind.TASK_REQUESTED:
        return entry
    return msgspec.structs.replace(entry, kind=EntryKind.TASK_HELD, states=())
