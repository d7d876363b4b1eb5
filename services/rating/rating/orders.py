"""A rectification order: what a bad review becomes, as a pure function of its state and what happens.

VERIFY ─▶ INVALID                             two officials found it in error or malicious: it counts nowhere
       └▶ ASSIGNED ─▶ RECTIFYING ─▶ FEEDBACK_PUBLISHED ─▶ CALLBACK ─▶ CLOSED
                          │                                  └▶ REOPENED ─▶ ASSIGNED …, once; after that ESCALATED
                          └▶ ESCALATED   to the head at the due time, to supervision one working day later

A review that no record speaks against is assigned at once. One that a record speaks against, and an order that the
department refuses with reasons (申诉), wait in VERIFY for officials of supervision, one working day at most: then the
resident's word stands. No clock and no database here: `at` is given, what follows is returned in `effects`.
"""

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from yijian_contracts.events import Outcome
from yijian_contracts.working_days import WorkingDayEnd, add_working_days, end_of_working_days

from rating.questionnaire import Level, terms


class OrderState(StrEnum):
    VERIFY = "VERIFY"
    INVALID = "INVALID"
    ASSIGNED = "ASSIGNED"
    RECTIFYING = "RECTIFYING"
    FEEDBACK_PUBLISHED = "FEEDBACK_PUBLISHED"
    CALLBACK = "CALLBACK"
    CLOSED = "CLOSED"
    REOPENED = "REOPENED"
    ESCALATED = "ESCALATED"


class Actor(StrEnum):
    """Who moved an order; an official of supervision is named by account beside it."""

    RESIDENT = "RESIDENT"
    DEPARTMENT = "DEPARTMENT"
    SUPERVISION = "SUPERVISION"
    CLOCK = "CLOCK"


class Rung(StrEnum):
    """Whom an escalation reaches."""

    HEAD = "HEAD"
    SUPERVISION = "SUPERVISION"


class Verdict(StrEnum):
    """What an official of supervision finds about a review in VERIFY."""

    VALID = "VALID"
    INVALID = "INVALID"


class NotPossibleError(Exception):
    """The order is not where this could happen. The text is for whoever asked for it."""


class UnfitAnswerError(Exception):
    """A department's answer that closes nothing; an operator sees it."""


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the order's history."""

    at: datetime
    state: OrderState
    actor: Actor
    note: str = ""


@dataclass(frozen=True, slots=True)
class RequestRectification:
    """Ask the department, by way of approval."""


@dataclass(frozen=True, slots=True)
class PublishFeedback:
    """Show everybody, masked, what was said and what was done."""


@dataclass(frozen=True, slots=True)
class ExcludeReview:
    """The review counts nowhere any more."""


@dataclass(frozen=True, slots=True)
class Escalate:
    """Tell the next rung, once."""

    rung: Rung


@dataclass(frozen=True, slots=True)
class Count:
    """Something that the figures count."""

    what: str


Effect = RequestRectification | PublishFeedback | ExcludeReview | Escalate | Count


@dataclass(slots=True)
class Order:
    """`review_id` and `invitation_id` are None once the person was forgotten: then nobody is called back."""

    id: UUID
    review_id: UUID | None
    invitation_id: UUID | None
    department: str
    matter: str
    matter_name: str
    level: Level
    options: tuple[str, ...]
    marks: str
    counted_on: date
    fact: UUID
    state: OrderState
    round: int
    needs_verify: tuple[str, ...]
    verify_until: datetime | None = None
    proposed_by: str | None = None
    proposed_reason: str = ""
    assigned_at: datetime | None = None
    due_at: datetime | None = None
    supervised_at: datetime | None = None
    provisional: bool = False
    outcome: Outcome | None = None
    reason: str = ""
    answered_at: datetime | None = None
    sealed_answer: bytes | None = None
    callback_until: datetime | None = None
    closed_at: datetime | None = None
    next_look_at: datetime | None = None
    steps: list[Step] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)

    @property
    def waits_for_department(self) -> bool:
        return self.state in (OrderState.RECTIFYING, OrderState.ESCALATED) and self.answered_at is None

    def move(self, state: OrderState, at: datetime, actor: Actor, note: str = "") -> None:
        self.state = state
        self.steps.append(Step(at, state, actor, note))


