"""HTTP in: one action or query each."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from yijian_common import database, idempotency
from yijian_common.auth import require_citizen, require_level, require_official
from yijian_common.database import Connection, Pool
from yijian_common.errors import FieldError, Unprocessable
from yijian_common.idempotency import IdempotencyKey, StoredResponse
from yijian_common.tokens import Principal, RealNameLevel
from yijian_contracts.areas import AreaLevel, area_level
from yijian_contracts.departments import departments
from yijian_contracts.working_days import local_date
from yijian_messaging import Store

from rating import figure_rows, order_rows, presentation, queries
from rating.actions import orders as order_actions
from rating.actions.invitations import person_of
from rating.actions.reviews import Said, give_review
from rating.errors import AlreadyReviewed, InvitationNotFound, NotForYourPost, OrderNotFound
from rating.figures import formula
from rating.marks import Mark
from rating.order_effects import Carrier
from rating.orders import Order, OrderState
from rating.questionnaire import questionnaire
from rating.schemas import (
    CallbackRequest,
    ClosingRequest,
    FiguresOut,
    InvitationOut,
    InvitationPage,
    OrderOut,
    OrderPage,
    OwnOrderOut,
    PublishedPage,
    QuestionnaireOut,
    ReviewOut,
    ReviewRequest,
    VerificationRequest,
)

routes = APIRouter(prefix="/v1")
PAGE = 50
MOST_DAYS = 400


class Role(StrEnum):
    """The roles of posts that see orders: a department's head, and supervision (督查), who judges other departments."""

    HEAD = "HEAD"
    SUPERVISOR = "SUPERVISOR"


@dataclass(frozen=True, slots=True)
class Parts:
    """What the handlers work with; made once in `main`."""

    pool: Pool
    store: Store[Connection]
    carrier: Carrier


async def get_parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Context = Annotated[Parts, Depends(get_parts)]
Citizen = Annotated[Principal, Depends(require_citizen)]
NamedCitizen = Annotated[Principal, Depends(require_level(RealNameLevel.L2))]
Official = Annotated[Principal, Depends(require_official())]
Limit = Annotated[int, Query(ge=1, le=PAGE)]
Place = Annotated[int | None, Query(ge=1, le=2**63 - 1, description="`next` of the page before")]


def _now() -> datetime:
    return datetime.now(UTC)


# --- residents -------------------------------------------------------------------------------------------------------


@routes.get("/questionnaire", tags=["reviews"])
async def get_questionnaire() -> QuestionnaireOut:
    """What can be said in a review: levels, standard statements, touch points, dimensions."""
    return presentation.questions(questionnaire())


@routes.get("/invitations", tags=["reviews"])
async def list_invitations(
    parts: Context,
    citizen: Citizen,
    cursor: Annotated[UUID | None, Query(description="`next` of the page before")] = None,
    limit: Limit = 20,
) -> InvitationPage:
    """The person's invitations, newest first."""
    keyring = parts.carrier.keyring
    person = person_of(keyring, citizen.subject)
    async with database.connection(parts.pool) as held:
        found = await queries.list_invitations(held, person=person, before=cursor, limit=limit + 1, keyring=keyring)
    page = found[:limit]
    return InvitationPage(
        items=[presentation.invitation(one, parts.carrier, at=_now()) for one in page],
        next=str(page[-1].invitation["id"]) if len(found) > limit else None,
    )


@routes.get("/invitations/{invitation_id}", tags=["reviews"])
async def get_invitation(invitation_id: UUID, parts: Context, citizen: Citizen) -> InvitationOut:
    """One invitation: what can be reviewed, what was said, and what became of it."""
    keyring = parts.carrier.keyring
    async with database.connection(parts.pool) as held:
        found = await queries.find_invitation(
            held, invitation_id, person=person_of(keyring, citizen.subject), keyring=keyring
        )
    if found is None:
        raise InvitationNotFound
    return presentation.invitation(found, parts.carrier, at=_now())


