"""What approval tells about the life of an application."""

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime, Field

from yijian_contracts.events.base import CaseEvent, Code, Event, Part, Sentence
from yijian_contracts.topics import APPLICATIONS

MOST_PROGRESSED = 1000


class _ApplicationEvent(CaseEvent):
    TOPIC = APPLICATIONS


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
        return self.derive_id(self.application_id)


class Progressed(Part):
    """An application and the version that its state moved to."""

    application_id: UUID
    version: int = Field(ge=1)


class ApplicationsProgressed(Event):
    """The states of these applications moved together: hints to look again; what changed is asked of approval.

    One for all that one transaction changed, so hints about one application may come in any order.
    """

    TYPE = "gov.city.approval.applications-progressed"
    TOPIC = APPLICATIONS

    moved: tuple[Progressed, ...] = Field(min_length=1, max_length=MOST_PROGRESSED)
    progressed_at: AwareDatetime

    @property
    def key(self) -> str:
        return str(self.moved[0].application_id)

    @property
    def event_id(self) -> UUID:
        return self.derive_id(self.key, *(f"{each.application_id}:{each.version}" for each in self.moved))


class ApplicationOutcome(StrEnum):
    ALL_GRANTED = "ALL_GRANTED"
    PARTLY = "PARTLY"
    NONE = "NONE"


class HandlingOutcome(StrEnum):
    """How a department's handling of one matter ended."""

    GRANTED = "GRANTED"
    REFUSED = "REFUSED"


class Handling(Part):
    """One matter that a department handled to its end: what a resident may rate once.

    `attempts` counts how often it was asked, each correction being one more. Minutes count from being asked to the end.
    """

    task_id: UUID
    matter: Code
    name: Sentence
    department: Code
    child: int | None = Field(default=None, ge=1, le=20)
    outcome: HandlingOutcome
    automatic: bool
    attempts: int = Field(ge=1)
    promised_minutes: int = Field(ge=1)
    requested_at: AwareDatetime
    ended_at: AwareDatetime


class CompletedParts(Part):
    """The personal part: the account that applied (the subject of its tokens), for the invitation to rate."""

    applicant: Code


class ApplicationCompleted(_ApplicationEvent):
    """Every task is terminal. `handlings` are those that a department decided."""

    TYPE = "gov.city.approval.application-completed"

    life_event: Code
    outcome: ApplicationOutcome
    departments: tuple[Code, ...]
    submitted_at: AwareDatetime
    completed_at: AwareDatetime
    handlings: tuple[Handling, ...] = ()
    personal: CompletedParts

    @property
    def event_id(self) -> UUID:
        return self.derive_id(self.application_id)


class ApplicationWithdrawn(_ApplicationEvent):
    """The applicant withdrew; tasks that were sent are cancelled, what was decided stands."""

    TYPE = "gov.city.approval.application-withdrawn"

    life_event: Code
    withdrawn_at: AwareDatetime

    @property
    def event_id(self) -> UUID:
        return self.derive_id(self.application_id)
