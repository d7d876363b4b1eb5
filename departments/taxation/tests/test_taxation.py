"""Taxation: exempt families pay nothing, the others' task waits until they have paid."""

from collections.abc import Iterator

import pytest
from pydantic import JsonValue
from taxation.main import ContributionRecords, department
from yijian_contracts.events import ReceivedStatus, TaskAnswered, TaskReceived
from yijian_department import Rule, Script
from yijian_department.testing import TestDepartment, sample_rectification, sample_task

Taxation = TestDepartment[ContributionRecords]

EXEMPT = "990101199001010027"
RECORDS = [{"kind": "exemption", "id_no": EXEMPT, "category": "低保"}]


def fields(**changes: JsonValue) -> dict[str, JsonValue]:
    return {
        "med_insurance_no": "YB990101-0000000001",
        "mother_id_no": "990101199202290029",
        "pay_year": 2026,
        "target_code12": "990101001001",
        **changes,
    }


@pytest.fixture
def taxation() -> Iterator[Taxation]:
    with TestDepartment(department, records=RECORDS) as bureau:
        yield bureau


def test_a_contribution_is_received_when_it_was_paid(taxation: Taxation):
    received = taxation.give(sample_task("B7", fields(), child=1))
    assert isinstance(received, TaskReceived)
    assert (received.status, received.note) == (ReceivedStatus.SUSPENDED, "已申报，等待缴费")

    (answer,) = taxation.pass_time()
    assert isinstance(answer, TaskAnswered)
    assert answer.personal.outputs == {"payment_no": "JF990101-20261120-00000001", "amount_fen": 40_000}
    assert [d.kind for d in answer.personal.documents] == ["contribution-receipt"]


def test_a_script_says_when_the_payment_arrives(taxation: Taxation):
    taxation.write_script(Script(rule=(Rule(matter="B7", pay_after_seconds=30),)))
    taxation.give(sample_task("B7", fields(), child=1))
    assert taxation.pass_time(29) == []
    assert len(taxation.pass_time(1)) == 1


def test_without_a_payment_the_task_waits_for_the_whole_ninety_days(taxation: Taxation):
    taxation.write_script(Script(rule=(Rule(matter="B7"),)))
    task = sample_task("B7", fields(), child=1)
    taxation.give(task)
    assert taxation.pass_time(90 * 86400) == []
    (answer,) = taxation.happened(task)
    assert isinstance(answer, TaskAnswered)


def test_an_exempt_family_pays_nothing(taxation: Taxation):
    answer = taxation.give(sample_task("B7", fields(mother_id_no=EXEMPT), child=1))
    assert isinstance(answer, TaskAnswered)
    assert answer.personal.outputs["amount_fen"] == 0


def test_a_year_without_a_published_premium_needs_a_person(taxation: Taxation):
    received = taxation.give(sample_task("B7", fields(pay_year=2099), child=1))
    assert isinstance(received, TaskReceived)
    assert received.status is ReceivedStatus.IN_REVIEW


def test_a_bad_review_of_the_contribution_is_the_heads_to_put_right(taxation: Taxation):
    complaint = sample_rectification(matter="B7", matter_name="城乡居民医保费申报缴纳")
    assert isinstance(taxation.give(complaint), TaskReceived)
    decision = f"/desk/tasks/{complaint.task_id}/decision"
    body = {"act": "APPROVE", "measures": "已在缴费页面写明到账时间。", "evidence": ["页面改版记录"]}
    assert taxation.desk("POST", decision, matters=["B7"], body=body).status_code == 403
    assert taxation.desk("POST", decision, role="HEAD", body=body).status_code == 200
    (answer,) = taxation.pass_time()
    assert isinstance(answer, TaskAnswered)
    assert answer.personal.outputs == {"measures": body["measures"], "evidence": body["evidence"]}