def open_order(order: Order, *, at: datetime) -> None:
    """Begin: with nothing to verify the department is asked at once."""
    order.effects.append(Count("ORDER_OPENED"))
    _verify_until(order, at, Actor.RESIDENT)
    if not order.needs_verify:
        _assign(order, at, Actor.CLOCK)


def verify(order: Order, verdict: Verdict, *, by: str, reason: str, at: datetime) -> None:
    """An official of supervision says whether a review stands. It takes two of them to set one aside."""
    if order.state is not OrderState.VERIFY:
        raise NotPossibleError("这张工单不在核实环节。")
    if verdict is Verdict.VALID:
        _stands(order, at, Actor.SUPERVISION, reason)
    elif order.proposed_by is None:
        order.proposed_by, order.proposed_reason = by, reason
        order.move(OrderState.VERIFY, at, Actor.SUPERVISION, "提出不予计入，等待第二人复核")
    elif order.proposed_by == by:
        raise NotPossibleError("不予计入须由另一名工作人员复核。")
    else:
        order.effects += [ExcludeReview(), Count("ORDER_INVALID")]
        order.verify_until = None
        _end(order, OrderState.INVALID, at, Actor.SUPERVISION, reason)


def answer(order: Order, outcome: Outcome, *, round_: int, sealed: bytes | None, reason: str, at: datetime) -> bool:
    """What the department did; `sealed` are its measures and evidence, if both are there. False when it was answered.

    Whether that was in time is told by our own clock: the department's is not believed. Raises `UnfitAnswerError`.
    """
    if round_ > order.round:
        raise UnfitAnswerError("the order has no such round")
    if round_ < order.round or not order.waits_for_department:
        return False
    match outcome:
        case Outcome.APPROVED if sealed:
            pass
        case Outcome.APPROVED:
            raise UnfitAnswerError("a rectification without measures and evidence")
        case Outcome.REJECTED if reason:
            pass
        case _:
            raise UnfitAnswerError(f"{outcome} closes no order")
    order.outcome, order.reason, order.answered_at, order.sealed_answer = outcome, reason, at, sealed
    if order.due_at is not None and at < order.due_at and order.round == 1:
        order.effects.append(Count("ORDER_ANSWERED_IN_TIME"))
        if outcome is Outcome.APPROVED:
            order.effects.append(Count("ORDER_RECTIFIED_IN_TIME"))
    if outcome is Outcome.APPROVED:
        _publish(order, at)
    else:
        _verify_until(order, at, Actor.DEPARTMENT)
    return True


def call_back(order: Order, *, satisfied: bool, at: datetime) -> None:
    """The resident says whether that will do. Raises `NotPossibleError`."""
    if order.state is not OrderState.CALLBACK or (order.callback_until is not None and at >= order.callback_until):
        raise NotPossibleError("这张工单现在不需要您回访。")
    order.effects.append(Count("ORDER_CALLED_BACK"))
    if satisfied:
        order.effects.append(Count("ORDER_CONTENT"))
        _end(order, OrderState.CLOSED, at, Actor.RESIDENT)
    elif order.round < terms().most_rounds:
        order.move(OrderState.REOPENED, at, Actor.RESIDENT)
        order.round += 1
        order.outcome, order.reason, order.answered_at, order.sealed_answer = None, "", None, None
        order.callback_until = order.proposed_by = None
        _assign(order, at, Actor.RESIDENT)
    else:
        order.callback_until = order.next_look_at = None
        order.move(OrderState.ESCALATED, at, Actor.RESIDENT)
        order.effects.append(Escalate(Rung.SUPERVISION))


