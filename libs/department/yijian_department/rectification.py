"""The one matter that every department handles: to put right what a resident rated badly (差评整改).

No program may decide it. An official says what was done and what shows it, or explains why nothing can be done; the
platform publishes it, and asks the resident whether they are content. Who the resident is, nobody here learns.
"""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field
from yijian_contracts.events import RECTIFICATION, Outcome, TaskMode

from yijian_department.answers import Answer, Decision, needs_person
from yijian_department.matters import Matter
from yijian_department.records import Records
from yijian_department.task import Task

MAY_BE_SHOWN = frozenset({"order_id", "matter", "matter_name", "level", "options", "touch_points"})
"""What an official sees without asking for more; the resident's own words are not among it."""


class Complaint(BaseModel):
    """What a resident said about the department's handling of `matter`; `level` is 1 or 2 of 5."""

    order_id: UUID
    matter: str
    matter_name: str
    level: int = Field(ge=1, le=5)
    options: tuple[str, ...] = ()
    touch_points: tuple[str, ...] = ()
    comment: str = ""


def rectify(_: Task[Complaint], __: Records) -> Answer:
    return needs_person("差评整改须由工作人员办理")


def rectification_matter() -> Matter[Any]:
    """What `Department` registers beside the developer's own matters."""
    return Matter(RECTIFICATION, TaskMode.DECIDE, Complaint, rectify, None)


def misfit(answer: Answer) -> str | None:
    """Why `answer` cannot close a rectification, for the official; None when it can."""
    match answer:
        case Decision(outcome=Outcome.APPROVED, parts=parts):
            complete = parts.outputs.get("measures") and parts.outputs.get("evidence")
            return None if complete else "整改须写明采取的措施，并附上证据"
        case Decision(outcome=Outcome.REJECTED):
            return None
        case Decision():
            return "差评整改只能办结整改，或者说明理由不予整改"
        case _:
            return None
