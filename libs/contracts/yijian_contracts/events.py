"""The events: past-tense facts, each with its type, topic and key on the class.

Personal data stands in a part of its own (`personal`), so that everything else may be logged, counted and shown.
Times are UTC instants. Unknown fields are ignored and not stored; unknown types and majors are refused by `decode`.
"""

from abc import abstractmethod
from enum import StrEnum
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from yijian_contracts import derived_ids
from yijian_contracts.departments import get_department
from yijian_contracts.topics import APPLICATIONS, DISCLOSURES, DOCUMENTS

Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,63}$")]
Pointer = Annotated[str, StringConstraints(pattern=r"^(/([^~/]|~[01])*)+$", max_length=200)]
"""A JSON Pointer (RFC 6901) to a place within a document; the whole of it is none."""
Sentence = Annotated[str, StringConstraints(max_length=500)]

MOST_CORRECTIONS = 50


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(_Part):
    """What every event has in common. `application_id` is the key and the subject, never an identity number."""

    TYPE: ClassVar[str]
    MAJOR: ClassVar[int] = 1

    application_id: UUID

    @property
    @abstractmethod
    def topic(self) -> str:
        """Where this event travels."""

    @property
    @abstractmethod
    def event_id(self) -> UUID:
        """Derived from what the event is about, so that saying it again is recognised."""

    @property
    def key(self) -> str:
        return str(self.application_id)

    @classmethod
    def full_type(cls) -> str:
        return f"{cls.TYPE}.v{cls.MAJOR}"


# --- approval → a department -----------------------------------------------------------------------------------------


class TaskMode(StrEnum):
    """DECIDE asks for a decision; PROVE asks only whether what the applicant says already exists does exist."""

    DECIDE = "DECIDE"
    PROVE = "PROVE"


class Basis(_Part):
    """Why a field may be given to a department: a law with its clause, or the consent that covers it."""

    kind: Literal["LAW", "CONSENT"]
    reference: Sentence


class TaskFields(_Part):
    """The personal part of a task: exactly the fields that its matter declares, by name."""

    fields: dict[str, JsonValue]


class _TaskEvent(Event):
    department: Code
    task_id: UUID
    matter: Code

    @property
    def event_id(self) -> UUID:
        return self.id_for(self.task_id)

    @classmethod
    def id_for(cls, task_id: UUID) -> UUID:
        """The id of the event of this type about a task."""
        return derived_ids.event_id(cls.full_type(), task_id)


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


# --- a department → approval -----------------------------------------------------------------------------------------


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
        return derived_ids.event_id(self.full_type(), self.task_id, self.status, self.received_at.isoformat())


class Outcome(StrEnum):
    """What a department decided. PROVEN answers a PROVE task; RETURNED asks the applicant to correct named fields."""

    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    NOT_ACCEPTED = "NOT_ACCEPTED"
    RETURNED = "RETURNED"
    PROVEN = "PROVEN"


class Correction(_Part):
    """A field the applicant is to correct: where it stands in the form, and why, in Chinese."""

    pointer: Pointer
    message: Sentence


class IssuedDocument(_Part):
    """A document as the department issued it; `kind` is the code that the life event declares."""

    kind: Code
    number: Annotated[str, StringConstraints(min_length=1, max_length=100)]


class AnswerParts(_Part):
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


# --- approval → everyone who may know --------------------------------------------------------------------------------


class _ApplicationEvent(Event):
    @property
    def topic(self) -> str:
        return APPLICATIONS


class ApplicationSubmitted(_ApplicationEvent):
    """An application was accepted for handling."""

    TYPE = "gov.city.approval.application-submitted"

    life_event: Code
    digest: str
    children: int = Field(ge=0, le=20)
    submitted_at: AwareDatetime
    due_at: AwareDatetime

    @property
    def event_id(self) -> UUID:
        return derived_ids.event_id(self.full_type(), self.application_id)


