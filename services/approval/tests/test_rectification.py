"""A bad review becomes a department's task and its answer, and nothing leads from it to whoever complained."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from approval import consumers
from approval.actions.rectifications import NEEDS_PERSON, resend_rectifications, task_id_of
from approval.actions.results import record_task_results
from approval.due import RESEND_AFTER
from pydantic import JsonValue
from yijian_contracts import cloudevents
from yijian_contracts.events import (
    RECTIFICATION,
    AnswerParts,
    ComplaintParts,
    Correction,
    IssuedDocument,
    Outcome,
    ReceivedStatus,
    RectificationAnswered,
    RectificationRequested,
    TaskAnswered,
    TaskReceived,
    TaskRequested,
    TaskUnprocessable,
)
from yijian_messaging import Message, Record, Rejected

from .bureaus import message_of, said
from .conftest import Service

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(60)]

COMMENT = "窗口让我跑了三趟，还说话难听"
DONE: dict[str, JsonValue] = {"measures": "已对窗口人员批评教育，并电话道歉", "evidence": ["培训记录 2026-11-23"]}


def order(*, round_: int = 1, order_id: UUID | None = None) -> RectificationRequested:
    now = datetime.now(UTC)
    return RectificationRequested(
        order_id=order_id or uuid4(),
        round=round_,
        department="health",
        matter="B2",
        matter_name="出生医学证明签发（首签）",
        requested_at=now,
        due_at=now + timedelta(days=3),
        personal=ComplaintParts(level=1, options=("服务态度差效率低",), touch_points=("材料审核",), comment=COMMENT),
    )


async def request(service: Service, *orders: RectificationRequested) -> None:
    """What rating asks, as approval's consumer decodes and handles it."""
    handled = []
    for each in orders:
        event = cloudevents.encode(each, source="rating")
        headers = tuple((name, text.encode()) for name, text in event.headers.items())
        record = Record(event.topic, 0, 0, key=event.key.encode(), value=event.value, headers=headers, timestamp_ms=0)
        decoded = consumers.decode_order(record)
        handled.append(Message(decoded.id, decoded.content, record))
    async with service.parts.store.transaction() as transaction:
        await consumers.request_rectifications(transaction, handled, effects=service.parts.effects)


def answer(about: RectificationRequested, outcome: Outcome = Outcome.APPROVED, **parts: Any) -> TaskAnswered:
    personal = parts.pop("personal", AnswerParts(outputs=DONE if outcome is Outcome.APPROVED else {}))
    return TaskAnswered.model_validate(
        {
            "application_id": about.order_id,
            "department": about.department,
            "task_id": task_id_of(about),
            "matter": RECTIFICATION,
            "outcome": outcome,
            "decided_by": "post-7",
            "decided_at": datetime.now(UTC),
            "personal": personal,
            **parts,
        }
    )


def receipt(about: RectificationRequested) -> TaskReceived:
    return TaskReceived(
        application_id=about.order_id,
        department="health",
        task_id=task_id_of(about),
        matter=RECTIFICATION,
        status=ReceivedStatus.IN_REVIEW,
        received_at=datetime.now(UTC),
    )


async def tell(service: Service, *events: TaskAnswered | TaskReceived | TaskUnprocessable) -> list[Rejected]:
    async with service.parts.store.transaction() as transaction:
        messages = [message_of(event) for event in events]
        return await record_task_results(transaction, messages, effects=service.parts.effects)


async def kept(service: Service, about: RectificationRequested) -> Any:
    return await service.parts.pool.fetchrow(
        "SELECT state, sealed, next_look_at FROM rectification WHERE task_id = $1", task_id_of(about)
    )


