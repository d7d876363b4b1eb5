"""A bad review comes to every department as a task that only a person decides, with what was done and what shows it."""

from typing import Any
from uuid import uuid4

import pytest
from yijian_common.auth import Kind
from yijian_contracts.events import (
    RECTIFICATION,
    Outcome,
    ReceivedStatus,
    TaskAnswered,
    TaskReceived,
    TaskRequested,
    TaskUnprocessable,
)
from yijian_department import approve, not_accepted, put_right, waiting
from yijian_department.deciding import UndecidedError
from yijian_department.script import Rule, Script, Verdict
from yijian_department.tasks import TaskState
from yijian_department.testing import TestDepartment, sample_rectification, sample_task

Library = TestDepartment[Any]

DONE = {"act": "APPROVE", "measures": "已增设夜间窗口，并公示办理进度。", "evidence": ["窗口值班表 2026-11"]}


@pytest.fixture
def complaint(library: Library) -> TaskRequested:
    task = sample_rectification(matter="L1", matter_name="读者证办理")
    received = library.give(task)
    assert isinstance(received, TaskReceived)
    assert (received.status, received.note) == (ReceivedStatus.IN_REVIEW, "差评整改须由工作人员办理")
    return task


def decision(task: TaskRequested) -> str:
    return f"/desk/tasks/{task.task_id}/decision"


def test_the_head_puts_it_right_and_says_what_was_done(library: Library, complaint: TaskRequested):
    answer = library.desk("POST", decision(complaint), role="HEAD", body=DONE)
    assert answer.status_code == 200, answer.text
    (said,) = library.pass_time()
    assert isinstance(said, TaskAnswered)
    assert (said.matter, said.outcome, said.decided_by) == (
        RECTIFICATION,
        Outcome.APPROVED,
        "P-HEAD-990100000000",
    )
    assert said.personal.outputs == {"measures": DONE["measures"], "evidence": DONE["evidence"]}
    assert said.application_id == complaint.application_id


def test_no_program_decides_it_whatever_the_request_or_the_script_says(library: Library):
    library.write_script(Script(rule=(Rule(program=Verdict.APPROVE), Rule(program=Verdict.REJECT))))
    careless = sample_rectification().model_copy(update={"needs_person": ()})
    received = library.give(careless)
    assert isinstance(received, TaskReceived)
    assert received.status is ReceivedStatus.IN_REVIEW
    assert library.pass_time(86_400) == []


def test_the_head_sees_it_and_the_residents_words_only_when_asking_for_them(library: Library, complaint: TaskRequested):
    listed = library.desk("GET", "/desk/tasks", role="HEAD").json()
    assert [task["task_id"] for task in listed] == [str(complaint.task_id)]
    assert "等了很久" not in str(listed)
    seen = library.desk("GET", f"/desk/tasks/{complaint.task_id}", role="HEAD").json()["fields"]
    assert (seen["matter_name"], seen["level"], seen["options"]) == ("读者证办理", 2, ["未在承诺时间内办结"])
    assert seen["comment"] == "****"
    revealed = library.desk("GET", f"/desk/tasks/{complaint.task_id}?reveal=true", role="HEAD").json()
    assert revealed["fields"]["comment"] == "等了很久，没有人告诉我们进度。"


def test_an_officer_may_when_the_post_has_the_matter(library: Library, complaint: TaskRequested):
    assert library.desk("POST", decision(complaint), matters=[RECTIFICATION], body=DONE).status_code == 200


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ({"token": ""}, 401),
        ({"kind": Kind.CITIZEN}, 403),
        ({"kind": Kind.SERVICE}, 403),
        ({"matters": ["L1"]}, 403),
        ({"role": "SUPERVISOR"}, 403),
        ({"role": "HEAD", "department": "taxation"}, 403),
        ({"role": "HEAD", "area": "nowhere"}, 403),
        ({"role": "HEAD", "area": "990101000000"}, 403),
        ({"matters": [RECTIFICATION], "area": "990101001000"}, 403),
    ],
)
def test_nobody_else_may_see_or_answer_it(library: Library, complaint: TaskRequested, who: dict[str, Any], status: int):
    assert library.desk("GET", f"/desk/tasks/{complaint.task_id}", **who).status_code == status
    assert library.desk("POST", decision(complaint), body=DONE, **who).status_code == status
    listed = library.desk("GET", "/desk/tasks", **who)
    assert listed.status_code in (401, 403) or str(complaint.task_id) not in listed.text
    assert library.pass_time() == []


