"""What an applicant or an operator changes in a running application."""

import copy
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_common.tokens import Principal
from yijian_messaging import Transaction

from approval import consenting, engine, planning, rows
from approval.application import Application, ApplicationStatus
from approval.claims import claim_values, parties
from approval.due import RESEND_AFTER, next_look
from approval.effects import Effects
from approval.engine import NotPossibleError
from approval.errors import ApplicationNotFound, CannotAccept, FormRefused, NotPossibleNow, OtherFields
from approval.form import check_form, normalise_form
from approval.life_event import LifeEvent
from approval.pointers import NoSuchPlaceError, replace_at
from approval.rows import Form, Held


async def withdraw_application(
    transaction: Transaction[Connection], application_id: UUID, *, principal: Principal, effects: Effects
) -> Application:
    """Take an application back; doing so again changes nothing. Raises `ApplicationNotFound`, `NotPossibleNow`."""
    held = await _lock_own(transaction, application_id, principal, effects)
    if held.application.status is ApplicationStatus.WITHDRAWN:
        return held.application
    at = datetime.now(UTC)
    try:
        held.fold(engine.withdraw(held.application, at=at))
    except NotPossibleError as error:
        raise NotPossibleNow(str(error)) from None
    await effects.carry_out(transaction, [held], at=at)
    return held.application


async def correct_task(
    transaction: Transaction[Connection],
    application_id: UUID,
    *,
    task_key: str,
    fields: Mapping[str, Any],
    principal: Principal,
    effects: Effects,
) -> Application:
    """Replace exactly the fields that a department returned, by JSON Pointer, and ask it again.

    Raises `ApplicationNotFound`, `NotPossibleNow`, `OtherFields`, `FormRefused`.
    """
    at = datetime.now(UTC)
    held = await _lock_own(transaction, application_id, principal, effects)
    application = held.application
    task = application.find_task(task_key)
    if task is None or not task.corrections:
        raise NotPossibleNow("这个事项没有等待补正的内容。")
    if set(fields) != {correction.pointer for correction in task.corrections}:
        raise OtherFields
    life_event = await effects.life_events.get(application.digest)
    place = (application.id, application.form_revision)
    forms = await rows.read_forms(transaction.connection, {place: held.data_key})
    form: Form = copy.deepcopy(forms[place])
    before = parties(life_event, form)
    _replace(form, fields)
    # What a department returned is judged as of the day of submission: correcting must not run into a time limit.
    form = normalise_form(life_event, form)
    errors = check_form(life_event, form, now=application.submitted_at)
    if errors:
        raise FormRefused.because(errors)
    if parties(life_event, form) != before:
        raise NotPossibleNow("父母的身份证号码不能在补正中修改，请撤回后重新申请。")
    planned = planning.plan(life_event, form)
    try:
        step = engine.correct(
            application,
            task_key=task_key,
            replanned=engine.tasks_of(planned),
            not_needed={task.key: task.not_needed for task in planned if task.not_needed is not None},
            at=at,
        )
    except NotPossibleError as error:
        raise NotPossibleNow(str(error)) from None
    await _move_claims(transaction.connection, held, life_event, effects.keyring, old=forms[place], new=form)
    held.fold(step)
    await rows.insert_forms(transaction.connection, [(held, form)])
    revised = {(application.id, held.application.form_revision): form}
    await effects.carry_out(transaction, [held], at=at, forms=revised)
    return held.application


def _replace(form: Form, fields: Mapping[str, Any]) -> None:
    try:
        for pointer, value in fields.items():
            replace_at(form, pointer, value)
    except NoSuchPlaceError:
        raise OtherFields from None


async def _move_claims(
    connection: Connection, held: Held, life_event: LifeEvent, keyring: Keyring, *, old: Form, new: Form
) -> None:
    """A corrected form claims what it says now. Raises `CannotAccept` when another application has that already."""
    before, after = (
        {keyring.blind_index("claim", name, *values) for name, values in claim_values(life_event, form)}
        for form in (old, new)
    )
    application_id = held.application.id
    taken = await rows.insert_claims(connection, [(digest, application_id) for digest in after - before])
    if any(holder != application_id for holder in taken.values()):
        raise CannotAccept
    await connection.execute(
        "DELETE FROM claim WHERE digest = ANY($1) AND application_id = $2", list(before - after), application_id
    )


async def look_after(
    transaction: Transaction[Connection],
    *,
    effects: Effects,
    limit: int,
    unanswered_for: timedelta = RESEND_AFTER,
    at: datetime | None = None,
) -> int:
    """Do what time asks for: end what nobody agreed to, ask again where a department has been silent for long.

    Returns how many applications were looked at.
    """
    at = at or datetime.now(UTC)
    due = await rows.lock_due(transaction.connection, effects.keyring, limit=limit)
    for held in due:
        held.fold(consenting.let_expire(held.application, at=at))
        held.fold(engine.resend(held.application, unanswered_since=at - unanswered_for, at=at))
    await effects.carry_out(transaction, [held for held in due if held.changed], at=at)
    await transaction.connection.execute(
        """
        UPDATE application a SET next_look_at = n.look_at
        FROM unnest($1::uuid[], $2::timestamptz[]) AS n(id, look_at) WHERE a.id = n.id
        """,
        [h.application.id for h in due],
        [next_look(h.application, at) for h in due],
    )
    return len(due)


async def resend_now(transaction: Transaction[Connection], application_id: UUID, *, effects: Effects) -> int:
    """An operator has every unanswered task of one application asked again; returns how many."""
    at = datetime.now(UTC)
    held = await _lock(transaction, application_id, effects)
    held.fold(engine.resend(held.application, unanswered_since=at, at=at))
    await effects.carry_out(transaction, [held] if held.changed else [], at=at)
    return len(held.effects)


async def terminate_task(
    transaction: Transaction[Connection], application_id: UUID, *, task_key: str, reason: str, effects: Effects
) -> Application:
    """An operator ends a task for good, with a reason that the applicant reads."""
    at = datetime.now(UTC)
    held = await _lock(transaction, application_id, effects)
    try:
        held.fold(engine.terminate(held.application, task_key=task_key, reason=reason, at=at))
    except NotPossibleError as error:
        raise NotPossibleNow(str(error)) from None
    await effects.carry_out(transaction, [held], at=at)
    return held.application


async def _lock(transaction: Transaction[Connection], application_id: UUID, effects: Effects) -> Held:
    found = await rows.lock_applications(transaction.connection, [application_id], effects.keyring)
    if application_id not in found:
        raise ApplicationNotFound
    return found[application_id]


async def _lock_own(
    transaction: Transaction[Connection], application_id: UUID, principal: Principal, effects: Effects
) -> Held:
    held = await _lock(transaction, application_id, effects)
    if held.applicant != principal.subject:
        raise ApplicationNotFound
    return held
