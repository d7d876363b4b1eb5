"""A bad review becomes work: rating asks, approval passes it on as a task and tells what the department did."""

from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field, StringConstraints

from yijian_contracts.events.base import Code, Event, Part, Sentence
from yijian_contracts.events.tasks import Outcome
from yijian_contracts.topics import RECTIFICATIONS_ANSWERED, RECTIFICATIONS_REQUESTED

Paragraph = Annotated[str, StringConstraints(max_length=2000)]


class _OrderEvent(Event):
    order_id: UUID
    round: int = Field(ge=1, le=9)
    department: Code
    matter: Code

    @property
    def key(self) -> str:
        return str(self.order_id)

    @property
    def event_id(self) -> UUID:
        return self.derive_id(self.order_id, self.round)


class ComplaintParts(Part):
    """The personal part: what the resident said. It names neither the resident nor the application.

    `level` counts as the national interface does: 5 is the best, 1 and 2 are bad (GB/T 39046 counts the other way).
    """

    level: int = Field(ge=1, le=5)
    options: tuple[Sentence, ...] = ()
    touch_points: tuple[Sentence, ...] = ()
    comment: Paragraph = ""


class RectificationRequested(_OrderEvent):
    """A bad review of a department's handling of `matter` is to be put right; a second `round` after a reopening."""

    TYPE = "gov.city.rating.rectification-requested"
    TOPIC = RECTIFICATIONS_REQUESTED

    matter_name: Sentence
    requested_at: AwareDatetime
    due_at: AwareDatetime
    personal: ComplaintParts


class RectificationParts(Part):
    """The personal part: what was done, and what shows it. Rating publishes it masked."""

    measures: Paragraph
    evidence: tuple[Paragraph, ...] = Field(max_length=20)


class RectificationAnswered(_OrderEvent):
    """What the department did about an order: APPROVED is put right, anything else explains in `reason` why not."""

    TYPE = "gov.city.approval.rectification-answered"
    TOPIC = RECTIFICATIONS_ANSWERED

    outcome: Outcome
    reason: Sentence = ""
    decided_by: Code | None = None
    decided_at: AwareDatetime
    personal: RectificationParts
