"""Which personal data went where on which basis, and the ledger's word that it is written down."""

from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field, StringConstraints

from yijian_contracts.events.base import Basis, CaseEvent, Code, Event, Part, PersonRef, Sentence, read_once
from yijian_contracts.topics import CHECKPOINTS, DISCLOSURES

MOST_COVERED = 10_000


class DisclosedField(Part):
    """One field that went out: its name, its title in Chinese, and where it came from. Never its value."""

    name: str
    title: str
    source: str


class DisclosedPart(Part):
    """The fields that went out on one basis and concern the same people.

    `concerns` holds roles of the case, such as MOTHER, FATHER or CHILD.
    """

    basis: Basis
    concerns: tuple[Code, ...]
    fields: tuple[DisclosedField, ...]


class DisclosedPerson(Part):
    """Somebody whose data is disclosed, by role; a CHILD has no reference before it has a number."""

    role: Code
    ref: PersonRef


class DataDisclosed(CaseEvent):
    """Fields of an application went to a department for one task; the task's id is the disclosure's id.

    `people` are the case's roles with who plays them. What concerns a CHILD is for the people with the roles in
    `guardians` to see.
    """

    TYPE = "gov.city.approval.data-disclosed"
    TOPIC = DISCLOSURES

    life_event: Code
    department: Code
    task_id: UUID
    matter: Code
    child: int | None = Field(default=None, ge=1, le=20)
    purpose: Sentence
    people: tuple[DisclosedPerson, ...]
    guardians: tuple[Code, ...] = ()
    parts: Annotated[tuple[DisclosedPart, ...], read_once(tuple[DisclosedPart, ...])]
    disclosed_at: AwareDatetime

    @property
    def event_id(self) -> UUID:
        return self.derive_id(self.task_id)


class CheckpointSigned(Event):
    """The ledger signed its state at `size` leaves; `covered` are the disclosures that came in since the last one.

    A checkpoint that covers more than `MOST_COVERED` comes in several of these, `part` 0, 1, …. `checkpoint` is the
    signed note (C2SP tlog-checkpoint).
    """

    TYPE = "gov.city.data-exchange.checkpoint-signed"
    TOPIC = CHECKPOINTS

    origin: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    size: int = Field(ge=1)
    part: int = Field(default=0, ge=0)
    checkpoint: Annotated[str, StringConstraints(max_length=4000)]
    covered: tuple[UUID, ...] = Field(max_length=MOST_COVERED)
    signed_at: AwareDatetime

    @property
    def key(self) -> str:
        return self.origin

    @property
    def event_id(self) -> UUID:
        return self.derive_id(self.origin, self.size, self.part)
