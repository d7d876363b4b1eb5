"""HTTP bodies of consents. Texts are what their givers read; instants are RFC 3339 in UTC."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from yijian_contracts.events import ConsentMeans

from approval.application import ConsentState

MOST = 20
SignedText = Annotated[str, StringConstraints(min_length=1, max_length=8192)]
Basis = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ConsentedFieldOut(_Body):
    """A field that a consent covers: what it is, and which department gets it for which matter."""

    department: str
    department_name: str
    matter: str
    matter_name: str
    name: str
    title: str


class ConsentTextOut(_Body):
    """A consent as its givers read it. `term_days` is how long it holds, from the moment it is given."""

    basis: str
    version: int
    purpose: str
    text: str
    givers: list[str]
    term_days: float
    fields: list[ConsentedFieldOut]


class WaitsForOut(_Body):
    """What a task waits for beside other matters: this person has to agree, or to refuse."""

    basis: str
    purpose: str
    giver: str
    giver_title: str


class ConsentOut(_Body):
    """One person's consent in one application. `mine` says that it is the caller's to give.

    `answer_by` is until when it can be answered while it is PENDING. Its `id` is the one at data-exchange, where what
    was given is withdrawn.
    """

    id: UUID
    basis: str
    version: int
    purpose: str
    text: str
    giver: str
    giver_title: str
    mine: bool
    state: ConsentState
    means: ConsentMeans | None
    asked_at: datetime
    answer_by: datetime | None
    given_at: datetime | None
    valid_until: datetime | None
    fields: list[ConsentedFieldOut]


class WaitingOut(_Body):
    """An application that waits for the caller's answers."""

    application_id: UUID
    life_event: str
    name: str
    submitted_at: datetime
    consents: list[ConsentOut]


class AnswerConsentsRequest(_Body):
    """What the caller agrees to and what not, by basis.

    With `authorisation`, whoever applied tells what the other party agreed to: what `give` names, or all of it.
    """

    give: list[Basis] = Field(default=[], max_length=MOST)
    refuse: list[Basis] = Field(default=[], max_length=MOST)
    authorisation: SignedText | None = None
