"""The health commission: registrations, certificates that the delivery record bears out (V9), proofs, parenting."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from health.main import department
from health.records import HealthRecords
from pydantic import JsonValue
from yijian_contracts.events import Outcome, ReceivedStatus, TaskAnswered, TaskMode, TaskReceived
from yijian_contracts.identifiers import is_birth_certificate_no
from yijian_department.testing import TestDepartment, sample_task

Health = TestDepartment[HealthRecords]

MOTHER = "990101199202290029"
BORN = "2026-11-15T08:30:00+08:00"

DELIVERY: dict[str, Any] = {
    "kind": "delivery",
    "institution_code": "990101000001",
    "inpatient_no": "ZY00000001",
    "mother_name": "王芳",
    "mother_id_no": MOTHER,
    "mother_birth_date": "1992-02-29",
    "newborns": [{"order": 1, "sex": "1", "birth_datetime": BORN}],
}


def certificate_fields(**changes: JsonValue) -> dict[str, JsonValue]:
    return {
        "mother_name": "王芳",
        "mother_id_no": MOTHER,
        "mother_birth_date": "1992-02-29",
        "institution_code": "990101000001",
        "inpatient_no": "ZY00000001",
        "plurality": 1,
        "birth_order": 1,
        "sex": "1",
        "birth_datetime": BORN,
        **changes,
    }


def registration_fields(**changes: JsonValue) -> dict[str, JsonValue]:
    return {
        "mother_id_no": MOTHER,
        "marriage_status": "MARRIED",
        "marriage_verified": True,
        "target_code12": "990101001001",
        **changes,
    }


@pytest.fixture
def health() -> Iterator[Health]:
    with TestDepartment(department, records=[DELIVERY]) as bureau:
        yield bureau


def test_a_verified_marriage_is_enough_for_the_birth_registration(health: Health):
    answer = health.give(sample_task("B1", registration_fields()))
    assert isinstance(answer, TaskAnswered)
    assert answer.personal.outputs == {"birth_registration_no": "SY990101-2026-00000001"}
    assert answer.personal.documents[0].kind == "birth-registration"


def test_a_registration_of_new_years_night_is_of_the_new_year(health: Health):
    asked = sample_task("B1", registration_fields())
    answer = health.give(asked.model_copy(update={"requested_at": datetime(2026, 12, 31, 17, tzinfo=UTC)}))
    assert isinstance(answer, TaskAnswered)
    assert answer.personal.outputs == {"birth_registration_no": "SY990101-2027-00000001"}


def test_an_unmarried_mother_signs_a_statement(health: Health):
    without = registration_fields(marriage_status="UNMARRIED", marriage_verified=None)
    returned = health.give(sample_task("B1", without))
    assert isinstance(returned, TaskAnswered)
    assert [c.pointer for c in returned.corrections] == ["/marriage/statement"]

    signed = health.give(sample_task("B1", {**without, "unmarried_statement": "sig-00000001"}))
    assert isinstance(signed, TaskAnswered)
    assert signed.outcome is Outcome.APPROVED


def test_a_marriage_that_nobody_verified_needs_a_person(health: Health):
    received = health.give(sample_task("B1", registration_fields(marriage_verified=None)))
    assert isinstance(received, TaskReceived)
    assert received.status is ReceivedStatus.IN_REVIEW


def test_a_certificate_is_issued_when_the_delivery_record_agrees(health: Health):
    answer = health.give(sample_task("B2", certificate_fields(), child=1))
    assert isinstance(answer, TaskAnswered)
    number = str(answer.personal.outputs["birth_cert_no"])
    assert number == "Z990000001"
    assert is_birth_certificate_no(number, allow_fictitious=True)
    assert [(d.kind, d.number) for d in answer.personal.documents] == [("birth-certificate", number)]


def test_the_birth_time_may_be_written_in_another_zone(health: Health):
    answer = health.give(sample_task("B2", certificate_fields(birth_datetime="2026-11-15T00:30:00Z"), child=1))
    assert isinstance(answer, TaskAnswered)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"mother_name": "王方"}, "母亲姓名"),
        ({"mother_birth_date": "1992-02-28"}, "母亲出生日期"),
        ({"institution_code": "990101000002"}, "助产机构"),
        ({"inpatient_no": "ZY00000002"}, "住院号"),
        ({"plurality": 2}, "胎数"),
        ({"sex": "2"}, "性别"),
        ({"birth_datetime": "2026-11-15T09:30:00+08:00"}, "出生时间"),
        ({"birth_order": 2}, "性别、出生时间"),
    ],
)
def test_what_disagrees_with_the_delivery_record_needs_a_person(health: Health, change: dict[str, Any], named: str):
    received = health.give(sample_task("B2", certificate_fields(**change), child=1))
    assert isinstance(received, TaskReceived)
    assert received.note == f"与医院分娩记录不一致：{named}，需人工核对"


def test_without_a_delivery_record_a_person_looks_and_may_issue(health: Health):
    task = sample_task("B2", certificate_fields(mother_id_no="990101199001010027"), child=1)
    received = health.give(task)
    assert isinstance(received, TaskReceived)
    assert "没有查到分娩记录" in received.note

    path = f"/desk/tasks/{task.task_id}/decision"
    assert health.desk("POST", path, matters=["B2"], body={"act": "APPROVE"}).status_code == 200
    (answer,) = health.pass_time()
    assert isinstance(answer, TaskAnswered)
    assert answer.personal.outputs == {"birth_cert_no": "Z990000001"}


def test_a_newborn_gets_one_certificate_whatever_task_asks(health: Health):
    health.give(sample_task("B2", certificate_fields(), child=1))
    refused = health.give(sample_task("B2", certificate_fields(), child=1))
    assert isinstance(refused, TaskAnswered)
    assert refused.outcome is Outcome.REJECTED
    assert "已经签发过" in refused.reason


def test_a_number_issued_elsewhere_is_passed_over(health: Health):
    health.load_records(
        [
            {
                "kind": "birth-certificate",
                "number": "Z990000001",
                "mother_id_no": "990101199001010027",
                "birth_date": "2026-11-01",
                "order": 1,
            }
        ]
    )
    answer = health.give(sample_task("B2", certificate_fields(), child=1))
    assert isinstance(answer, TaskAnswered)
    assert answer.personal.outputs == {"birth_cert_no": "Z990000002"}


def test_a_certificate_is_proven_only_for_its_own_newborn(health: Health):
    health.give(sample_task("B2", certificate_fields(), child=1))

    def prove(**changes: JsonValue) -> Outcome:
        fields = certificate_fields(birth_cert_no_given="Z990000001", **changes)
        answer = health.give(sample_task("B2", fields, child=1, mode=TaskMode.PROVE))
        assert isinstance(answer, TaskAnswered)
        return answer.outcome

    assert prove() is Outcome.PROVEN
    assert prove(birth_order=2) is Outcome.REJECTED
    assert prove(mother_id_no="990101199001010027") is Outcome.REJECTED
    assert prove(birth_datetime="2026-11-16T08:30:00+08:00") is Outcome.REJECTED


def test_whoever_takes_part_in_the_parenting_service_keeps_the_number(health: Health):
    fields: dict[str, JsonValue] = {"birth_cert_no": "Z990000001", "living_code12": "990101001001"}
    first = health.give(sample_task("B9", fields, child=1))
    again = health.give(sample_task("B9", fields, child=1))
    assert isinstance(first, TaskAnswered)
    assert isinstance(again, TaskAnswered)
    assert first.personal.outputs == again.personal.outputs == {"parenting_service_no": "YE990101-00000001"}