async def test_a_department_is_asked_to_put_it_right_and_rating_hears_what_it_did(service: Service):
    complaint = order()
    await request(service, complaint)
    (task,) = await said(service, complaint.order_id, TaskRequested)
    assert (task.matter, task.life_event, task.attempt, task.child) == (RECTIFICATION, "rectification", 1, None)
    assert task.needs_person == (NEEDS_PERSON,)
    assert task.due_at == complaint.due_at
    assert task.personal.fields == {
        "order_id": str(complaint.order_id),
        "matter": "B2",
        "matter_name": "出生医学证明签发（首签）",
        "level": 1,
        "options": ["服务态度差效率低"],
        "touch_points": ["材料审核"],
        "comment": COMMENT,
    }
    assert await tell(service, answer(complaint)) == []
    (told,) = await said(service, complaint.order_id, RectificationAnswered)
    assert (told.round, told.department, told.matter, told.outcome) == (1, "health", "B2", Outcome.APPROVED)
    assert (told.personal.measures, told.personal.evidence) == (DONE["measures"], ("培训记录 2026-11-23",))
    assert told.decided_by == "post-7"
    row = await kept(service, complaint)
    assert (row["state"], row["sealed"], row["next_look_at"]) == ("ANSWERED", b"", None), "forgotten when answered"


async def test_a_reopened_order_is_a_task_of_its_own(service: Service):
    first = order()
    second = order(round_=2, order_id=first.order_id)
    await request(service, first)
    await tell(service, answer(first))
    await request(service, second)
    tasks = await said(service, first.order_id, TaskRequested)
    assert [task.attempt for task in tasks] == [1, 2]
    assert len({task.task_id for task in tasks}) == 2
    assert await tell(service, answer(second, Outcome.REJECTED, reason="投诉内容与事实不符")) == []
    told = await said(service, first.order_id, RectificationAnswered)
    assert [(each.round, each.outcome) for each in told] == [(1, Outcome.APPROVED), (2, Outcome.REJECTED)]
    assert told[1].reason == "投诉内容与事实不符"
    assert (told[1].personal.measures, told[1].personal.evidence) == ("", ())


async def test_nothing_of_it_leads_to_the_resident_or_the_application(service: Service):
    """Whoever rated stands beside it in the database, and nowhere in what the department gets or approval keeps."""
    application_id, _ = await service.accepted()
    subject = next(iter(service.subjects.values()))
    complaint = order()
    await request(service, complaint)
    rows = await service.parts.pool.fetch("SELECT headers FROM outbox WHERE key = $1", str(complaint.order_id))
    (task,) = await said(service, complaint.order_id, TaskRequested)
    told = task.model_dump_json() + json.dumps([row["headers"] for row in rows])
    assert str(application_id) not in told
    assert subject not in told
    columns = await service.parts.pool.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'rectification'"
    )
    assert {"application_id", "applicant", "party"}.isdisjoint({row["column_name"] for row in columns})


async def test_the_complaint_is_kept_sealed_until_the_department_has_it(service: Service):
    """Approval does not know whose it is, so no erasure would find it."""
    complaint = order()
    await request(service, complaint)
    row = await kept(service, complaint)
    assert row["sealed"]
    assert COMMENT.encode() not in row["sealed"]
    assert await tell(service, receipt(complaint)) == []
    row = await kept(service, complaint)
    assert (row["state"], row["sealed"], row["next_look_at"]) == ("RECEIVED", b"", None)
    assert await tell(service, answer(complaint)) == []
    assert len(await said(service, complaint.order_id, RectificationAnswered)) == 1


async def test_to_be_told_twice_changes_nothing(service: Service):
    complaint = order()
    await request(service, complaint, complaint)
    await request(service, complaint)
    assert len(await said(service, complaint.order_id, TaskRequested)) == 1
    first = answer(complaint)
    assert await tell(service, first, first) == []
    assert await tell(service, first.model_copy(update={"decided_at": datetime.now(UTC)})) == []
    assert len(await said(service, complaint.order_id, RectificationAnswered)) == 1
    assert await service.parts.store.incidents() == []


async def test_a_second_different_answer_changes_nothing_and_is_an_incident(service: Service):
    complaint = order()
    await request(service, complaint)
    await tell(service, answer(complaint))
    assert await tell(service, answer(complaint, Outcome.REJECTED, reason="不改了")) == []
    (told,) = await said(service, complaint.order_id, RectificationAnswered)
    assert told.outcome is Outcome.APPROVED
    assert [(i.kind, i.subject) for i in await service.parts.store.incidents()] == [
        ("answer-differs", str(task_id_of(complaint)))
    ]


