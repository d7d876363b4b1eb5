"""The desk: where officials of the department decide what needs a person.

Who may: an official with a post in this department, for the post's matters, in the post's area. Fields are masked
until an official asks to see them; each look and each decision is recorded with who it was.
"""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, field_validator
from yijian_common.auth import Post, Principal, require_official
from yijian_common.errors import Conflict, Forbidden, NotFound
from yijian_contracts.areas import AreaLevel, area_contains, area_level, is_area_code, significant_prefix
from yijian_contracts.events import (
    MOST_CORRECTIONS,
    RECTIFICATION,
    Correction,
    Outcome,
    Pointer,
    TaskAnswered,
    TaskMode,
    TaskRequested,
)

from yijian_department.answers import (
    MOST_EVIDENCE,
    PARAGRAPH_LENGTH,
    REASON_LENGTH,
    not_accepted,
    put_right,
    reject,
    return_for_correction,
)
from yijian_department.deciding import UndecidedError
from yijian_department.masked import masked
from yijian_department.office import Office, TaskClosedError
from yijian_department.rectification import MAY_BE_SHOWN
from yijian_department.tasks import DeskAction, Official, StoredTask, TaskState, desk_tasks, find_task

HEAD = "HEAD"
"""The role of a department's head."""


class TaskSummary(BaseModel):
    """A task in the list; `note` says what it waits for. No personal data."""

    task_id: UUID
    application_id: UUID
    matter: str
    child: int | None
    attempt: int
    mode: TaskMode
    state: TaskState
    note: str
    needs_person: tuple[str, ...]
    area: str | None
    requested_at: datetime
    due_at: datetime | None
    waiting_since: datetime


class TaskView(TaskSummary):
    """One task with the fields that the department was given, masked unless `revealed`."""

    revealed: bool
    fields: dict[str, JsonValue]


class Act(StrEnum):
    """What an official can do. RETRY has the program look again at a task that it could not process."""

    APPROVE = "APPROVE"
    REJECT = "REJECT"
    NOT_ACCEPT = "NOT_ACCEPT"
    RETURN = "RETURN"
    RETRY = "RETRY"


class CorrectionBody(BaseModel):
    """A field to correct, and why: the applicant reads it."""

    model_config = ConfigDict(extra="forbid")

    pointer: Pointer
    message: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=REASON_LENGTH)]


ParagraphBody = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=PARAGRAPH_LENGTH)]


class DecisionBody(BaseModel):
    """An official's decision; refusing needs a reason, returning needs the fields to correct, each once.

    Approving a rectification needs what was done (`measures`) and what shows it (`evidence`); both are published.
    """

    model_config = ConfigDict(extra="forbid")

    act: Act
    reason: Annotated[str, StringConstraints(strip_whitespace=True, max_length=REASON_LENGTH)] = ""
    corrections: Annotated[tuple[CorrectionBody, ...], Field(max_length=MOST_CORRECTIONS)] = ()
    measures: Annotated[str, StringConstraints(strip_whitespace=True, max_length=PARAGRAPH_LENGTH)] = ""
    evidence: Annotated[tuple[ParagraphBody, ...], Field(max_length=MOST_EVIDENCE)] = ()

    @field_validator("corrections")
    @classmethod
    def _each_field_once(cls, corrections: tuple[CorrectionBody, ...]) -> tuple[CorrectionBody, ...]:
        if len({correction.pointer for correction in corrections}) < len(corrections):
            raise ValueError("同一栏目只能列出一次")
        return corrections


class DecisionView(BaseModel):
    """What was decided, by which post; None for a task that the program is to look at again."""

    task_id: UUID
    outcome: Outcome | None
    reason: str = ""
    corrections: tuple[Correction, ...] = ()
    decided_by: str | None = None
    decided_at: datetime | None = None


class MissingReason(Conflict):
    status = 422
    name = "missing-reason"
    title = "请写明理由"
    advice = "不予批准须写明理由；退回补正须指出需要修改的栏目。"


class MissingEvidence(Conflict):
    status = 422
    name = "missing-evidence"
    title = "请写明整改措施并附上证据"
    advice = "差评整改办结时，须写明采取了什么措施，并至少附一项证据。整改结果将公开，请勿写入个人信息。"


class NotForThisMatter(Conflict):
    status = 422
    name = "not-for-this-matter"
    title = "该任务不适用这种决定"
    advice = "差评整改只能办结或者说明理由不予整改；其他任务不填整改措施和证据。"


class TaskClosed(Conflict):
    name = "task-closed"
    title = "该任务已办结或已撤回"
    advice = "别人已经作出决定，或者申请人已经撤回。请刷新任务列表。"


class CannotApprove(Conflict):
    name = "cannot-approve"
    title = "按现有资料无法批准"
    advice = "请按说明核对后再试，或者作出其他决定。"


