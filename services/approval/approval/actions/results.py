"""Recording what departments answered: a batch of messages, one fold per application, one write per table."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from yijian_common.database import Connection
from yijian_contracts.events import RECTIFICATION, Outcome, TaskAnswered, TaskReceived, TaskUnprocessable
from yijian_messaging import Rejected, Transaction

from approval import engine, rows
from approval.actions.rectifications import Result, record_rectification_results
from approval.application import TaskState
from approval.disclosure import check_answer, correctable
from approval.effects import Effects
from approval.form_schema import parse_pointer, schema_at
from approval.life_event import LifeEvent
from approval.rows import Held

NOT_REQUESTED = "the task is not requested yet"
"""After a restore departments' answers are read again side by side, one perhaps before the one that it built on. Nobody
would say it a second time, so it must not pass for handled: it is a letter to be replayed."""


async def record_task_results(
    transaction: Transaction[Connection], messages: Sequence[Result], *, effects: Effects
) -> list[Rejected]:
    """Fold answers into their applications and carry out what follows, in the open transaction.

    Returns the messages that do not fit: an answer for an unknown application, or one whose outputs, documents or
    corrections are not what its matter declares. They become dead letters; an operator may mend and replay them.
    """
    at = datetime.now(UTC)
    orders = [message for message in messages if message.content.data.matter == RECTIFICATION]
    rejected = await record_rectification_results(transaction, orders, effects=effects)
    ours = [message for message in messages if message.content.data.matter != RECTIFICATION]
    ids = {message.content.data.application_id for message in ours}
    applications = await rows.lock_applications(transaction.connection, ids, effects.keyring)
    missing = ids - applications.keys()
    erased = await rows.find_erased(transaction.connection, missing) if missing else set()
    for message in ours:
        held = applications.get(message.content.data.application_id)
        if held is not None:
            error = await _record(held, message, effects, at)
        else:
            # What comes late about somebody who was forgotten is forgotten too.
            error = None if message.content.data.application_id in erased else "no such application"
        if error is not None:
            rejected.append(Rejected(message, error))
    await effects.carry_out(transaction, [held for held in applications.values() if held.changed], at=at)
    return rejected


async def _record(held: Held, message: Result, effects: Effects, at: datetime) -> str | None:
    """Fold one message in; returns why it cannot be, or None."""
    held.traceparent = message.traceparent or held.traceparent
    match message.content.data:
        case TaskAnswered() as answer:
            error = await _misfit(held, answer, effects)
            if error is not None:
                return error
            held.fold(engine.answer(held.application, answer, digest=_digest(answer, effects), at=at))
        case TaskReceived() as receipt:
            held.fold(engine.receive(held.application, receipt, at=at))
        case TaskUnprocessable() as report:
            held.fold(engine.report_unprocessable(held.application, report, at=at))
    return None


async def _misfit(held: Held, answer: TaskAnswered, effects: Effects) -> str | None:
    life_event = await effects.life_events.get(held.application.digest)
    if answer.matter not in life_event.matters:
        return f"{held.application.life_event} has no matter {answer.matter}"
    drafts = [t for t in held.application.tasks if t.matter == answer.matter and t.state is TaskState.DRAFT]
    if any(engine.task_id(held.application, t) == answer.task_id for t in drafts):
        return NOT_REQUESTED
    if answer.outcome is Outcome.RETURNED:
        task = next((t for t in held.application.tasks if engine.task_id(held.application, t) == answer.task_id), None)
        allowed = correctable(life_event, answer.matter, task.child if task else None)
        wrong = [c.pointer for c in answer.corrections if not _within(c.pointer, allowed, life_event)]
        if wrong:
            return f"{len(wrong)} of {len(answer.corrections)} corrections name no field that the task received"
    return check_answer(life_event, answer.matter, answer)


def _digest(answer: TaskAnswered, effects: Effects) -> str:
    """What tells two answers apart: everything but the moment they were written down. Keyed, since it is personal."""
    content = answer.model_dump_json(exclude={"decided_at"})
    return effects.keyring.blind_index("answer", content).hex()[:32]


def _within(pointer: str, allowed: Iterable[str], life_event: LifeEvent) -> bool:
    """Whether a pointer names a field that was given, or a place that the form has within it."""
    inside = any(pointer == place or pointer.startswith(f"{place}/") for place in allowed)
    return inside and schema_at(life_event.form_schema, _indexed(parse_pointer(pointer))) is not None


def _indexed(path: tuple[str, ...]) -> tuple[str | int, ...]:
    return tuple(int(step) if step.isdecimal() else step for step in path)