WITHOUT = [
    {"outputs": {}},
    {"outputs": {"measures": "已整改"}},
    {"outputs": {"measures": "  ", "evidence": ["照片"]}},
    {"outputs": {"measures": 5, "evidence": ["照片"]}},
    {"outputs": {"measures": "长" * 2001, "evidence": ["照片"]}},
    {"outputs": {"measures": "已整改", "evidence": []}},
    {"outputs": {"measures": "已整改", "evidence": [""]}},
    {"outputs": {"measures": "已整改", "evidence": "照片"}},
    {"outputs": {"measures": "已整改", "evidence": ["照片"] * 21}},
    {"outputs": {"measures": "已整改", "evidence": ["照片", 7]}},
    {"outputs": {"measures": "已整改", "evidence": ["照片"], "resident": "张三"}},
    {"outputs": DONE, "documents": (IssuedDocument(kind="receipt", number="1"),)},
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("personal", WITHOUT)
async def test_an_answer_without_measures_and_evidence_is_a_dead_letter(
    shared_service: Service, personal: dict[str, Any]
):
    service = shared_service
    complaint = order()
    await request(service, complaint)
    (rejected,) = await tell(service, answer(complaint, personal=personal))
    assert "张三" not in rejected.error
    assert await said(service, complaint.order_id, RectificationAnswered) == []
    assert (await kept(service, complaint))["state"] == "REQUESTED", "the department may answer again"
    assert await tell(service, answer(complaint)) == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("outcome", "parts"),
    [
        (Outcome.REJECTED, {}),
        (Outcome.REJECTED, {"reason": "不改", "personal": {"outputs": DONE}}),
        (Outcome.NOT_ACCEPTED, {"reason": "不是我们的事"}),
        (Outcome.PROVEN, {"personal": {"outputs": DONE}}),
        (Outcome.RETURNED, {"corrections": (Correction(pointer="/comment", message="请补充"),)}),
    ],
)
async def test_other_outcomes_are_dead_letters(shared_service: Service, outcome: Outcome, parts: dict[str, Any]):
    complaint = order()
    await request(shared_service, complaint)
    assert len(await tell(shared_service, answer(complaint, outcome, **parts))) == 1


async def test_who_was_not_asked_changes_nothing(service: Service):
    complaint = order()
    await request(service, complaint)
    (rejected,) = await tell(service, answer(order()))
    assert rejected.error == "no such order"
    await tell(service, answer(complaint, department="taxation"))
    await tell(service, answer(complaint, task_id=uuid4()))
    assert {i.kind for i in await service.parts.store.incidents()} == {"wrong-department", "unknown-task"}
    assert await said(service, complaint.order_id, RectificationAnswered) == []


async def test_a_silent_department_is_asked_again_and_one_that_has_it_is_not(service: Service):
    silent, received = order(), order()
    await request(service, silent, received)
    assert await tell(service, receipt(received)) == []
    async with service.parts.store.transaction() as transaction:
        assert await resend_rectifications(transaction, effects=service.parts.effects, limit=10) == 0
    await service.parts.pool.execute(
        "UPDATE rectification SET next_look_at = next_look_at - $1::interval", RESEND_AFTER
    )
    async with service.parts.store.transaction() as transaction:
        assert await resend_rectifications(transaction, effects=service.parts.effects, limit=10) == 1
    asked = await said(service, silent.order_id, TaskRequested)
    assert len(asked) == 2
    assert asked[0] == asked[1], "the same task, to the letter"
    assert len(await said(service, received.order_id, TaskRequested)) == 1


async def test_a_program_that_fails_on_it_is_an_incident(service: Service):
    complaint = order()
    await request(service, complaint)
    report = TaskUnprocessable(
        application_id=complaint.order_id,
        department="health",
        task_id=task_id_of(complaint),
        matter=RECTIFICATION,
        error="ValueError",
        failed_at=datetime.now(UTC),
    )
    assert await tell(service, report) == []
    assert [i.kind for i in await service.parts.store.incidents()] == ["task-unprocessable"]
