"""Carrying out what orders decided: requests, publications, escalations, and what is counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from yijian_common.crypto import DataKey, Keyring
from yijian_common.database import Connection
from yijian_contracts.cloudevents import encode
from yijian_contracts.events import ComplaintParts, Event, Outcome, RectificationParts, RectificationRequested
from yijian_contracts.working_days import local_date
from yijian_messaging import Outgoing, Transaction

from rating.figures import Fact, FactKind
from rating.marks import load_marks, sentences
from rating.metrics import ESCALATIONS, ORDERS
from rating.order_rows import append_steps, insert_order, update_orders
from rating.orders import Count, Effect, Escalate, ExcludeReview, Order, PublishFeedback, RequestRectification
from rating.plain_words import masked
from rating.questionnaire import questionnaire

SOURCE = "rating"


def outgoing(event: Event) -> Outgoing:
    """An event as the outbox takes it. Without a trace: nothing may lead from an order to the request of a resident."""
    encoded = encode(event, source=SOURCE, traceparent=None)
    return Outgoing(
        id=encoded.id,
        topic=encoded.topic,
        key=encoded.key,
        headers=encoded.headers,
        value=encoded.value,
        personal="personal" in type(event).model_fields,
    )


@dataclass(frozen=True, slots=True)
class Carrier:
    """Writes orders that changed and carries out what they decided, in the open transaction."""

    keyring: Keyring

    async def insert(self, transaction: Transaction[Connection], order: Order) -> list[Fact]:
        """Store a new order. Returns what is to be counted: count it at the transaction's end."""
        await insert_order(transaction.connection, order)
        return await self._carry_out(transaction, order)

    async def update(self, transaction: Transaction[Connection], orders: Sequence[Order]) -> list[Fact]:
        """Store changed orders. Returns what is to be counted: count it at the transaction's end."""
        await update_orders(transaction.connection, orders)
        facts: list[Fact] = []
        for order in orders:
            facts += await self._carry_out(transaction, order)
        return facts

    async def _carry_out(self, transaction: Transaction[Connection], order: Order) -> list[Fact]:
        connection = transaction.connection
        await append_steps(connection, order)
        facts: list[Fact] = []
        for effect in order.effects:
            facts += await self._one(transaction, order, effect)
        order.steps.clear()
        order.effects.clear()
        return facts

    async def _one(self, transaction: Transaction[Connection], order: Order, effect: Effect) -> list[Fact]:
        connection = transaction.connection
        match effect:
            case RequestRectification():
                await transaction.publish([outgoing(await self.request(connection, order))])
            case PublishFeedback():
                await self._publish(connection, order)
            case ExcludeReview():
                await connection.execute(
                    "UPDATE review SET state = 'EXCLUDED' WHERE id = $1 AND state = 'ACTIVE'", order.review_id
                )
                return [Fact(order.fact, FactKind.EXCLUDED, order.department, order.counted_on, order.level)]
            case Escalate(rung=rung):
                await _escalate(connection, order, rung)
            case Count(what=what):
                if what == FactKind.ORDER_OPENED:
                    ORDERS.inc()
                return [Fact(order.fact, FactKind(what), order.department, order.counted_on)]
        return []

    async def request(self, connection: Connection, order: Order) -> RectificationRequested:
        if order.assigned_at is None or order.due_at is None:
            raise AssertionError("a department is asked without a time")
        texts = questionnaire()
        return RectificationRequested(
            order_id=order.id,
            round=order.round,
            department=order.department,
            matter=order.matter,
            matter_name=order.matter_name,
            requested_at=order.assigned_at,
            due_at=order.due_at,
            personal=ComplaintParts(
                level=texts.levels[order.level].national,
                options=tuple(texts.text_of(option) for option in order.options),
                touch_points=sentences(load_marks(order.marks)),
                comment=await self.masked_comment(connection, order),
            ),
        )

    async def masked_comment(self, connection: Connection, order: Order) -> str:
        """What the resident wrote, as others may read it; nothing once they were forgotten."""
        row = await connection.fetchrow(
            "SELECT r.id, r.sealed, i.data_key FROM review r JOIN invitation i ON i.id = r.invitation_id"
            " WHERE r.id = $1",
            order.review_id,
        )
        if row is None:
            return ""
        return masked(open_comment(self.keyring.unwrap(row["data_key"]), row["id"], row["sealed"]))

    async def _publish(self, connection: Connection, order: Order) -> None:
        """What everybody may read: standard statements in place of the resident's words, the answer starred out."""
        if order.answered_at is None:
            raise AssertionError("nothing to publish before an answer")
        rectified = order.outcome is Outcome.APPROVED
        told = self.read_answer(order)
        await connection.execute(
            """
            INSERT INTO publication
                (id, department, matter_name, level, options, marks, rectified, measures, evidence, published_on)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            """,
            uuid4(),
            order.department,
            order.matter_name,
            order.level,
            list(order.options),
            order.marks,
            rectified,
            masked(told.measures if rectified else order.reason),
            [masked(one) for one in told.evidence],
            local_date(order.steps[-1].at if order.steps else order.answered_at),
        )

    def seal_answer(self, parts: RectificationParts) -> bytes:
        return self.keyring.new_data_key().seal_envelope(parts.model_dump_json().encode(), b"answer")

    def read_answer(self, order: Order) -> RectificationParts:
        """What the department says it did; empty when it refused."""
        if order.sealed_answer is None:
            return RectificationParts(measures="", evidence=())
        return RectificationParts.model_validate_json(self.keyring.open_envelope(order.sealed_answer, b"answer"))


def seal_comment(data_key: DataKey, review_id: UUID, comment: str) -> bytes:
    return data_key.seal(comment.encode(), b"review:" + review_id.bytes)


def open_comment(data_key: DataKey, review_id: UUID, sealed: bytes) -> str:
    return data_key.open(sealed, b"review:" + review_id.bytes).decode()


async def _escalate(connection: Connection, order: Order, rung: str) -> None:
    claimed = await connection.fetchval(
        """
        INSERT INTO order_escalation (order_id, round, rung, at) VALUES ($1, $2, $3, $4)
        ON CONFLICT DO NOTHING RETURNING true
        """,
        order.id,
        order.round,
        rung,
        order.steps[-1].at if order.steps else order.supervised_at,
    )
    if claimed:
        ESCALATIONS.labels(rung).inc()