def desk_routes(code: str) -> APIRouter:
    """The desk of one department."""
    router = APIRouter(prefix="/desk", tags=["desk"])
    allowed = Depends(require_official(department=code))

    @router.get("/tasks")
    async def list_tasks(
        request: Request, who: Annotated[Principal, allowed], limit: Annotated[int, Query(ge=1, le=200)] = 50
    ) -> list[TaskSummary]:
        """The tasks that wait for this official, the longest waiting first."""
        office, post = _office(request), _post(who)
        matters = {code for code, _ in office.definition.matters if _holds(post, code)}
        async with office.store.transaction() as tx:
            found = desk_tasks(tx.connection, matters=matters, area_prefix=significant_prefix(post.area), limit=limit)
        return [TaskSummary(**_summary(task, office.handling.deciding.request_of(task))) for task in found]

    @router.get("/tasks/{task_id}")
    async def see_task(
        request: Request, task_id: UUID, who: Annotated[Principal, allowed], *, reveal: bool = False
    ) -> TaskView:
        """One task that waits. With `reveal` its fields are shown in clear; either look is recorded."""
        office = _office(request)
        await _check_post(office, task_id, who)
        action = DeskAction.REVEALED if reveal else DeskAction.LOOKED
        try:
            task, asked = await office.look(task_id, action, official=_official(who))
        except TaskClosedError:
            raise TaskClosed from None
        fields = asked.personal.fields
        shown = fields if reveal else _masked(asked)
        return TaskView(**_summary(task, asked), revealed=reveal, fields=shown)

    @router.post("/tasks/{task_id}/decision")
    async def decide(
        request: Request, task_id: UUID, body: DecisionBody, who: Annotated[Principal, allowed]
    ) -> DecisionView:
        """Decide a task. The same decision again gives the same answer; another one is refused."""
        office = _office(request)
        task = await _check_post(office, task_id, who)
        try:
            act = _rectify if task.matter == RECTIFICATION else _act
            return _decision_view(task_id, await act(office, task_id, body, _official(who)))
        except TaskClosedError:
            raise TaskClosed from None
        except UndecidedError as error:
            raise CannotApprove(str(error)) from None

    return router


async def _act(office: Office[Any], task_id: UUID, body: DecisionBody, official: Official) -> TaskAnswered | None:
    if body.measures or body.evidence:
        raise NotForThisMatter
    match body.act:
        case Act.APPROVE:
            return await office.approve(task_id, official=official)
        case Act.REJECT | Act.NOT_ACCEPT:
            if not body.reason:
                raise MissingReason
            refusal = reject(body.reason) if body.act is Act.REJECT else not_accepted(body.reason)
            return await office.answer(task_id, refusal, official=official)
        case Act.RETURN:
            if not body.corrections:
                raise MissingReason
            pairs = [(correction.pointer, correction.message) for correction in body.corrections]
            return await office.answer(task_id, return_for_correction(pairs, body.reason), official=official)
        case Act.RETRY:
            await office.retry(task_id, official=official)
            return None


def _office(request: Request) -> Office[Any]:
    office: Office[Any] = request.app.state.office
    return office


async def _rectify(office: Office[Any], task_id: UUID, body: DecisionBody, official: Official) -> TaskAnswered | None:
    """What an official does about a rectification: put it right with evidence, or say why not."""
    match body.act:
        case Act.APPROVE:
            if not body.measures or not body.evidence:
                raise MissingEvidence
            return await office.answer(task_id, put_right(body.measures, body.evidence), official=official)
        case Act.REJECT | Act.RETRY:
            return await _act(office, task_id, body, official)
        case Act.NOT_ACCEPT | Act.RETURN:
            raise NotForThisMatter


async def _check_post(office: Office[Any], task_id: UUID, who: Principal) -> StoredTask:
    """The task exists, and its matter and area are the official's. 404 or 403 otherwise."""
    async with office.store.transaction() as tx:
        task = find_task(tx.connection, str(task_id))
    if task is None:
        raise NotFound("没有这项任务")
    post = _post(who)
    if not _holds(post, task.matter):
        raise Forbidden("这项业务不属于您的岗位")
    if task.area is not None and not area_contains(post.area, task.area):
        raise Forbidden("这项任务不在您负责的区域")
    return task


def _post(who: Principal) -> Post:
    if who.post is None or not is_area_code(who.post.area, allow_fictitious=True):
        raise Forbidden
    return who.post


def _holds(post: Post, matter: str) -> bool:
    """A bad review is for the head of the department, or for whoever the head gave that matter to.

    It tells no place, so that only posts for the whole city may see it; rating shows its order to no others either.
    """
    if matter != RECTIFICATION:
        return matter in post.matters
    return (post.role == HEAD or matter in post.matters) and _is_for_the_city(post)


def _is_for_the_city(post: Post) -> bool:
    try:
        return area_level(post.area) <= AreaLevel.CITY
    except ValueError:
        return False


def _official(who: Principal) -> Official:
    post = _post(who)
    return Official(subject=who.subject, post=re.sub(r"[^A-Za-z0-9-]", "-", f"P-{post.role}-{post.area}")[:64])


def _summary(task: StoredTask, request: TaskRequested) -> dict[str, Any]:
    return {
        "task_id": request.task_id,
        "application_id": request.application_id,
        "matter": request.matter,
        "child": request.child,
        "attempt": request.attempt,
        "mode": request.mode,
        "state": task.state,
        "note": task.note,
        "needs_person": request.needs_person,
        "area": task.area,
        "requested_at": request.requested_at,
        "due_at": request.due_at,
        "waiting_since": datetime.fromtimestamp(task.changed_at, UTC),
    }


def _masked(request: TaskRequested) -> dict[str, JsonValue]:
    shown = MAY_BE_SHOWN if request.matter == RECTIFICATION else frozenset()
    return {name: value if name in shown else masked(value, name) for name, value in request.personal.fields.items()}


def _decision_view(task_id: UUID, answered: TaskAnswered | None) -> DecisionView:
    if answered is None:
        return DecisionView(task_id=task_id, outcome=None)
    return DecisionView(
        task_id=task_id,
        outcome=answered.outcome,
        reason=answered.reason,
        corrections=answered.corrections,
        decided_by=answered.decided_by,
        decided_at=answered.decided_at,
    )
