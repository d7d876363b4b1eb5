"""What moves an order: the department's answer, the resident, supervision, and time."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from yijian_common.database import Connection
from yijian_contracts.events import RectificationAnswered
from yijian_messaging import Message, Rejected, Transaction

from rating import order_rows, orders
from rating.actions.invitations import person_of, reckon_invitations, record_defaults
from rating.errors import OrderNotFound, OrderNotThere
from rating.figure_rows import record
from rating.figures import Fact
from rating.order_effects import Carrier
from rating.orders import NotPossibleError, Order, UnfitAnswerError, Verdict

BATCH = 100
PROVISIONAL_AT_ONCE = 10_000


async def record_answers(
    transaction: Transaction[Connection],
    answers: Sequence[tuple[Message[Any], RectificationAnswered]],
    *,
    carrier: Carrier,
    at: datetime,
) -> tuple[list[Rejected], list[Fact]]:
    """Take over what departments did. Returns what closes nothing, and what is to be counted at the end."""
    if not answers:
        return [], []
    held = await order_rows.lock_orders(transaction.connection, {answer.order_id for _, answer in answers})
    rejected: list[Rejected] = []
    changed: dict[UUID, Order] = {}
    for message, answer in answers:
        try:
            order = _answered(held.get(answer.order_id), answer, carrier, at)
        except UnfitAnswerError as error:
            rejected.append(Rejected(message, str(error)))
        else:
            changed |= {order.id: order} if order else {}
    return rejected, await carrier.update(transaction, list(changed.values()))


def _answered(order: Order | None, answer: RectificationAnswered, carrier: Carrier, at: datetime) -> Order | None:
    """The order with this answer, or None when it had one. Raises `UnfitAnswerError`."""
    if order is None:
        raise UnfitAnswerError("no such order")
    if (order.department, order.matter) != (answer.department, answer.matter):
        raise UnfitAnswerError("the order is another department's or about another matter")
    parts = answer.personal
    shown = bool(parts.measures.strip()) and any(one.strip() for one in parts.evidence)
    is_news = orders.answer(
        order,
        answer.outcome,
        round_=answer.round,
        sealed=carrier.seal_answer(parts) if shown else None,
        reason=answer.reason.strip(),
        at=at,
    )
    return order if is_news else None


async def call_back(
    transaction: Transaction[Connection],
    order_id: UUID,
    *,
    satisfied: bool,
    subject: str,
    carrier: Carrier,
    at: datetime,
) -> Order:
    """The resident whose review it was says whether that will do. Raises `OrderNotFound`, `OrderNotThere`."""
    order = await _locked(transaction, order_id)
    own = await transaction.connection.fetchval(
        "SELECT EXISTS (SELECT FROM invitation WHERE id = $1 AND person = $2)",
        order.invitation_id,
        person_of(carrier.keyring, subject),
    )
    if not own:
        raise OrderNotFound
    return await _change(transaction, order, lambda: orders.call_back(order, satisfied=satisfied, at=at), carrier)


async def verify(
    transaction: Transaction[Connection],
    order_id: UUID,
    verdict: Verdict,
    *,
    reason: str,
    by: str,
    carrier: Carrier,
    at: datetime,
) -> Order:
    """An official of supervision says whether a review stands. Raises `OrderNotFound`, `OrderNotThere`."""
    order = await _locked(transaction, order_id)
    return await _change(
        transaction, order, lambda: orders.verify(order, verdict, by=by, reason=reason, at=at), carrier
    )


async def close(
    transaction: Transaction[Connection], order_id: UUID, *, conclusion: str, carrier: Carrier, at: datetime
) -> Order:
    """Supervision ends an order that came to it. Raises `OrderNotFound`, `OrderNotThere`."""
    order = await _locked(transaction, order_id)
    return await _change(transaction, order, lambda: orders.close(order, conclusion=conclusion, at=at), carrier)


async def _locked(transaction: Transaction[Connection], order_id: UUID) -> Order:
    order = await order_rows.lock_order(transaction.connection, order_id)
    if order is None:
        raise OrderNotFound
    return order


async def _change(
    transaction: Transaction[Connection], order: Order, change: Callable[[], None], carrier: Carrier
) -> Order:
    try:
        change()
    except NotPossibleError as error:
        raise OrderNotThere(str(error)) from None
    await record(transaction.connection, await carrier.update(transaction, [order]))
    return order


async def look_at_due(transaction: Transaction[Connection], *, carrier: Carrier, at: datetime) -> int:
    """Do what time has made due, of invitations and of orders; returns how many were looked at."""
    connection = transaction.connection
    invitations, facts = await record_defaults(connection, at=at, limit=BATCH)
    due = await order_rows.lock_due(connection, at=at, limit=BATCH)
    for order in due:
        orders.look(order, at=at)
    facts += await carrier.update(transaction, due)
    await record(connection, facts)
    return invitations + len(due)


async def reckon_again(transaction: Transaction[Connection]) -> int:
    """Compute anew what was counted in a provisional calendar; returns how many invitations and orders changed."""
    invitations = await reckon_invitations(transaction.connection, limit=PROVISIONAL_AT_ONCE)
    held = await order_rows.lock_provisional(transaction.connection, limit=PROVISIONAL_AT_ONCE)
    changed = [again for order in held if (again := orders.reckon(order)) != order]
    await order_rows.update_orders(transaction.connection, changed)
    return invitations + len(changed)
