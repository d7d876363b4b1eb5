"""Logging in as a fictitious person without a password. Not even routed in production (see `main.build`)."""

from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from yijian_common.database import Connection, connection
from yijian_common.errors import FieldError, NotFound, Unprocessable
from yijian_common.tokens import Kind
from yijian_contracts.events.base import Code

from identity import browser
from identity.authorisations import authorisation_claims
from identity.parameters import form_body, parse_form
from identity.people import Grant, Person, access_claims, read_person
from identity.provider import OpenIdProvider, Provider
from identity.queries import find_account, find_person, first_people, login_instant
from identity.routes_authorize import FORM_ENDED, enter, login_page, read_request
from identity.signing import ACCESS_TOKEN_SECONDS
from identity.texts import texts_of

routes = APIRouter(prefix="/dev", tags=["仅限开发环境 (development only)"])

CLIENT = "yijian-app"


class DevelopmentTokenRequest(BaseModel):
    """Whose token, and for which service."""

    model_config = ConfigDict(extra="forbid")

    account: str = Field(min_length=1, max_length=64)
    audience: str = Field(default="approval", min_length=1, max_length=64)


class DevelopmentToken(BaseModel):
    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - RFC 6750
    expires_in: int = ACCESS_TOKEN_SECONDS


class DevelopmentAuthorisationRequest(BaseModel):
    """Who gives their word, for whom, in which life event."""

    model_config = ConfigDict(extra="forbid")

    account: str = Field(min_length=1, max_length=64)
    actor: str = Field(min_length=1, max_length=64, description="an account, or the subject of one")
    life_event: Code


class DevelopmentAuthorisation(BaseModel):
    authorisation: str


class DevelopmentMessage(BaseModel):
    mobile: str
    text: str
    created_at: datetime


class DevelopmentAccount(BaseModel):
    account: str
    kind: Kind
    name: str
    department: str | None


_LOGIN = form_body({"form": "", "request": "", "account": ""}, "form", "request", "account")


@routes.post("/token")
async def development_token(body: DevelopmentTokenRequest, provider: Provider) -> DevelopmentToken:
    """An access token as this person would get it by logging in, for the CLI, tests and the bench."""
    if body.audience not in provider.clients[CLIENT].audiences:
        raise Unprocessable(errors=[FieldError("没有这个服务", pointer="/audience")])
    person = await _get_person(provider, body.account)
    async with connection(provider.pool) as held:
        auth_time = await login_instant(held, person.id)
    grant = Grant(id=uuid4(), client_id=CLIENT, audience=body.audience, scope="openid profile", auth_time=auth_time)
    claims = access_claims(person, grant, userinfo=provider.settings.audience, pairwise=provider.pairwise)
    return DevelopmentToken(access_token=provider.signer.access_token(claims))


@routes.post("/authorisation")
async def development_authorisation(
    body: DevelopmentAuthorisationRequest, provider: Provider
) -> DevelopmentAuthorisation:
    """What a person gives by a one-time code, without the code."""
    giver = await _get_person(provider, body.account)
    actor = await _get_person(provider, body.actor)
    if giver.id_no is None:
        raise Unprocessable(errors=[FieldError("只有居民可以授权", pointer="/account")])
    claims = authorisation_claims(
        provider, giver=giver.id, id_no=giver.id_no, actor=actor.id, life_event=body.life_event, authorisation=uuid4()
    )
    return DevelopmentAuthorisation(authorisation=provider.signer.authorisation(claims)[0])


@routes.get("/messages")
async def development_messages(provider: Provider, account: str) -> list[DevelopmentMessage]:
    """The texts that wait for a person, the newest first: in development nobody sends them."""
    person = await _get_person(provider, account)
    async with connection(provider.pool) as held:
        waiting = await texts_of(held, provider.keyring, person.id)
    return [DevelopmentMessage(mobile=text.mobile, text=text.text, created_at=text.created_at) for text in waiting]


@routes.get("/accounts")
async def development_accounts(
    provider: Provider, kind: Kind = Kind.CITIZEN, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> list[DevelopmentAccount]:
    """The first accounts of a kind."""
    async with connection(provider.pool) as held:
        people = await first_people(held, kind, limit, keyring=provider.keyring)
    return [
        DevelopmentAccount(
            account=person.account,
            kind=person.kind,
            name=person.name,
            department=None if person.post is None else person.post.department,
        )
        for person in people
    ]


@routes.post("/login", openapi_extra=_LOGIN, response_model=None)
async def development_login(request: Request, provider: Provider) -> Response:
    """The login page's list: go on as this person."""
    form = await parse_form(request)
    asked = read_request(provider, form.get("request", ""))
    if not browser.is_our_form(provider, request, form.get("form")):
        return await login_page(request, provider, asked, query=form.get("request", ""), message=FORM_ENDED, status=403)
    return await enter(request, provider, asked, await _get_person(provider, form.get("account", "")))


async def _get_person(provider: OpenIdProvider, account: str) -> Person:
    async with connection(provider.pool) as held:
        row = await find_account(held, account)
        person = await _find_subject(held, provider, account) if row is None else read_person(row, provider.keyring)
    if person is None:
        raise NotFound("没有这个账号")
    return person


async def _find_subject(held: Connection, provider: OpenIdProvider, subject: str) -> Person | None:
    try:
        return await find_person(held, UUID(subject), keyring=provider.keyring)
    except ValueError:
        return None
