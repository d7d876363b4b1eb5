"""What a step of the engine is made of: the lines that it adds to the timeline, and what it wants carried out."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from yijian_contracts import derived_ids
from yijian_contracts.events import ConsentMeans, TaskAnswered

from approval.application import Application, Consent, Task, TaskState


class EntryKind(StrEnum):
    """What a line of the timeline tells."""

    SUBMITTED = "SUBMITTED"
    TASK_REQUESTED = "TASK_REQUESTED"
    TASK_HELD = "TASK_HELD"
    TASK_RECEIVED = "TASK_RECEIVED"
    TASK_DECIDED = "TASK_DECIDED"
    TASK_RETURNED = "TASK_RETURNED"
    TASK_CORRECTED = "TASK_CORRECTED"
    TASK_NOT_NEEDED = "TASK_NOT_NEEDED"
    TASK_BLOCKED = "TASK_BLOCKED"
    TASK_UNPROCESSABLE = "TASK_UNPROCESSABLE"
    TASK_RESENT = "TASK_RESENT"
    TASK_TERMINATED = "TASK_TERMINATED"
    TASK_WITHDRAWN = "TASK_WITHDRAWN"
    ANSWER_IGNORED = "ANSWER_IGNORED"
    CONSENT_AWAITED = "CONSENT_AWAITED"
    CONSENT_GIVEN = "CONSENT_GIVEN"
    CONSENT_REFUSED = "CONSENT_REFUSED"
    CONSENT_WITHDRAWN = "CONSENT_WITHDRAWN"
    CONSENT_EXPIRED = "CONSENT_EXPIRED"
    WITHDRAWN = "WITHDRAWN"
    COMPLETED = "COMPLETED"


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the timeline: what happened, to which task, by whom, and the states it went through.

    A line about consents names their `giver` by role, and their `bases`.
    """

    version: int
    at: datetime
    kind: EntryKind
    task: str = ""
    actor: str = ""
    states: tuple[TaskState, ...] = ()
    note: str = ""
    giver: str = ""
    bases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestTask:
    """Ask the department; `again` when it was asked before and said nothing."""

    task: Task
    again: bool = False


@dataclass(frozen=True, slots=True)
class CancelTask:
    """Tell the department that the task is no longer wanted."""

    task: Task
    reason: str


@dataclass(frozen=True, slots=True)
class Deliver:
    """Keep the answer's personal parts, and deliver the documents that it brought."""

    task: Task
    answer: TaskAnswered


@dataclass(frozen=True, slots=True)
class ChangeConsent:
    """Keep where a consent stands now; one that was just given, by these means, is told."""

    consent: Consent
    means: ConsentMeans | None = None


@dataclass(frozen=True, slots=True)
class Complete:
    """Every task is over."""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The applicant took the application back."""


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """A person has to look at this."""

    kind: str
    subject: str
    summary: str


Effect = RequestTask | CancelTask | Deliver | ChangeConsent | Complete | Withdraw | OpenIncident


@dataclass(slots=True)
class Step:
    """Where folding has come to: the application, what to carry out, and the new lines of the timeline."""

    application: Application
    effects: list[Effect] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def note(self, kind: EntryKind, at: datetime, **details: object) -> None:
        version = self.application.version + 1
        self.application = msgspec.structs.replace(self.application, version=version)
        self.entries.append(Entry(version=version, at=at, kind=kind, **details))  # type: ignore[arg-type]

    def change(self, task: Task) -> None:
        self.application = self.application.with_task(task)

    def change_consent(self, consent: Consent, means: ConsentMeans | None = None) -> None:
        others = self.application.consents
        key = (consent.basis, consent.giver)
        changed = tuple(consent if (other.basis, other.giver) == key else other for other in others)
        self.application = msgspec.structs.replace(self.application, consents=changed)
        self.effects.append(ChangeConsent(consent, means))


class NotPossibleError(Exception):
    """The applicant asks for something that the application's state does not allow; the text says why, in Chinese."""


def task_id(application: Application, task: Task) -> UUID:
    """The id of the task's present attempt."""
    return attempt_id(application, task, task.attempt)


def attempt_id(application: Application, task: Task, attempt: int) -> UUID:
    """The id of any attempt at the task."""
    return derived_ids.task_id(application.id, child=task.child, matter=task.matter, attempt=attempt)
