"""Reviewing: one active review per handling, within the time for it; a bad one becomes an order in the same moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import structlog
from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_common.ids import uuid7
from yijian_contracts.working_days import local_date
from yijian_messaging import Transaction

from rating import orders
from rating.actions.invitations import person_of
from rating.cross_check import Recorded, contradicted
from rating.errors import AlreadyReviewed, HandlingNotFound, ReviewClosed
from rating.figure_rows import record
from rating.figures import Fact, FactKind
from rating.marks import Mark, dump_marks
from rating.metrics import REVIEWS
from rating.order_effects import Carrier, seal_comment
from rating.order_rows import order_of_review
from rating.orders import Order, OrderState
from rating.questionnaire import Channel, Level

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Said:
    """What a resident says about a handling."""

    handling: UUID
    level: Level
    options: tuple[str, ...]
    marks: tuple[Mark, ...]
    comment: str
    channel: Channel


@dataclass(frozen=True, slots=True)
class Given:
    """A review as it was stored; `order` is the number of the order that it became."""

    id: UUID
    invitation_id: UUID
    number: int
    needs_verify: tuple[str, ...]
    order: UUID | None


async def give_review(
    transaction: Transaction[Connection], said: Said, *, subject: str, carrier: Carrier, at: datetime
) -> Given:
    """Store a review, hold it against the records, count it, and open an order for a bad one.

    Raises `HandlingNotFound`, `ReviewClosed`, `AlreadyReviewed`.
    """
    connection = transaction.connection
    handling = await _lock_handling(connection, said.handling, person_of(carrier.keyring, subject))
    earlier = await _earlier(connection, said.handling)
    order = await order_of_review(connection, earlier["id"]) if earlier is not None else None
    number = _number(handling, earlier, order, at)
    review_id = uuid7()
    needs_verify = contradicted(said.options, _recorded(handling))
    facts: list[Fact] = []
    if earlier is not None and order is not None:
        facts += await _supersede(connection, earlier, order)
    await _insert(connection, review_id, said, number, handling, needs_verify, carrier.keyring, at)
    about = (handling["department"], local_date(at))
    cause = uuid4()
    facts.append(Fact(cause, FactKind.REVIEWED, *about, said.level))
    if needs_verify:
        facts.append(Fact(cause, FactKind.FLAGGED, *about))
    opened = None
    if order is not None:
        facts += await _answer_call_back(transaction, order, said.level, carrier, at)
    elif said.level.is_bad:
        opened = _new_order(review_id, handling, said, needs_verify, cause, at)
        orders.open_order(opened, at=at)
        facts += await carrier.insert(transaction, opened)
    await record(connection, facts)
    REVIEWS.labels(said.level).inc()
    return Given(review_id, handling["invitation_id"], number, needs_verify, opened.id if opened else None)


async def _lock_handling(connection: Connection, handling_id: UUID, person: bytes) -> Any:
    """A handling of this person's, read after its invitation was locked: two reviews at once come one by one."""
    locked = await connection.fetchval(
        """
        SELECT id FROM invitation
        WHERE id = (SELECT invitation_id FROM handling WHERE id = $1) AND person = $2 FOR UPDATE
        """,
        handling_id,
        person,
    )
    row = await connection.fetchrow(
        """
        SELECT h.*, i.data_key, i.closes_at FROM handling h JOIN invitation i ON i.id = h.invitation_id
        WHERE h.id = $1 AND i.id = $2
        """,
        handling_id,
        locked,
    )
    if row is None:
        raise HandlingNotFound
    return row


async def _earlier(connection: Connection, handling_id: UUID) -> Any:
    """The latest review of a handling, in whatever state."""
    return await connection.fetchrow(
        "SELECT id, number, state, level FROM review WHERE handling_id = $1 ORDER BY number DESC LIMIT 1", handling_id
    )


def _number(handling: Any, earlier: Any, order: Order | None, at: datetime) -> int:
    """1, or 2 once a bad first one was answered and as long as the call-back is open (assessNumber)."""
    if earlier is None:
        if at >= handling["closes_at"] or handling["defaulted_at"] is not None:
            raise ReviewClosed
        return 1
    answered = order is not None and order.state is OrderState.CALLBACK
    if earlier["number"] > 1 or earlier["state"] != "ACTIVE" or order is None or not answered:
        raise AlreadyReviewed
    if order.callback_until is None or at >= order.callback_until:
        raise ReviewClosed
    return 2


def _recorded(handling: Any) -> Recorded:
    return Recorded(
        promised_minutes=handling["promised_minutes"],
        taken_minutes=handling["taken_minutes"],
        visits=handling["visits"],
        online=handling["online"],
    )


async def _supersede(connection: Connection, earlier: Any, order: Order) -> list[Fact]:
    await connection.execute("UPDATE review SET state = 'SUPERSEDED' WHERE id = $1", earlier["id"])
    level = Level(earlier["level"])
    return [Fact(order.fact, FactKind.SUPERSEDED, order.department, order.counted_on, level)]


async def _insert(
    connection: Connection,
    review_id: UUID,
    said: Said,
    number: int,
    handling: Any,
    needs_verify: Sequence[str],
    keyring: Keyring,
    at: datetime,
) -> None:
    await connection.execute(
        """
        INSERT INTO review (id, handling_id, invitation_id, number, state, level, options, marks, channel,
            needs_verify, sealed, given_at)
        VALUES ($1, $2, $3, $4, 'ACTIVE', $5, $6, $7, $8, $9, $10, $11)
        """,
        review_id,
        said.handling,
        handling["invitation_id"],
        number,
        said.level,
        list(said.options),
        dump_marks(said.marks),
        said.channel,
        list(needs_verify),
        seal_comment(keyring.unwrap(handling["data_key"]), review_id, said.comment),
        at,
    )


def _new_order(
    review_id: UUID, handling: Any, said: Said, needs_verify: tuple[str, ...], cause: UUID, at: datetime
) -> Order:
    return Order(
        id=uuid4(),  # of no time: whose review it was shall not be told by when
        review_id=review_id,
        invitation_id=handling["invitation_id"],
        department=handling["department"],
        matter=handling["matter"],
        matter_name=handling["name"],
        level=said.level,
        options=said.options,
        marks=dump_marks(said.marks),
        counted_on=local_date(at),
        fact=cause,
        state=OrderState.VERIFY,
        round=1,
        needs_verify=needs_verify,
    )


async def _answer_call_back(
    transaction: Transaction[Connection], order: Order, level: Level, carrier: Carrier, at: datetime
) -> list[Fact]:
    """A second review says whether what was done will do, so nobody has to be called back as well."""
    orders.call_back(order, satisfied=not level.is_bad, at=at)
    return await carrier.update(transaction, [order])
