"""What people say to what they are asked to agree to: pure like the engine, of which it is a part.

A task waits for its own consents only. One that is refused, taken back or not given in time ends the tasks that rest on
it and were not decided; everything else goes on.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from yijian_contracts.events import ConsentMeans

from approval.application import (
    WITH_DEPARTMENT,
    Application,
    ApplicationStatus,
    Consent,
    ConsentState,
    TaskState,
)
from approval.settling import end, lost_because, settle
from approval.steps import CancelTask, EntryKind, NotPossibleError, Step

ANSWER_WITHIN = timedelta(days=15)


@dataclass(frozen=True, slots=True)
class Agreed:
    """How somebody agreed, and until when that holds."""

    means: ConsentMeans
    until: datetime


def begin(step: Step, agreed: Mapping[tuple[str, str], Agreed], at: datetime) -> None:
    """The consents of a new application: those in `agreed`, by basis and giver, are given, the others awaited."""
    by_code: dict[str, list[str]] = defaultdict(list)
    awaited: dict[str, list[str]] = defaultdict(list)
    for consent in step.application.consents:
        yes = agreed.get((consent.basis, consent.giver))
        if yes is None:
            awaited[consent.giver].append(consent.basis)
            continue
        step.change_consent(msgspec.structs.replace(consent, state=ConsentState.GIVEN, until=yes.until), yes.means)
        if yes.means is not ConsentMeans.APPLICATION:
            by_code[consent.giver].append(consent.basis)
    for giver, bases in by_code.items():
        step.note(EntryKind.CONSENT_GIVEN, at, giver=giver, bases=tuple(bases))
    for giver, bases in awaited.items():
        step.note(EntryKind.CONSENT_AWAITED, at, actor="approval", giver=giver, bases=tuple(bases))


def answer(
    application: Application, *, giver: str, agreed: Mapping[str, Agreed], refused: Iterable[str], at: datetime
) -> Step:
    """A party agrees to some of what they were asked, by basis, and refuses some. To say it again changes nothing.

    Raises `NotPossibleError` when one of them was answered otherwise before, `LookupError` when one was never asked.
    """
    step = Step(application)
    yes = [c for basis in agreed if (c := _open(application, basis, giver, ConsentState.GIVEN)) is not None]
    no = [c for basis in refused if (c := _open(application, basis, giver, ConsentState.REFUSED)) is not None]
    for consent in yes:
        given = msgspec.structs.replace(consent, state=ConsentState.GIVEN, until=agreed[consent.basis].until)
        step.change_consent(given, agreed[consent.basis].means)
    for consent in no:
        step.change_consent(msgspec.structs.replace(consent, state=ConsentState.REFUSED))
    for kind, consents in ((EntryKind.CONSENT_GIVEN, yes), (EntryKind.CONSENT_REFUSED, no)):
        if consents:
            step.note(kind, at, giver=giver, bases=tuple(consent.basis for consent in consents))
    if yes or no:
        settle(step, at)
    return step


def _open(application: Application, basis: str, giver: str, wanted: ConsentState) -> Consent | None:
    """The consent that waits for this answer; None when it was answered so already."""
    consent = application.find_consent(basis, giver)
    if consent is None:
        raise LookupError(basis)
    if consent.state is wanted:
        return None
    if consent.state is ConsentState.GIVEN:
        raise NotPossibleError("您已经同意过；要撤回，请在“我的同意”中撤回。")
    if consent.state is not ConsentState.PENDING:
        raise NotPossibleError("这项同意已经不在等待答复，请重新申请。")
    return consent


def take_back(application: Application, *, basis: str, giver: str, at: datetime) -> Step:
    """A consent was withdrawn: what was decided stands, everything else that rests on it ends. Again: no change.

    Raises `LookupError` when this giver was never asked.
    """
    step = Step(application)
    consent = application.find_consent(basis, giver)
    if consent is None:
        raise LookupError(basis)
    if consent.state not in (ConsentState.GIVEN, ConsentState.PENDING):
        return step
    step.change_consent(msgspec.structs.replace(consent, state=ConsentState.WITHDRAWN))
    step.note(EntryKind.CONSENT_WITHDRAWN, at, giver=giver, bases=(basis,))
    if application.status is ApplicationStatus.IN_PROGRESS:
        _stop(step, (basis,), WITH_DEPARTMENT, at)
        settle(step, at)
    return step


def let_expire(application: Application, *, at: datetime) -> Step:
    """Time passed: what was not answered in `ANSWER_WITHIN`, and what was given for a term that is over now.

    A task that its department has acknowledged was sent within the term, and goes on.
    """
    step = Step(application)
    if application.status is not ApplicationStatus.IN_PROGRESS:
        return step
    over = [consent for consent in application.consents if _is_over(consent, application, at)]
    for consent in over:
        step.change_consent(msgspec.structs.replace(consent, state=ConsentState.EXPIRED))
    for giver in dict.fromkeys(consent.giver for consent in over):
        bases = tuple(consent.basis for consent in over if consent.giver == giver)
        step.note(EntryKind.CONSENT_EXPIRED, at, actor="approval", giver=giver, bases=bases)
    if over:
        _stop(step, [consent.basis for consent in over], {TaskState.SUBMITTED}, at)
        settle(step, at)
    return step


def _is_over(consent: Consent, application: Application, at: datetime) -> bool:
    if consent.state is ConsentState.PENDING:
        return at >= application.submitted_at + ANSWER_WITHIN
    return consent.state is ConsentState.GIVEN and not consent.holds(at)


def _stop(step: Step, bases: Sequence[str], states: Iterable[TaskState], at: datetime) -> None:
    """End the tasks in these states that rest on one of these bases; their departments are told."""
    for task in step.application.tasks:
        if task.state in states and not set(bases).isdisjoint(task.consents):
            reason = lost_because(step.application, task) or ""
            step.effects.append(CancelTask(task, reason))
            end(step, task, reason, at)


def look_at(application: Application) -> list[datetime]:
    """When time will change something about the consents of a running application."""
    moments = []
    for consent in application.consents:
        if consent.state is ConsentState.PENDING:
            moments.append(application.submitted_at + ANSWER_WITHIN)
        elif consent.state is ConsentState.GIVEN and consent.until is not None:
            moments += [consent.until for t in application.tasks if consent.basis in t.consents and not t.terminal]
    return moments
