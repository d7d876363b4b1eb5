"""A person's sessions as an application shows them: list, sign out one, sign out everywhere, change the password."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from yijian_common.auth import Kind, Principal, require_principal
from yijian_common.database import connection
from yijian_common.errors import FieldError, Forbidden, NotFound, Unprocessable

from identity.endings import end_all, end_session
from identity.errors import PasswordRefusedError
from identity.provider import Provider
from identity.queries import find_person
from identity.sessions import change_password, find_session_of, open_sessions

routes = APIRouter(prefix="/v1", tags=["sessions"])


async def require_person(principal: Annotated[Principal, Depends(require_principal)]) -> Principal:
    """A citizen or an official. 403 for a service."""
    if principal.kind not in (Kind.CITIZEN, Kind.OFFICIAL):
        raise Forbidden("这项操作只能由本人办理")
    return principal


Caller = Annotated[Principal, Depends(require_person)]


class SessionOut(BaseModel):
    """One login on one device; `applications` are those that it is used in."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    device: str
    applications: tuple[str, ...]
    since: datetime
    last_used: datetime
    current: bool


class SessionsOut(BaseModel):
    sessions: list[SessionOut]


class PasswordChange(BaseModel):
    """The password that was, and the one that is to be."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    current: str = Field(min_length=1, max_length=256)
    new: str = Field(min_length=8, max_length=256)


@routes.get("/sessions")
async def list_sessions(provider: Provider, caller: Caller) -> SessionsOut:
    """Where the caller is logged in, the session used last first."""
    person_id = UUID(caller.subject)
    current = await find_session_of(provider, person_id, UUID(caller.claims["grant"]))
    async with connection(provider.pool) as held:
        found = await open_sessions(held, person_id, current=current, clients=provider.clients)
    return SessionsOut(sessions=[SessionOut.model_validate(session) for session in found])


@routes.delete("/sessions/{session_id}", status_code=204)
async def sign_out(session_id: UUID, provider: Provider, caller: Caller) -> None:
    """End one of the caller's sessions: its tokens are refused everywhere within seconds. 404 when there is none."""
    if not await end_session(provider, UUID(caller.subject), session_id):
        raise NotFound("没有这个登录，或者它已经退出")


@routes.delete("/sessions", status_code=204)
async def sign_out_everywhere(provider: Provider, caller: Caller) -> None:
    """End all of the caller's sessions, this one too."""
    await end_all(provider, UUID(caller.subject))


@routes.put("/password", status_code=204)
async def put_password(body: PasswordChange, request: Request, provider: Provider, caller: Caller) -> None:
    """Change the caller's password; every other session ends."""
    person_id = UUID(caller.subject)
    async with connection(provider.pool) as held:
        person = await find_person(held, person_id, keyring=provider.keyring)
    if person is None:
        raise NotFound
    session = await find_session_of(provider, person_id, UUID(caller.claims["grant"]))
    source = request.client.host if request.client else "unknown"
    try:
        await change_password(provider, person, current=body.current, new=body.new, source=source, session=session)
    except PasswordRefusedError as error:
        raise Unprocessable(errors=[FieldError(str(error), pointer="/current")]) from None