class ApplicationProgressed(_ApplicationEvent):
    """The application's state moved to `version`: a hint to look again; what changed is asked of approval."""

    TYPE = "gov.city.approval.application-progressed"

    version: int = Field(ge=1)
    progressed_at: AwareDatetime

    @property
    def event_id(self) -> UUID:
        return derived_ids.event_id(self.full_type(), self.application_id, self.version)


class ApplicationOutcome(StrEnum):
    ALL_GRANTED = "ALL_GRANTED"
    PARTLY = "PARTLY"
    NONE = "NONE"


class ApplicationCompleted(_ApplicationEvent):
    """Every task is terminal."""

    TYPE = "gov.city.approval.application-completed"

    life_event: Code
    outcome: ApplicationOutcome
    departments: tuple[Code, ...]
    submitted_at: AwareDatetime
    completed_at: AwareDatetime

    @property
    def event_id(self) -> UUID:
        return derived_ids.event_id(self.full_type(), self.application_id)


class ApplicationWithdrawn(_ApplicationEvent):
    """The applicant withdrew; tasks that were sent are cancelled, what was decided stands."""

    TYPE = "gov.city.approval.application-withdrawn"

    life_event: Code
    withdrawn_at: AwareDatetime

    @property
    def event_id(self) -> UUID:
        return derived_ids.event_id(self.full_type(), self.application_id)


class DocumentOwner(_Part):
    """Whose document it is. A newborn has no number before household registration: then the parents' stand alone."""

    child: int | None = None
    owner_id_no: str | None = None
    mother_id_no: str
    father_id_no: str | None = None


class IssuedParts(_Part):
    """The personal part of an issued document."""

    number: str
    owner: DocumentOwner


class DocumentIssued(Event):
    """A department issued a document that approval accepted; it belongs into its owner's wallet."""

    TYPE = "gov.city.approval.document-issued"

    department: Code
    matter: Code
    task_id: UUID
    kind: Code
    name: Sentence
    issued_at: AwareDatetime
    personal: IssuedParts

    @property
    def topic(self) -> str:
        return DOCUMENTS

    @property
    def event_id(self) -> UUID:
        return derived_ids.event_id(self.full_type(), self.task_id, self.kind)


class RelationParts(_Part):
    child_id_no: str
    mother_id_no: str
    father_id_no: str | None = None


class RelationRegistered(Event):
    """Public security registered a child of these parents."""

    TYPE = "gov.city.approval.relation-registered"

    child: int = Field(ge=1, le=20)
    task_id: UUID
    registered_at: AwareDatetime
    personal: RelationParts

    @property
    def topic(self) -> str:
        return DOCUMENTS

    @property
    def event_id(self) -> UUID:
        return derived_ids.event_id(self.full_type(), self.task_id)


class DisclosedField(_Part):
    """One field that went to a department: its name, and where it came from. Never its value."""

    name: str
    source: str


class DisclosedPart(_Part):
    """The fields that went out on one basis."""

    basis: Basis
    fields: tuple[DisclosedField, ...]


class DataDisclosed(Event):
    """Fields of an application went to a department for one task."""

    TYPE = "gov.city.approval.data-disclosed"

    department: Code
    task_id: UUID
    matter: Code
    purpose: Sentence
    parts: tuple[DisclosedPart, ...]
    disclosed_at: AwareDatetime

    @property
    def topic(self) -> str:
        return DISCLOSURES

    @property
    def event_id(self) -> UUID:
        return derived_ids.event_id(self.full_type(), self.task_id)


EVENTS: tuple[type[Event], ...] = (
    TaskRequested,
    TaskCancelled,
    TaskReceived,
    TaskAnswered,
    TaskUnprocessable,
    ApplicationSubmitted,
    ApplicationProgressed,
    ApplicationCompleted,
    ApplicationWithdrawn,
    DocumentIssued,
    RelationRegistered,
    DataDisclosed,
)