@routes.post("/reviews", tags=["reviews"], status_code=201, response_model=ReviewOut)
async def review(
    citizen: NamedCitizen, request: Request, body: ReviewRequest, key: IdempotencyKey, parts: Context
) -> Response:
    """Review one handling. A bad review becomes an order to the department, which does not learn whose it was."""
    keyring = parts.carrier.keyring
    raw = (await request.body()).decode("utf-8", "replace")
    scope = f"review:{citizen.subject}"
    digest = idempotency.request_digest(keyring, "review", raw)
    async with parts.store.transaction() as transaction:
        connection = transaction.connection
        earlier = await idempotency.find_response(
            connection, keyring=keyring, scope=scope, key=key, request_digest=digest
        )
        if earlier is not None:
            return _answer(earlier)
        try:
            given = await give_review(
                transaction, _said(body), subject=citizen.subject, carrier=parts.carrier, at=_now()
            )
        except AlreadyReviewed:
            # It may have been this very request, sent twice at once.
            earlier = await idempotency.find_response(
                connection, keyring=keyring, scope=scope, key=key, request_digest=digest
            )
            if earlier is None:
                raise
            return _answer(earlier)
        out = ReviewOut(id=given.id, handling=body.handling, number=given.number, level=body.level, order=given.order)
        response = StoredResponse(status=201, body=out.model_dump_json().encode())
        await idempotency.remember(
            connection,
            keyring=keyring,
            scope=scope,
            key=key,
            request_digest=digest,
            response=response,
            about=given.invitation_id,
        )
    return _answer(response)


def _said(body: ReviewRequest) -> Said:
    return Said(
        handling=body.handling,
        level=body.level,
        options=tuple(body.options),
        marks=tuple(Mark(mark.touch_point, mark.dimension, mark.level) for mark in body.marks),
        comment=body.comment,
        channel=body.channel,
    )


def _answer(stored: StoredResponse) -> Response:
    return Response(stored.body, status_code=stored.status, media_type="application/json", headers=dict(stored.headers))


@routes.post("/orders/{order_id}/callback", tags=["orders"])
async def call_back(order_id: UUID, body: CallbackRequest, parts: Context, citizen: Citizen) -> OwnOrderOut:
    """Say whether what the department did will do. The first no reopens the order, the second goes to supervision."""
    async with parts.store.transaction() as transaction:
        order = await order_actions.call_back(
            transaction,
            order_id,
            satisfied=body.satisfied,
            subject=citizen.subject,
            carrier=parts.carrier,
            at=_now(),
        )
    return presentation.own_order(order, parts.carrier)


# --- officials -------------------------------------------------------------------------------------------------------


def _department_of(who: Principal) -> str:
    """The official's department. Orders tell no place, so only posts for the whole city may see them."""
    post = who.post
    try:
        whole_city = post is not None and area_level(post.area) <= AreaLevel.CITY
    except ValueError:
        whole_city = False
    if post is None or not whole_city:
        raise NotForYourPost
    return post.department


def _role(who: Principal) -> str:
    return who.post.role if who.post else ""


def _sees(who: Principal) -> str | None:
    """The department whose orders this official sees; None for all of them. 403 for other posts."""
    department = _department_of(who)
    match _role(who):
        case Role.HEAD:
            return department
        case Role.SUPERVISOR:
            return None
        case _:
            raise NotForYourPost


def _supervises(who: Principal, order: Order) -> bool:
    """Whether this official may judge an order: nobody does for their own department."""
    return _role(who) == Role.SUPERVISOR and _department_of(who) != order.department


@routes.get("/orders", tags=["orders"])
async def list_orders(
    parts: Context,
    official: Official,
    state: OrderState | None = None,
    cursor: Place = None,
    limit: Limit = 20,
) -> OrderPage:
    """Orders, newest first: a head sees those of the department, supervision all of them."""
    async with database.connection(parts.pool) as held:
        found = await order_rows.list_orders(
            held, department=_sees(official), state=state, before=cursor, limit=limit + 1
        )
    page = found[:limit]
    return OrderPage(
        items=[presentation.order_summary(order, at=_now()) for _, order in page],
        next=page[-1][0] if len(found) > limit else None,
    )


