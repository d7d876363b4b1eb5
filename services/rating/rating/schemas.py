"""HTTP bodies. Instants are RFC 3339 in UTC; texts for residents are Chinese."""

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from yijian_contracts.events import HandlingOutcome

from rating.orders import Actor, OrderState, Rung, Verdict
from rating.questionnaire import Channel, Dimension, Level, TouchPoint, questionnaire

REASON_LENGTH = 500
# Line breaks and tabs are text; other control characters and lone surrogates are not.
_PLAIN = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$"

Option = Annotated[str, StringConstraints(pattern=r"^[1-5][0-9]{2}$")]
Comment = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000, pattern=_PLAIN)]
Reason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=REASON_LENGTH, pattern=_PLAIN)
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OptionOut(_Body):
    code: str
    text: str


class LevelOut(_Body):
    """One of the five levels. `national` is its number at the national interface, `gbt39046` in GB/T 39046-2020."""

    level: Level
    name: str
    national: int
    gbt39046: int
    options: list[OptionOut]


class TouchPointOut(_Body):
    touch_point: TouchPoint
    name: str


class DimensionOut(_Body):
    dimension: Dimension
    name: str


class QuestionnaireOut(_Body):
    """What can be said in a review."""

    version: int
    longest_comment: int
    most_options: int
    levels: list[LevelOut]
    touch_points: list[TouchPointOut]
    dimensions: list[DimensionOut]


class MarkBody(_Body):
    """How one touch point did in one dimension."""

    touch_point: TouchPoint
    dimension: Dimension
    level: Level


class ReviewRequest(_Body):
    """A review of one handling. Options are of the level's own; a touch point is marked once in each dimension."""

    handling: UUID
    level: Level
    options: list[Option] = Field(default_factory=list, max_length=8)
    marks: list[MarkBody] = Field(default_factory=list, max_length=9)
    comment: Comment = ""
    channel: Channel = Channel.MOBILE

    @model_validator(mode="after")
    def _each_once_and_of_the_level(self) -> Self:
        if len(set(self.options)) < len(self.options):
            raise ValueError("同一选项只能选择一次")
        if not set(self.options) <= questionnaire().levels[self.level].options.keys():
            raise ValueError("选项须与所选的满意度等级一致")
        if len({(mark.touch_point, mark.dimension) for mark in self.marks}) < len(self.marks):
            raise ValueError("同一环节的同一维度只能评价一次")
        return self


class ReviewOut(_Body):
    """A review that was stored. `order` is the number of the order that a bad one became."""

    id: UUID
    handling: UUID
    number: int
    level: Level
    order: UUID | None


class OwnOrderOut(_Body):
    """An order as the resident whose review it was sees it."""

    id: UUID
    state: OrderState
    round: int
    due_at: datetime | None
    provisional: bool
    rectified: bool | None
    answer: str
    evidence: list[str]
    callback_until: datetime | None


class OwnReviewOut(_Body):
    id: UUID
    number: int
    level: Level
    options: list[OptionOut]
    marks: list[MarkBody]
    comment: str
    given_at: datetime
    counts: bool


class HandlingOut(_Body):
    """A handling to review. `is_default` says that nobody said anything in time: it counts nowhere."""

    id: UUID
    matter: str
    name: str
    child: int | None
    department: str
    department_name: str
    outcome: HandlingOutcome
    promised_minutes: int
    taken_minutes: int
    reviewable: bool
    is_default: bool
    reviews: list[OwnReviewOut]
    order: OwnOrderOut | None


class InvitationOut(_Body):
    """An invitation to review what departments did for one application, open until `closes_at`."""

    id: UUID
    application_id: UUID
    life_event: str
    completed_at: datetime
    invited_at: datetime
    closes_at: datetime
    provisional: bool
    handlings: list[HandlingOut]


class InvitationPage(_Body):
    """One page, newest first; `next` is the cursor of the following one."""

    items: list[InvitationOut]
    next: str | None


class CallbackRequest(_Body):
    """Whether what the department did will do."""

    satisfied: bool


class VerificationRequest(_Body):
    """Whether a review stands. INVALID needs two officials, one after the other."""

    verdict: Verdict
    reason: Reason


class ClosingRequest(_Body):
    """How supervision ended an order that came to it."""

    conclusion: Reason


class StepOut(_Body):
    """A line of an order's history, by the day."""

    day: date
    state: OrderState
    actor: Actor
    note: str


class EscalationOut(_Body):
    round: int
    rung: Rung
    day: date


class OrderSummary(_Body):
    """An order as officials see it: nothing of who rated, of which application, or of when it was handled."""

    id: UUID
    department: str
    department_name: str
    matter: str
    matter_name: str
    level: Level
    state: OrderState
    round: int
    opened_on: date
    due_at: datetime | None
    provisional: bool
    overdue: bool


class OrderOut(OrderSummary):
    """`contradicted` are statements that the records speak against; `comment` is for supervision only."""

    options: list[OptionOut]
    marks: list[str]
    contradicted: list[OptionOut]
    comment: str | None
    verify_until: datetime | None
    first_proposal: bool
    rectified: bool | None
    answer: str
    evidence: list[str]
    callback_until: datetime | None
    steps: list[StepOut]
    escalations: list[EscalationOut]


class OrderPage(_Body):
    """One page, newest first; `next` is the cursor of the following one."""

    items: list[OrderSummary]
    next: int | None


class PublishedOut(_Body):
    """What was said, in standard statements, and what was done about it. Nothing here tells who said it."""

    id: UUID
    department: str
    department_name: str
    matter_name: str
    level: Level
    level_name: str
    options: list[str]
    marks: list[str]
    rectified: bool
    measures: str
    evidence: list[str]
    published_on: date


class PublishedPage(_Body):
    """One page, newest first; `next` is the cursor of the following one."""

    items: list[PublishedOut]
    next: int | None


class RatesOut(_Body):
    """Shares between 0 and 1 and a score of 100; null where there is nothing to divide by."""

    review: float | None
    satisfaction: float | None
    bad: float | None
    answered_in_time: float | None
    rectified_in_time: float | None
    called_back: float | None
    score: float | None


class CountsOut(_Body):
    """Counts. `active` reviews are those that count; defaults are apart and in no rate."""

    handlings: int
    defaults: int
    reviews: int
    active: int
    levels: dict[Level, int]
    flagged: int
    excluded: int
    superseded: int
    orders: int
    orders_invalid: int
    answered_in_time: int
    rectified_in_time: int
    called_back: int
    content: int
    escalated: int
    rates: RatesOut


class DayOut(_Body):
    """A day. `figures` is null where so few reviews were given that they would not hide each other."""

    day: date
    handlings: int
    figures: CountsOut | None


class FiguresOut(_Body):
    """A department's figures: each day, and the sum of the days that are shown."""

    department: str
    department_name: str
    first: date
    last: date
    formula_version: int
    days: list[DayOut]
    withheld_days: int
    total: CountsOut
