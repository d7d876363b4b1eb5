"""HTTP bodies. Instants are RFC 3339 in UTC; texts for residents are Chinese."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from yijian_contracts.events import ApplicationOutcome, TaskMode

from approval.application import ApplicationStatus, Decision, TaskState
from approval.engine import EntryKind
from approval.schemas_consents import ConsentTextOut, SignedText, WaitsForOut


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SubmitRequest(_Body):
    """An application: which life event, its form, and what other parties authorised by one-time codes."""

    life_event: str = Field(min_length=1, max_length=64, examples=["birth"])
    form: dict[str, Any]
    authorisations: list[SignedText] = Field(default=[], max_length=4)


class ValidateRequest(_Body):
    form: dict[str, Any]


class FieldMessage(_Body):
    pointer: str
    message: str
    rule: str


class ValidationResult(_Body):
    """All errors at once; with none, what would happen on submission."""

    valid: bool
    errors: list[FieldMessage]
    tasks: list["PlannedTaskOut"]


class PlannedTaskOut(_Body):
    key: str
    matter: str
    name: str
    department: str
    needs_person: list[str]
    not_needed: str | None


class MatterOut(_Body):
    code: str
    name: str
    description: str
    department: str
    department_name: str
    promise_minutes: int
    needs: list[str]
    documents: list[str]


class LifeEventSummary(_Body):
    code: str
    name: str
    summary: str
    promise_minutes: int


class LifeEventOut(LifeEventSummary):
    """The guide of a life event: who, what to bring, how long, what happens, which consents are asked for in which
    words, and the form as JSON Schema 2020-12.
    """

    digest: str
    expected_minutes: int
    who: list[str]
    materials: list[str]
    not_included: list[str]
    fee: str
    matters: list[MatterOut]
    consents: list[ConsentTextOut]
    form_schema: dict[str, Any]


class AcceptedOut(_Body):
    """The answer to a submission; the application is stored."""

    id: UUID
    life_event: str
    status: ApplicationStatus
    submitted_at: datetime
    due_at: datetime


class CorrectionOut(_Body):
    pointer: str
    message: str


class DocumentOut(_Body):
    """A document that was issued; its number is masked here and complete in the wallet."""

    kind: str
    name: str
    number: str


class DisclosedFieldOut(_Body):
    """A field that a department received; `title` is what residents call it."""

    name: str
    title: str
    source: str
    basis_kind: str
    basis: str


class TaskOut(_Body):
    key: str
    matter: str
    name: str
    child: int | None
    department: str
    department_name: str
    state: TaskState
    mode: TaskMode
    decision: Decision | None
    automatic: bool
    reason: str
    needs_person: list[str]
    waits_for: list[WaitsForOut]
    requested_at: datetime | None
    ended_at: datetime | None
    corrections: list[CorrectionOut]
    documents: list[DocumentOut]
    received: list[DisclosedFieldOut]


class ApplicationSummary(_Body):
    id: UUID
    life_event: str
    status: ApplicationStatus
    outcome: ApplicationOutcome | None
    submitted_at: datetime
    due_at: datetime
    completed_at: datetime | None
    version: int


class ApplicationOut(ApplicationSummary):
    """An application with its tasks. `held` says, in Chinese, why no further department is asked at the moment."""

    name: str
    expected_minutes: int
    held: str | None
    tasks: list[TaskOut]


class ApplicationPage(_Body):
    """One page, newest first; `next` is the cursor of the following one."""

    items: list[ApplicationSummary]
    next: str | None


class EntryOut(_Body):
    """A line of the timeline: what happened, to which task, by whom, through which states."""

    version: int
    at: datetime
    kind: EntryKind
    task: str | None
    name: str | None
    actor: str
    states: list[TaskState]
    note: str


class FieldValue(_Body):
    pointer: str = Field(max_length=200)
    value: Any


class CorrectionRequest(_Body):
    """New values for exactly the fields that the department returned."""

    task: str = Field(max_length=64)
    fields: list[FieldValue] = Field(min_length=1, max_length=50)
