"""Bad reviews on their way: asked of the department as a task, its answer told to rating.

approval only forwards. What it keeps of an order is sealed, and forgotten when the department has it; the department
learns the complaint and neither the resident nor the application, which approval is not told either.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_contracts import derived_ids
from yijian_contracts.cloudevents import CloudEvent
from yijian_contracts.events import (
    RECTIFICATION,
    Outcome,
    RectificationAnswered,
    RectificationParts,
    RectificationRequested,
    TaskAnswered,
    TaskFields,
    TaskReceived,
    TaskRequested,
    TaskUnprocessable,
)
from yijian_messaging import Message, Outgoing, Rejected, Transaction

from approval.due import RESEND_AFTER
from approval.effects import Effects, outgoing

Said = TaskReceived | TaskAnswered | TaskUnprocessable
Result = Message[CloudEvent[Said]]

REQUESTED, RECEIVED, ANSWERED = "REQUESTED", "RECEIVED", "ANSWERED"
NEEDS_PERSON = "差评整改须由工作人员办理"
MOST_EVIDENCE = 20
LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Order:
    """One round of an order, as its row keeps it."""

    task_id: UUID
    order_id: UUID
    round: int
    department: str
    matter: str
    state: str
    digest: str


async def request_rectifications(
    transaction: Transaction[Connection],
    messages: Sequence[Message[CloudEvent[RectificationRequested]]],
    *,
    effects: Effects,
) -> None:
    """Store orders and ask their departments; an order that is there already changes nothing."""
    asked = {task_id_of(message.content.data): message for message in messages}
    at = datetime.now(UTC)
    orders = [message.content.data for message in asked.values()]
    rows = await transaction.connection.fetch(
        """
        INSERT INTO rectification (task_id, order_id, round, department, matter, state, sealed, requested_at,
            next_look_at)
        SELECT o.*, $8, $9 FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::text[],
            $7::bytea[]) AS o
        ON CONFLICT DO NOTHING RETURNING task_id
        """,
        list(asked),
        [order.order_id for order in orders],
        [order.round for order in orders],
        [order.department for order in orders],
        [order.matter for order in orders],
        [REQUESTED for _ in orders],
        [_seal(task_id, message.content.data, effects.keyring) for task_id, message in asked.items()],
        at,
        at + RESEND_AFTER,
    )
    new = [asked[row["task_id"]] for row in rows]
    await transaction.publish([outgoing(task_of(m.content.data, at=at), m.traceparent) for m in new])


def task_id_of(order: RectificationRequested) -> UUID:
    return derived_ids.task_id(order.order_id, child=None, matter=RECTIFICATION, attempt=order.round)


def task_of(order: RectificationRequested, *, at: datetime) -> TaskRequested:
    """The task that asks the department to put right what the order is about."""
    complaint = order.personal
    return TaskRequested(
        application_id=order.order_id,
        department=order.department,
        task_id=task_id_of(order),
        matter=RECTIFICATION,
        life_event="rectification",
        attempt=order.round,
        needs_person=(NEEDS_PERSON,),
        requested_at=at,
        due_at=order.due_at,
        personal=TaskFields(
            fields={
                "order_id": str(order.order_id),
                "matter": order.matter,
                "matter_name": order.matter_name,
                "level": complaint.level,
                "options": list(complaint.options),
                "touch_points": list(complaint.touch_points),
                "comment": complaint.comment,
            }
        ),
    )


def _seal(task_id: UUID, order: RectificationRequested, keyring: Keyring) -> bytes:
    return keyring.new_data_key().seal_envelope(order.model_dump_json().encode(), _place(task_id))


def _open(task_id: UUID, sealed: bytes, keyring: Keyring) -> RectificationRequested:
    return RectificationRequested.model_validate_json(keyring.open_envelope(sealed, _place(task_id)))


def _place(task_id: UUID) -> bytes:
    return b"rectification:" + task_id.bytes


async def record_rectification_results(
    transaction: Transaction[Connection], messages: Sequence[Result], *, effects: Effects
) -> list[Rejected]:
    """Note what departments say about orders, and tell rating what they did.

    Returns the messages that do not fit: an unknown order, or an answer without measures and evidence.
    """
    if not messages:
        return []
    at = datetime.now(UTC)
    work = _Recording(transaction, await _lock(transaction.connection, messages), effects.keyring)
    for message in messages:
        await work.record(message)
    await _store(transaction.connection, list(work.changed.values()), at)
    await transaction.publish(work.told)
    return work.rejected


async def _lock(connection: Connection, messages: Sequence[Result]) -> dict[UUID, Order]:
    rows = await connection.fetch(
        """
        SELECT task_id, order_id, round, department, matter, state, digest FROM rectification
        WHERE order_id = ANY($1) ORDER BY order_id, task_id FOR UPDATE
        """,
        sorted({message.content.data.application_id for message in messages}),
    )
    return {row["task_id"]: Order(**dict(row)) for row in rows}


class _Recording:
    """A batch of what departments said, being folded into the orders that it is about."""

    def __init__(self, transaction: Transaction[Connection], orders: dict[UUID, Order], keyring: Keyring) -> None:
        self.changed: dict[UUID, Order] = {}
        self.told: list[Outgoing] = []
        self.rejected: list[Rejected] = []
        self._transaction = transaction
        self._orders = orders
        self._keyring = keyring

    async def record(self, message: Result) -> None:
        said = message.content.data
        if all(order.order_id != said.application_id for order in self._orders.values()):
            self.rejected.append(Rejected(message, "no such order"))
            return
        order = self._orders.get(said.task_id)
        if order is None:
            await self._incident("unknown-task", said, f"order {said.application_id} has no such task")
        elif order.department != said.department:
            await self._incident("wrong-department", said, f"{said.department} answers for {order.department}")
        else:
            await self._fold(order, message)

    async def _fold(self, order: Order, message: Result) -> None:
        match message.content.data:
            case TaskReceived() if order.state == REQUESTED:
                self._change(replace(order, state=RECEIVED))
            case TaskReceived():
                pass
            case TaskUnprocessable() as report if order.state != ANSWERED:
                await self._incident("task-unprocessable", report, report.error)
            case TaskUnprocessable():
                pass
            case TaskAnswered() as answer:
                await self._answer(order, answer, message)

    async def _answer(self, order: Order, answer: TaskAnswered, message: Result) -> None:
        error = misfit(answer)
        if error is not None:
            self.rejected.append(Rejected(message, error))
            return
        digest = self._keyring.blind_index("answer", answer.model_dump_json(exclude={"decided_at"})).hex()[:32]
        if order.state != ANSWERED:
            self._change(replace(order, state=ANSWERED, digest=digest))
            self.told.append(outgoing(answered(order, answer), message.traceparent))
        elif order.digest != digest:
            await self._incident("answer-differs", answer, f"order {order.order_id}: a second, different answer")

    def _change(self, order: Order) -> None:
        self._orders[order.task_id] = self.changed[order.task_id] = order

    async def _incident(self, kind: str, said: Said, what: str) -> None:
        summary = f"{said.department} {RECTIFICATION}: {what}"
        await self._transaction.open_incident(kind, str(said.task_id), summary)


def misfit(answer: TaskAnswered) -> str | None:
    """Why an answer is none to a rectification, without repeating a value; None when it is one."""
    outputs = answer.personal.outputs
    if answer.personal.documents or answer.corrections:
        return "a rectification brings no documents and asks for no corrections"
    if answer.outcome is Outcome.REJECTED:
        return "a rectification that is refused says why, and nothing else" if outputs or not answer.reason else None
    if answer.outcome is not Outcome.APPROVED:
        return f"a rectification is never {answer.outcome}"
    evidence = outputs.get("evidence")
    if set(outputs) != {"measures", "evidence"} or not _is_text(outputs["measures"]):
        return "a rectification says in measures what was done, and in evidence what shows it"
    if not isinstance(evidence, list) or not 0 < len(evidence) <= MOST_EVIDENCE or not all(map(_is_text, evidence)):
        return f"the evidence of a rectification is a list of 1 to {MOST_EVIDENCE} texts"
    return None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= LONGEST


def answered(order: Order, answer: TaskAnswered) -> RectificationAnswered:
    outputs = answer.personal.outputs
    return RectificationAnswered(
        order_id=order.order_id,
        round=order.round,
        department=order.department,
        matter=order.matter,
        outcome=answer.outcome,
        reason=answer.reason,
        decided_by=answer.decided_by,
        decided_at=answer.decided_at,
        personal=RectificationParts.model_validate(
            {"measures": outputs.get("measures", ""), "evidence": outputs.get("evidence", ())}
        ),
    )


async def _store(connection: Connection, orders: Sequence[Order], at: datetime) -> None:
    """What has been acknowledged is not asked again, so its words are kept no longer.

    They are somebody's who may be erased, and nothing here tells whose.
    """
    if not orders:
        return
    await connection.execute(
        """
        UPDATE rectification r SET state = o.state, digest = o.digest, next_look_at = NULL, sealed = '',
            answered_at = CASE WHEN o.state = $5 THEN $4 ELSE r.answered_at END
        FROM unnest($1::uuid[], $2::text[], $3::text[]) AS o(task_id, state, digest) WHERE r.task_id = o.task_id
        """,
        [order.task_id for order in orders],
        [order.state for order in orders],
        [order.digest for order in orders],
        at,
        ANSWERED,
    )


async def resend_rectifications(transaction: Transaction[Connection], *, effects: Effects, limit: int) -> int:
    """Ask again, under the same task id, where a department has been silent for long; returns how many."""
    at = datetime.now(UTC)
    rows = await transaction.connection.fetch(
        """
        SELECT task_id, sealed, requested_at FROM rectification WHERE next_look_at <= $1
        ORDER BY next_look_at LIMIT $2 FOR UPDATE SKIP LOCKED
        """,
        at,
        limit,
    )
    again = [task_of(_open(row["task_id"], row["sealed"], effects.keyring), at=row["requested_at"]) for row in rows]
    await transaction.publish([outgoing(task, None) for task in again])
    await transaction.connection.execute(
        "UPDATE rectification SET next_look_at = $2 WHERE task_id = ANY($1)",
        [row["task_id"] for row in rows],
        at + RESEND_AFTER,
    )
    return len(rows)