@pytest.mark.parametrize(
    "body",
    [
        {"act": "APPROVE"},
        DONE | {"measures": ""},
        DONE | {"measures": "  "},
        DONE | {"measures": "长" * 2001},
        DONE | {"evidence": []},
        DONE | {"evidence": [" "]},
        DONE | {"evidence": ["长" * 2001]},
        DONE | {"evidence": ["一项"] * 21},
        {"act": "REJECT"},
        {"act": "REJECT", "reason": "没有依据", "measures": "已整改"},
        {"act": "NOT_ACCEPT", "reason": "不归我们管"},
        {"act": "RETURN", "corrections": [{"pointer": "/comment", "message": "请补充"}]},
    ],
)
def test_half_an_answer_is_refused(library: Library, complaint: TaskRequested, body: dict[str, Any]):
    answer = library.desk("POST", decision(complaint), role="HEAD", body=body)
    assert answer.status_code == 422, answer.text
    assert library.pass_time() == []


def test_measures_are_for_rectifications_only(library: Library):
    task = sample_task("L1", {"reader_id_no": "A", "wish": "doubt"})
    library.give(task)
    assert library.desk("POST", decision(task), matters=["L1"], body=DONE).status_code == 422


def test_the_head_explains_why_nothing_can_be_done(library: Library, complaint: TaskRequested):
    body = {"act": "REJECT", "reason": "法律规定须本人到场核验，已向居民说明依据。"}
    assert library.desk("POST", decision(complaint), role="HEAD", body=body).status_code == 200
    (said,) = library.pass_time()
    assert isinstance(said, TaskAnswered)
    assert (said.outcome, said.reason) == (Outcome.REJECTED, body["reason"])


def test_the_same_again_is_the_same_and_other_measures_are_refused(library: Library, complaint: TaskRequested):
    first = library.desk("POST", decision(complaint), role="HEAD", body=DONE)
    again = library.desk("POST", decision(complaint), role="HEAD", body=DONE)
    other = library.desk("POST", decision(complaint), role="HEAD", body=DONE | {"measures": "什么也没做"})
    assert first.json() == again.json()
    assert other.status_code == 409
    assert len(library.pass_time()) == 1


def test_the_scripted_official_answers_with_measures_and_evidence(library: Library):
    rule = Rule(
        matter=RECTIFICATION,
        person=Verdict.APPROVE,
        person_after_seconds=2,
        measures="已优化流程。",
        evidence=("会议纪要",),
    )
    library.write_script(Script(rule=(rule,)))
    library.give(sample_rectification())
    (said,) = library.pass_time(2)
    assert isinstance(said, TaskAnswered)
    assert said.personal.outputs == {"measures": "已优化流程。", "evidence": ["会议纪要"]}
    assert said.decided_by == "scripted-official"


def test_a_reopened_order_is_a_task_of_its_own(library: Library, complaint: TaskRequested):
    library.desk("POST", decision(complaint), role="HEAD", body=DONE)
    library.pass_time()
    order = complaint.application_id
    received = library.give(sample_rectification(order_id=order, attempt=2, matter="L1", matter_name="读者证办理"))
    assert isinstance(received, TaskReceived)
    assert received.task_id != complaint.task_id


def test_a_bureaus_own_program_answers_it_later(library: Library, complaint: TaskRequested):
    for unfit in (approve(), approve({"measures": "", "evidence": []}), not_accepted("不归我们管")):
        with pytest.raises(UndecidedError):
            library.answer(complaint, unfit)
    said = library.answer(complaint, put_right("已整改。", ["照片"]))
    assert isinstance(said, TaskAnswered)
    assert said.personal.outputs == {"measures": "已整改。", "evidence": ["照片"]}


def test_a_bureau_may_say_that_it_waits(library: Library, complaint: TaskRequested):
    library.answer(complaint, waiting("等待第三方检测"))
    stored = library.stored(complaint)
    assert stored is not None
    assert stored.state is TaskState.SUSPENDED


def test_what_shows_nothing_is_no_rectification():
    for measures, evidence in (("", ["照片"]), ("已整改", []), ("已整改", [" "]), ("已整改", ["照片"] * 21)):
        with pytest.raises(ValueError, match="1 to"):
            put_right(measures, evidence)


def test_a_complaint_that_is_none_is_reported(library: Library):
    said = library.give(sample_task(RECTIFICATION, {"order_id": str(uuid4()), "level": 9}))
    assert isinstance(said, TaskUnprocessable)
    assert "level" in said.error
