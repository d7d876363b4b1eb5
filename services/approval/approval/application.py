"""The application as the engine sees it: the states of its tasks, and nothing personal.

Task states are those of a matter's handling (办件): submitted, accepted, in review, decided, delivered, closed, with
correction, suspension and withdrawal; and three of our own: NOT_NEEDED, SKIPPED_WITH_PROOF and BLOCKED.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from yijian_contracts.events import ApplicationOutcome, Correction, TaskMode


class TaskState(StrEnum):
    """Where a task stands. DRAFT: it waits for what it needs and its department knows nothing of it yet."""

    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    RETURNED_FOR_CORRECTION = "RETURNED_FOR_CORRECTION"
    ACCEPTED = "ACCEPTED"
    REJECTED_ACCEPTANCE = "REJECTED_ACCEPTANCE"
    IN_REVIEW = "IN_REVIEW"
    SUSPENDED = "SUSPENDED"
    DECIDED_APPROVED = "DECIDED_APPROVED"
    DECIDED_DENIED = "DECIDED_DENIED"
    DELIVERED = "DELIVERED"
    CLOSED = "CLOSED"
    WITHDRAWN = "WITHDRAWN"
    TERMINATED = "TERMINATED"
    NOT_NEEDED = "NOT_NEEDED"
    SKIPPED_WITH_PROOF = "SKIPPED_WITH_PROOF"
    BLOCKED = "BLOCKED"


_S = TaskState
_ENDS = {_S.WITHDRAWN, _S.TERMINATED}
_VERDICTS = {_S.RETURNED_FOR_CORRECTION, _S.DECIDED_APPROVED, _S.DECIDED_DENIED, _S.SKIPPED_WITH_PROOF}

# What may follow what. Every history is a path through this table.
NEXT: dict[TaskState, set[TaskState]] = {
    _S.DRAFT: {_S.SUBMITTED, _S.NOT_NEEDED, _S.BLOCKED} | _ENDS,
    _S.SUBMITTED: {_S.ACCEPTED, _S.REJECTED_ACCEPTANCE, _S.RETURNED_FOR_CORRECTION} | _ENDS,
    _S.RETURNED_FOR_CORRECTION: {_S.SUBMITTED, _S.DRAFT, _S.NOT_NEEDED} | _ENDS,
    _S.ACCEPTED: {_S.IN_REVIEW, _S.SUSPENDED} | _ENDS,
    _S.IN_REVIEW: {_S.SUSPENDED, _S.REJECTED_ACCEPTANCE} | _VERDICTS | _ENDS,
    _S.SUSPENDED: {_S.IN_REVIEW} | _ENDS,
    _S.DECIDED_APPROVED: {_S.DELIVERED, _S.CLOSED},
    _S.DECIDED_DENIED: {_S.CLOSED},
    _S.DELIVERED: {_S.CLOSED},
    _S.CLOSED: set(),
    _S.REJECTED_ACCEPTANCE: set(),
    _S.WITHDRAWN: set(),
    _S.TERMINATED: set(),
    _S.NOT_NEEDED: set(),
    _S.SKIPPED_WITH_PROOF: set(),
    _S.BLOCKED: set(),
}

TERMINAL = frozenset(state for state, following in NEXT.items() if not following)
WITH_DEPARTMENT = frozenset({_S.SUBMITTED, _S.ACCEPTED, _S.IN_REVIEW, _S.SUSPENDED})


class Decision(StrEnum):
    """What the department decided, kept beside the state because a closed task no longer shows it."""

    APPROVED = "APPROVED"
    DENIED = "DENIED"


class ApplicationStatus(StrEnum):
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    WITHDRAWN = "WITHDRAWN"


class Need(msgspec.Struct, frozen=True):
    """What a task waits for: every one of `tasks` granted, or with `any` all of them over and one granted."""

    tasks: tuple[str, ...]
    any: bool = False


class ConsentState(StrEnum):
    """Where a consent stands. EXPIRED: nobody answered in time, its term is over, or nothing rests on it any more."""

    PENDING = "PENDING"
    GIVEN = "GIVEN"
    REFUSED = "REFUSED"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"


class Consent(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the party with the role `giver` is asked to agree to, by the code of its basis.

    `title` is what a resident calls the giver; `until` is when a consent that was given ends.
    """

    basis: str
    giver: str
    title: str
    state: ConsentState = ConsentState.PENDING
    until: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Whether something may be sent on it at this moment."""
        return self.state is ConsentState.GIVEN and (self.until is None or at < self.until)


class Task(msgspec.Struct, frozen=True, omit_defaults=True):
    """One matter for one child, or for the whole application. Times are UTC instants.

    `consents` are the bases that it rests on beside the law: it is sent when all who are asked agreed to each. `held`
    marks a draft that is ready and waits for the ledger alone.
    `digests` tell answers apart, one for each attempt that was answered; they are keyed, since an answer is personal.
    """

    key: str
    matter: str
    department: str
    child: int | None = None
    needs: tuple[Need, ...] = ()
    consents: tuple[str, ...] = ()
    mode: TaskMode = TaskMode.DECIDE
    needs_person: tuple[str, ...] = ()
    state: TaskState = TaskState.DRAFT
    held: bool = False
    attempt: int = 1
    form_revision: int = 1
    requested_at: datetime | None = None
    ended_at: datetime | None = None
    decision: Decision | None = None
    automatic: bool = False
    reason: str = ""
    corrections: tuple[Correction, ...] = ()
    digests: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()

    @property
    def granted(self) -> bool:
        return self.decision is Decision.APPROVED or self.state is TaskState.SKIPPED_WITH_PROOF

    @property
    def terminal(self) -> bool:
        return self.state in TERMINAL


class Application(msgspec.Struct, frozen=True, omit_defaults=True):
    """The aggregate: one application with all its tasks. `version` counts the entries of its timeline."""

    id: UUID
    life_event: str
    digest: str
    submitted_at: datetime
    due_at: datetime
    tasks: tuple[Task, ...]
    consents: tuple[Consent, ...] = ()
    version: int = 0
    form_revision: int = 1
    status: ApplicationStatus = ApplicationStatus.IN_PROGRESS
    outcome: ApplicationOutcome | None = None
    completed_at: datetime | None = None

    def find_task(self, key: str) -> Task | None:
        return next((task for task in self.tasks if task.key == key), None)

    def find_consent(self, basis: str, giver: str) -> Consent | None:
        return next((c for c in self.consents if (c.basis, c.giver) == (basis, giver)), None)

    def consents_of(self, task: Task) -> tuple[Consent, ...]:
        """What a task rests on."""
        return tuple(consent for consent in self.consents if consent.basis in task.consents)

    @property
    def held(self) -> bool:
        """Whether something waits for the ledger alone."""
        return any(task.held and task.state is TaskState.DRAFT for task in self.tasks)

    def with_task(self, changed: Task) -> "Application":
        tasks = tuple(changed if task.key == changed.key else task for task in self.tasks)
        return msgspec.structs.replace(self, tasks=tasks)


def _to_plain(value: object) -> object:
    if isinstance(value, Correction):
        return value.model_dump()
    raise NotImplementedError(type(value).__name__)


def _from_plain(kind: type, value: object) -> object:
    if kind is Correction:
        return Correction.model_validate(value)
    raise NotImplementedError(kind.__name__)


_encoder = msgspec.json.Encoder(enc_hook=_to_plain)
_decoder = msgspec.json.Decoder(Application, dec_hook=_from_plain)


def dump(application: Application) -> str:
    """The application as its row keeps it."""
    return _encoder.encode(application).decode()


def load(text: str) -> Application:
    """The application that `dump` wrote."""
    return _decoder.decode(text)