def close(order: Order, *, conclusion: str, at: datetime) -> None:
    """Supervision ends what came to it. Raises `NotPossibleError`."""
    if order.state is not OrderState.ESCALATED or (order.answered_at is None and not _is_supervised(order, at)):
        raise NotPossibleError("这张工单没有升级到督办。")
    _end(order, OrderState.CLOSED, at, Actor.SUPERVISION, conclusion)


def look(order: Order, *, at: datetime) -> None:
    """Time has passed: do what is due by now, however late somebody looks."""
    while order.next_look_at is not None and order.next_look_at <= at:
        match order.state:
            case OrderState.VERIFY:
                _stands(order, at, Actor.CLOCK, "核实期满，评价有效")
            case OrderState.RECTIFYING:
                order.move(OrderState.ESCALATED, at, Actor.CLOCK, "逾期未反馈")
                order.effects += [Escalate(Rung.HEAD), Count("ORDER_ESCALATED")]
                order.next_look_at = order.supervised_at
            case OrderState.ESCALATED:
                order.effects.append(Escalate(Rung.SUPERVISION))
                order.next_look_at = None
            case OrderState.CALLBACK:
                _end(order, OrderState.CLOSED, at, Actor.CLOCK, "回访期满")
            case _:
                order.next_look_at = None


def forget(order: Order, *, at: datetime) -> None:
    """The person is forgotten: the order goes on without anybody to call back."""
    order.review_id = order.invitation_id = None
    if order.state is OrderState.CALLBACK:
        _end(order, OrderState.CLOSED, at, Actor.CLOCK, "无法回访")


def reckon(order: Order) -> Order:
    """The order with its open deadlines computed anew: a provisional year may have been confirmed meanwhile."""
    if not order.waits_for_department or order.assigned_at is None:
        return order
    due = _due(order.assigned_at)
    supervised_at = add_working_days(order.assigned_at, terms().feedback + terms().supervision_after)
    next_look = due.at if order.state is OrderState.RECTIFYING else order.next_look_at and supervised_at
    return replace(
        order, due_at=due.at, supervised_at=supervised_at, provisional=due.provisional, next_look_at=next_look
    )


def _verify_until(order: Order, at: datetime, actor: Actor) -> None:
    order.move(OrderState.VERIFY, at, actor)
    order.verify_until = order.next_look_at = add_working_days(at, terms().verification)
    order.proposed_by, order.proposed_reason = None, ""


def _stands(order: Order, at: datetime, actor: Actor, note: str) -> None:
    """The review is valid: the department is asked, or what it explained is published."""
    order.verify_until = None
    if order.answered_at is None:
        _assign(order, at, actor, note)
    else:
        _publish(order, at)


def _assign(order: Order, at: datetime, actor: Actor, note: str = "") -> None:
    due = _due(at)
    order.assigned_at, order.due_at, order.provisional = at, due.at, due.provisional
    order.supervised_at = add_working_days(at, terms().feedback + terms().supervision_after)
    order.verify_until = None
    order.next_look_at = due.at
    order.move(OrderState.ASSIGNED, at, actor, note)
    order.effects.append(RequestRectification())
    order.move(OrderState.RECTIFYING, at, Actor.DEPARTMENT)


def _due(at: datetime) -> WorkingDayEnd:
    return end_of_working_days(at, terms().feedback)


def _publish(order: Order, at: datetime) -> None:
    order.move(OrderState.FEEDBACK_PUBLISHED, at, Actor.DEPARTMENT)
    order.effects.append(PublishFeedback())
    if order.invitation_id is None:
        _end(order, OrderState.CLOSED, at, Actor.CLOCK, "无法回访")
        return
    order.callback_until = order.next_look_at = add_working_days(at, terms().call_back)
    order.move(OrderState.CALLBACK, at, Actor.CLOCK)


def _end(order: Order, state: OrderState, at: datetime, actor: Actor, note: str = "") -> None:
    order.closed_at = at
    order.next_look_at = order.callback_until = None
    order.move(state, at, actor, note)


def _is_supervised(order: Order, at: datetime) -> bool:
    return order.supervised_at is not None and at >= order.supervised_at
