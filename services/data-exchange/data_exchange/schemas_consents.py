"""What the consent register answers over HTTP."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field
from yijian_contracts.events import ConsentMeans

from data_exchange.consents import ConsentState


class ConsentedFieldOut(BaseModel):
    name: str
    title: str


class ConsentedMatterOut(BaseModel):
    """The fields that the consent lets go to one department for one matter."""

    department: str
    department_name: str
    matter: str
    fields: list[ConsentedFieldOut]


class ConsentOut(BaseModel):
    """A consent of the caller's own."""

    id: UUID
    application_id: UUID
    life_event: str
    basis: str
    version: int
    purpose: str
    text: str = Field(description="The text as it was shown when the consent was given")
    giver: str = Field(description="The role in which it was given")
    for_children: bool = Field(description="Given as the guardian of the application's children as well")
    means: ConsentMeans
    matters: list[ConsentedMatterOut]
    given_at: datetime
    valid_until: datetime
    withdrawn_at: datetime | None
    state: ConsentState


class ConsentPage(BaseModel):
    items: list[ConsentOut]
    next: str | None
