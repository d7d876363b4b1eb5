"""Having another person authorise what one does, within one's own session: they read a code out to the caller."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from yijian_common.auth import Principal, RealNameLevel, require_level
from yijian_contracts.events.base import Code
from yijian_contracts.identifiers import is_citizen_id, normalise_citizen_id

from identity.authorisations import ask, give
from identity.provider import Provider

routes = APIRouter(prefix="/v1/authorisations", tags=["authorisations"])

Citizen = Annotated[Principal, Depends(require_level(RealNameLevel.L2))]


def _citizen_id(value: str) -> str:
    number = normalise_citizen_id(value)
    if not is_citizen_id(number):
        raise ValueError("身份证号码不正确")
    return number


class AuthorisationRequest(BaseModel):
    """Whom the caller asks, and for what."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    life_event: Code
    name: str = Field(min_length=1, max_length=60)
    id_no: Annotated[str, Field(max_length=32), AfterValidator(_citizen_id)]


class AuthorisationAsked(BaseModel):
    """Where to send the code; the same whether there is such a person or not."""

    id: UUID
    expires_at: datetime


class OneTimeCode(BaseModel):
    """What the other person read out."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    code: str = Field(pattern=r"^[0-9]{6}$")


class AuthorisationGiven(BaseModel):
    """The other person's word, for approval."""

    authorisation: str
    expires_at: datetime


@routes.post("", status_code=202)
async def ask_for_authorisation(body: AuthorisationRequest, provider: Provider, citizen: Citizen) -> AuthorisationAsked:
    """Text a code to the person named, if there is one; who it is, whether there is, is not told."""
    asked = await ask(provider, UUID(citizen.subject), life_event=body.life_event, name=body.name, id_no=body.id_no)
    return AuthorisationAsked(id=asked.id, expires_at=asked.expires_at)


@routes.post("/{authorisation_id}")
async def give_authorisation(
    authorisation_id: UUID, body: OneTimeCode, provider: Provider, citizen: Citizen
) -> AuthorisationGiven:
    """Exchange the code for the authorisation: once, within ten minutes, with five tries."""
    authorisation, expires_at = await give(provider, UUID(citizen.subject), authorisation_id, code=body.code)
    return AuthorisationGiven(authorisation=authorisation, expires_at=expires_at)
