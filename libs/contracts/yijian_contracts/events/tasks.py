"""What approval asks of the departments, and what they answer."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field, JsonValue, StringConstraints

from yijian_contracts.departments import get_department
from yijian_contracts.events.base import CaseEvent, Code, Part, Pointer, Sentence

MOST_CORRECTIONS = 50
RECTIFICATION = "RECTIFICATION"
"""The matter of a task that asks a department to put right what a resident rated badly.

Its `application_id` is the order's id: those rated do not learn whose application it was.
"""


class TaskMode(StrEnum):
    """DECIDE asks for a decision; PROVE asks only whether what the applicant says already exists does exist."""

    DECIDE = "DECIDE"
    PROVE = "PROVE"


class TaskFields(Part):
    """The personal part of a task: exactly the fields that its matter declares, by name."""

    fields: dict[str, JsonValue]


class _TaskEvent(CaseEvent):
    department: Code
    task_id: UUID
    matter: Code

    @property
    def event_id(self) -> UUID:
        return self.id_for(self.task_id)

    @classmethod
    def id_for(cls, task_id: UUID) -> UUID:
        """The id of the event of this type about a task."""
        return cls.derive_id(task_id)


class TaskRequested(_TaskEvent):
    """A department is asked to handle one matter. `needs_person` holds the reasons why no program may decide it."""

    TYPE = "gov.city.approval.task-requested"

    life_event: Code
    child: int | None = Field(default=None, ge=1, le=20)
    attempt: int = Field(ge=1)
    mode: TaskMode = TaskMode.DECIDE
    needs_person: tuple[Sentence, ...] = ()
    requested_at: AwareDatetime
    due_at: AwareDatetime | None = None
    personal: TaskFields

    @property
    def topic(self) -> str:
        return get_department(self.department).tasks_topic


class TaskCancelled(_TaskEvent):
    """A task is no longer wanted; a department that has not decided it yet must not."""

    TYPE = "gov.city.approval.task-cancelled"

    reason: Sentence
    cancelled_at: AwareDatetime

    @property
    def topic(self) -> str:
        return get_department(self.department).tasks_topic


class _ResultEvent(_TaskEvent):
    @property
    def topic(self) -> str:
        return get_department(self.department).results_topic


class ReceivedStatus(StrEnum):
    """What a department does with a task that it has not decided at once."""

    ACCEPTED = "ACCEPTED"
    IN_REVIEW = "IN_REVIEW"
    SUSPENDED = "SUSPENDED"


class TaskReceived(_ResultEvent):
    """The task is safely in the department's store, and its decision will come later.

    IN_REVIEW: a person decides. SUSPENDED: waiting for somebody outside, for instance a payment.
    """

    TYPE = "gov.city.department.task-received"

    status: ReceivedStatus
    note: Sentence = ""
    received_at: AwareDatetime

    @property
    def event_id(self) -> UUID:
        return self.derive_id(self.task_id, self.status, self.received_at.isoformat())


class Outcome(StrEnum):
    """What a department decided. PROVEN answers a PROVE task; RETURNED asks the applicant to correct named fields."""

    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    NOT_ACCEPTED = "NOT_ACCEPTED"
    RETURNED = "RETURNED"
    PROVEN = "PROVEN"


class Correction(Part):
    """A field the applicant is to correct: where it stands in the form, and why, in Chinese."""

    pointer: Pointer
    message: Sentence


class IssuedDocument(Part):
    """A document as the department issued it; `kind` is the code that the life event declares."""

    kind: Code
    number: Annotated[str, StringConstraints(min_length=1, max_length=100)]


class AnswerParts(Part):
    """The personal part of an answer: values that later matters need, and the documents issued."""

    outputs: dict[str, JsonValue] = Field(default_factory=dict)
    documents: tuple[IssuedDocument, ...] = ()


class TaskAnswered(_ResultEvent):
    """The department's decision. `decided_by` is the official's post, or None when a program decided."""

    TYPE = "gov.city.department.task-answered"

    outcome: Outcome
    reason: Sentence = ""
    corrections: tuple[Correction, ...] = Field(default=(), max_length=MOST_CORRECTIONS)
    decided_by: Code | None = None
    decided_at: AwareDatetime
    personal: AnswerParts = AnswerParts()


class TaskUnprocessable(_ResultEvent):
    """The department's program could not process the task; it stays in the department's store for a person."""

    TYPE = "gov.city.department.task-unprocessable"

    error: Sentence
    failed_at: AwareDatetime
