"""How an application is told to a resident."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from approval.application import ApplicationStatus, Decision, TaskState
from approval.engine import EntryKind
from approval.schemas import ApplicationOut, DisclosedFieldOut, DocumentOut, EntryOut, TaskOut
from rich.console import Console, RenderableType
from yijian_cli import pages, wording
from yijian_contracts.events import ApplicationOutcome, TaskMode

NOON = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
SCHEMA = {
    "properties": {
        "mother": {"title": "母亲信息", "properties": {"name": {"title": "姓名"}}},
        "newborns": {
            "title": "新生儿",
            "items": {"title": "新生儿", "properties": {"sex": {"title": "性别"}}},
        },
    }
}


def task(key: str = "B2-1", **changes: object) -> TaskOut:
    told: dict[str, object] = {
        "key": key,
        "matter": "B2",
        "name": "出生医学证明签发（首签）",
        "child": 1,
        "department": "health",
        "department_name": "卫生健康委员会",
        "state": TaskState.CLOSED,
        "mode": TaskMode.DECIDE,
        "decision": Decision.APPROVED,
        "automatic": True,
        "reason": "",
        "needs_person": [],
        "waits_for": [],
        "requested_at": NOON,
        "ended_at": NOON + timedelta(seconds=1.25),
        "corrections": [],
        "documents": [DocumentOut(kind="birth-certificate", name="出生医学证明", number="Z9******01")],
        "received": [],
    }
    return TaskOut.model_validate(told | changes)


def application(*tasks: TaskOut) -> ApplicationOut:
    return ApplicationOut(
        id=UUID(int=1),
        life_event="birth",
        name="出生一件事",
        status=ApplicationStatus.COMPLETED,
        outcome=ApplicationOutcome.ALL_GRANTED,
        submitted_at=NOON,
        due_at=NOON + timedelta(hours=2),
        completed_at=NOON + timedelta(seconds=3),
        version=9,
        expected_minutes=80,
        held=None,
        tasks=list(tasks),
    )


def entry(kind: EntryKind, *states: TaskState, actor: str = "health", note: str = "") -> EntryOut:
    return EntryOut(
        version=3, at=NOON, kind=kind, task="B2-1", name="出生医学证明", actor=actor, states=list(states), note=note
    )


def printed(page: RenderableType, width: int = 120) -> str:
    console = Console(width=width, record=True, file=None, force_terminal=False, quiet=False)
    with console.capture() as capture:
        console.print(page)
    return capture.get()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-3, "0.0 秒"), (0.42, "0.4 秒"), (59.9, "59.9 秒"), (185, "3 分 05 秒"), (7500, "2 小时 05 分")],
)
def test_durations_are_short_and_never_negative(seconds: float, said: str):
    assert wording.duration(timedelta(seconds=seconds)) == said


def test_every_state_and_every_kind_of_line_has_words():
    assert set(wording.STATES) == set(TaskState)
    assert set(wording.OUTCOMES) == set(ApplicationOutcome)
    for kind in EntryKind:
        note = "PARTLY" if kind is EntryKind.COMPLETED else ""
        assert wording.happened(entry(kind, TaskState.ACCEPTED, note=note))


def test_a_decision_says_what_it_was_and_why():
    approved = entry(EntryKind.TASK_DECIDED, TaskState.DECIDED_APPROVED, TaskState.DELIVERED, TaskState.CLOSED)
    denied = entry(EntryKind.TASK_DECIDED, TaskState.DECIDED_DENIED, TaskState.CLOSED, note="已经签发过")

    assert wording.progress_line(approved, application(task())) == (
        "12:00:00.000  卫生健康委员会 · 出生医学证明签发（首签） · 批准，证照已送达"
    )
    assert wording.happened(denied) == "不予批准：已经签发过"


def test_of_twins_each_line_and_row_names_the_child():
    twins = application(task("B2-1"), task("B2-2", child=2))

    assert wording.about(entry(EntryKind.TASK_RECEIVED), twins) == "出生医学证明签发（首签）（第1孩）"
    assert "（第2孩）" in printed(pages.progress_table(twins))


def test_the_table_shows_state_time_and_document():
    shown = printed(pages.progress_table(application(task())))

    (row,) = [line for line in shown.splitlines() if "首签" in line]
    assert row.split() == ["✓", "出生医学证明签发（首签）", "卫生健康委员会", "已办结", "1.2", "秒", "出生医学证明"]


def test_what_waits_counts_on_and_says_what_for():
    waits = task(state=TaskState.SUSPENDED, decision=None, ended_at=None, reason="已申报，等待缴费", documents=[])

    shown = printed(pages.progress_table(application(waits), now=NOON + timedelta(seconds=61)))

    assert "等待中：已申报，等待缴费" in shown
    assert "1 分 01 秒" in shown


def test_it_is_told_whose_consent_is_waited_for():
    waits = {
        "basis": "card-guardian",
        "purpose": "用于登记监护人",
        "giver": "FATHER",
        "giver_title": "父亲",
    }
    waiting = {"state": TaskState.DRAFT, "decision": None, "requested_at": None, "ended_at": None, "documents": []}
    both = application(task("B6-1", waits_for=[waits], **waiting), task("B6-2", child=2, waits_for=[waits], **waiting))

    shown = printed(pages.progress_table(both))

    assert shown.count("等待父亲同意") == 2
    assert wording.waiting_for(both) == [
        "等待父亲同意（用于登记监护人）：出生医学证明签发（首签）（第1孩）、出生医学证明签发（首签）（第2孩）"
    ]
    refused = task(state=TaskState.WITHDRAWN, decision=None, reason="父亲没有同意，这个事项不再办理")
    assert wording.state_of(refused) == "已撤回：父亲没有同意，这个事项不再办理"
    assert wording.waiting_for(application(refused)) == []


def test_what_a_department_received_stands_under_its_basis_by_where_it_came_from():
    law, consent = "《母婴保健法》第二十三条", "用于通知监护人"
    received = [
        DisclosedFieldOut(name="mother_name", title="mother_name", source="/mother/name", basis_kind="LAW", basis=law),
        DisclosedFieldOut(name="sex", title="sex", source="/newborns/*/sex", basis_kind="LAW", basis=law),
        DisclosedFieldOut(
            name="birth_cert_no",
            title="出生医学证明编号",
            source="B2.birth_cert_no",
            basis_kind="CONSENT",
            basis=consent,
        ),
    ]

    lines = printed(pages.disclosures(application(task(received=received)), SCHEMA)).splitlines()

    told = [line.strip() for line in lines if line.strip()][1:]
    assert told == [
        "卫生健康委员会 · 出生医学证明签发（首签） · 3 项",
        f"您同意：{consent}",
        "“出生医学证明签发（首签）”的结果：出生医学证明编号",
        f"依据：{law}",
        "申请表·母亲信息：姓名",
        "申请表·新生儿：性别",
    ]