@routes.get("/orders/{order_id}", tags=["orders"])
async def get_order(order_id: UUID, parts: Context, official: Official) -> OrderOut:
    """One order and its history, by the day. What the resident wrote is shown to those who verify, and nobody else."""
    department = _sees(official)
    async with database.connection(parts.pool) as held:
        order = await order_rows.find_order(held, order_id)
        if order is None or department not in (None, order.department):
            raise OrderNotFound
        return await _detail(held, order, parts, official)


async def _detail(held: Connection, order: Order, parts: Parts, official: Principal) -> OrderOut:
    comment = await parts.carrier.masked_comment(held, order) if _supervises(official, order) else None
    history = await queries.read_history(held, order.id)
    return presentation.order_detail(order, history, parts.carrier, comment=comment, at=_now())


async def _judged(parts: Parts, order_id: UUID, official: Principal) -> None:
    """404 or 403 unless this official may judge the order."""
    _sees(official)
    async with database.connection(parts.pool) as held:
        order = await order_rows.find_order(held, order_id)
    if order is None:
        raise OrderNotFound
    if not _supervises(official, order):
        raise NotForYourPost


@routes.post("/orders/{order_id}/verification", tags=["orders"])
async def verify(order_id: UUID, body: VerificationRequest, parts: Context, official: Official) -> OrderOut:
    """Say whether a review stands. To set one aside takes two officials of supervision, of other departments."""
    await _judged(parts, order_id, official)
    async with parts.store.transaction() as transaction:
        order = await order_actions.verify(
            transaction,
            order_id,
            body.verdict,
            reason=body.reason,
            by=official.subject,
            carrier=parts.carrier,
            at=_now(),
        )
        return await _detail(transaction.connection, order, parts, official)


@routes.post("/orders/{order_id}/closing", tags=["orders"])
async def close(order_id: UUID, body: ClosingRequest, parts: Context, official: Official) -> OrderOut:
    """End an order that came to supervision."""
    await _judged(parts, order_id, official)
    async with parts.store.transaction() as transaction:
        order = await order_actions.close(
            transaction, order_id, conclusion=body.conclusion, carrier=parts.carrier, at=_now()
        )
        return await _detail(transaction.connection, order, parts, official)


@routes.get("/figures", tags=["figures"])
async def get_figures(
    parts: Context,
    official: Official,
    department: str,
    first: Annotated[date, Query(alias="from")],
    last: Annotated[date, Query(alias="to")],
) -> FiguresOut:
    """A department's figures by day. Supervision sees everything; those rated see days that are over, and of those the
    ones with enough reviews that none can be told from the others."""
    if department not in departments():
        raise Unprocessable(errors=[FieldError("没有这个部门", parameter="department")])
    if not timedelta(0) <= last - first < timedelta(days=MOST_DAYS):
        raise Unprocessable(errors=[FieldError(f"起止日期须在 {MOST_DAYS} 天以内", parameter="to")])
    own = _department_of(official)
    supervised = _role(official) == Role.SUPERVISOR and own != department
    if not supervised and own != department:
        raise NotForYourPost
    async with database.connection(parts.pool) as held:
        stored = await figure_rows.read(held, department=department, first=first, last=last)
    today = None if supervised else local_date(_now())
    return presentation.figures(department, stored, first=first, last=last, by=formula(), today=today)


# --- everybody -------------------------------------------------------------------------------------------------------


@routes.get("/published-rectifications", tags=["published"])
async def list_published(
    parts: Context,
    department: Annotated[str | None, Query(pattern=r"^[a-z][a-z-]{0,63}$")] = None,
    cursor: Place = None,
    limit: Limit = 20,
) -> PublishedPage:
    """What was rated badly and what was done about it, newest first, for everybody to read."""
    async with database.connection(parts.pool) as held:
        found = await queries.list_published(held, department=department, before=cursor, limit=limit + 1)
    page = found[:limit]
    return PublishedPage(
        items=[presentation.published(row) for row in page],
        next=page[-1]["place"] if len(found) > limit else None,
    )
