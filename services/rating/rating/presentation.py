"""How things look to whoever may see them: residents their own, officials nothing of who, everybody the published."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from yijian_contracts.departments import departments
from yijian_contracts.events import HandlingOutcome, Outcome
from yijian_contracts.working_days import local_date

from rating.figures import Counts, FactKind, Formula, rates
from rating.marks import load_marks, sentences
from rating.order_effects import Carrier
from rating.orders import Order, OrderState, Rung
from rating.queries import Invited, OrderHistory
from rating.questionnaire import Level, Questionnaire, questionnaire
from rating.schemas import (
    CountsOut,
    DayOut,
    DimensionOut,
    EscalationOut,
    FiguresOut,
    HandlingOut,
    InvitationOut,
    LevelOut,
    MarkBody,
    OptionOut,
    OrderOut,
    OrderSummary,
    OwnOrderOut,
    OwnReviewOut,
    PublishedOut,
    QuestionnaireOut,
    RatesOut,
    StepOut,
    TouchPointOut,
)


def department_name(code: str) -> str:
    found = departments().get(code)
    return found.name if found else code


def questions(texts: Questionnaire) -> QuestionnaireOut:
    return QuestionnaireOut(
        version=texts.version,
        longest_comment=texts.longest_comment,
        most_options=texts.most_options,
        levels=[
            LevelOut(
                level=level,
                name=entry.name,
                national=entry.national,
                gbt39046=entry.gbt39046,
                options=[OptionOut(code=code, text=text) for code, text in entry.options.items()],
            )
            for level, entry in texts.levels.items()
        ],
        touch_points=[TouchPointOut(touch_point=point, name=name) for point, name in texts.touch_points.items()],
        dimensions=[DimensionOut(dimension=one, name=name) for one, name in texts.dimensions.items()],
    )


def options(codes: Iterable[str]) -> list[OptionOut]:
    return [OptionOut(code=code, text=questionnaire().text_of(code)) for code in codes]


# --- the resident ----------------------------------------------------------------------------------------------------


def invitation(invited: Invited, carrier: Carrier, *, at: datetime) -> InvitationOut:
    row = invited.invitation
    return InvitationOut(
        id=row["id"],
        application_id=row["application_id"],
        life_event=row["life_event"],
        completed_at=row["completed_at"],
        invited_at=row["invited_at"],
        closes_at=row["closes_at"],
        provisional=row["provisional"],
        handlings=[_handling(invited, handling, carrier, at) for handling in invited.handlings],
    )


def _handling(invited: Invited, handling: Any, carrier: Carrier, at: datetime) -> HandlingOut:
    reviews = invited.reviews.get(handling["id"], [])
    order = invited.orders.get(handling["id"])
    return HandlingOut(
        id=handling["id"],
        matter=handling["matter"],
        name=handling["name"],
        child=handling["child"],
        department=handling["department"],
        department_name=department_name(handling["department"]),
        outcome=HandlingOutcome.GRANTED if handling["granted"] else HandlingOutcome.REFUSED,
        promised_minutes=handling["promised_minutes"],
        taken_minutes=handling["taken_minutes"],
        reviewable=_reviewable(invited.invitation, handling, reviews, order, at),
        is_default=handling["defaulted_at"] is not None,
        reviews=[_own_review(invited, review) for review in reviews],
        order=own_order(order, carrier) if order else None,
    )


def _reviewable(invitation_row: Any, handling: Any, reviews: list[Any], order: Order | None, at: datetime) -> bool:
    if not reviews:
        return handling["defaulted_at"] is None and at < invitation_row["closes_at"]
    if order is None or order.state is not OrderState.CALLBACK or order.callback_until is None:
        return False
    return len(reviews) == 1 and at < order.callback_until


def _own_review(invited: Invited, review: Any) -> OwnReviewOut:
    return OwnReviewOut(
        id=review["id"],
        number=review["number"],
        level=Level(review["level"]),
        options=options(review["options"]),
        marks=[
            MarkBody(touch_point=mark.touch_point, dimension=mark.dimension, level=mark.level)
            for mark in load_marks(review["marks"])
        ],
        comment=invited.comment_of(review),
        given_at=review["given_at"],
        counts=review["state"] == "ACTIVE",
    )


def own_order(order: Order, carrier: Carrier) -> OwnOrderOut:
    told = carrier.read_answer(order)
    return OwnOrderOut(
        id=order.id,
        state=order.state,
        round=order.round,
        due_at=order.due_at,
        provisional=order.provisional,
        rectified=_rectified(order),
        answer=told.measures or order.reason,
        evidence=list(told.evidence),
        callback_until=order.callback_until,
    )


def _rectified(order: Order) -> bool | None:
    return None if order.outcome is None else order.outcome is Outcome.APPROVED


# --- officials -------------------------------------------------------------------------------------------------------


def order_summary(order: Order, *, at: datetime) -> OrderSummary:
    return OrderSummary(
        id=order.id,
        department=order.department,
        department_name=department_name(order.department),
        matter=order.matter,
        matter_name=order.matter_name,
        level=order.level,
        state=order.state,
        round=order.round,
        opened_on=order.counted_on,
        due_at=order.due_at,
        provisional=order.provisional,
        overdue=order.waits_for_department and order.due_at is not None and at >= order.due_at,
    )


def order_detail(
    order: Order, history: OrderHistory, carrier: Carrier, *, comment: str | None, at: datetime
) -> OrderOut:
    """An order for an official; `comment` is what the resident wrote, for those who verify."""
    told = carrier.read_answer(order)
    return OrderOut(
        **order_summary(order, at=at).model_dump(),
        options=options(order.options),
        marks=list(sentences(load_marks(order.marks))),
        contradicted=options(order.needs_verify),
        comment=comment,
        verify_until=order.verify_until,
        first_proposal=order.proposed_by is not None,
        rectified=_rectified(order),
        answer=told.measures or order.reason,
        evidence=list(told.evidence),
        callback_until=order.callback_until,
        steps=[
            StepOut(day=local_date(step["at"]), state=step["state"], actor=step["actor"], note=step["note"])
            for step in history.steps
        ],
        escalations=[
            EscalationOut(round=one["round"], rung=Rung(one["rung"]), day=local_date(one["at"]))
            for one in history.escalations
        ],
    )


def figures(
    department: str,
    stored: dict[date, Counts],
    *,
    first: date,
    last: date,
    by: Formula,
    today: date | None,
) -> FiguresOut:
    """A department's figures. With `today` they are for those rated: only days that are over, and of those the ones
    with enough reviews to hide each other; what is withheld is in no sum either, so nobody learns it by subtraction."""
    total = Counts()
    days = []
    for day, counts in sorted(stored.items()):
        shown = today is None or (day < today and (counts.active >= by.least_shown or not _tells(counts)))
        if shown:
            total.merge(counts)
        days.append(
            DayOut(day=day, handlings=counts.facts[FactKind.INVITED], figures=_counts(counts, by) if shown else None)
        )
    return FiguresOut(
        department=department,
        department_name=department_name(department),
        first=first,
        last=last,
        formula_version=by.version,
        days=days,
        withheld_days=sum(1 for one in days if one.figures is None),
        total=_counts(total, by),
    )


def _tells(counts: Counts) -> bool:
    """Whether the counts of a day say anything of what somebody said."""
    silent = {FactKind.INVITED, FactKind.DEFAULTED}
    return any(count for kind, count in counts.facts.items() if kind not in silent)


def _counts(counts: Counts, by: Formula) -> CountsOut:
    facts = counts.facts
    return CountsOut(
        handlings=facts[FactKind.INVITED],
        defaults=facts[FactKind.DEFAULTED],
        reviews=facts[FactKind.REVIEWED],
        active=counts.active,
        levels=counts.levels,
        flagged=facts[FactKind.FLAGGED],
        excluded=facts[FactKind.EXCLUDED],
        superseded=facts[FactKind.SUPERSEDED],
        orders=facts[FactKind.ORDER_OPENED],
        orders_invalid=facts[FactKind.ORDER_INVALID],
        answered_in_time=facts[FactKind.ORDER_ANSWERED_IN_TIME],
        rectified_in_time=facts[FactKind.ORDER_RECTIFIED_IN_TIME],
        called_back=facts[FactKind.ORDER_CALLED_BACK],
        content=facts[FactKind.ORDER_CONTENT],
        escalated=facts[FactKind.ORDER_ESCALATED],
        rates=RatesOut(**asdict(rates(counts, by))),
    )


# --- everybody -------------------------------------------------------------------------------------------------------


def published(row: Any) -> PublishedOut:
    level = Level(row["level"])
    return PublishedOut(
        id=row["id"],
        department=row["department"],
        department_name=department_name(row["department"]),
        matter_name=row["matter_name"],
        level=level,
        level_name=questionnaire().levels[level].name,
        options=[option.text for option in options(row["options"])],
        marks=list(sentences(load_marks(row["marks"]))),
        rectified=row["rectified"],
        measures=row["measures"],
        evidence=row["evidence"],
        published_on=row["published_on"],
    )
