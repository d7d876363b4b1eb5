"""Medical insurance: a child is insured once, re-keyed when it has a number, and a delivery is refunded once."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from medical_insurance.main import department
from medical_insurance.records import InsuranceRecords
from pydantic import JsonValue
from yijian_contracts.events import Outcome, TaskAnswered, TaskReceived
from yijian_department.testing import TestDepartment, sample_task

Insurance = TestDepartment[InsuranceRecords]

CHILD = "990101202611150010"
MOTHER = "990101199202290029"
ELSEWHERE = "990101199001010027"

RECORDS: list[dict[str, Any]] = [
    {"kind": "insured", "id_no": MOTHER, "type": "EMPLOYEE", "place_code6": "990101"},
    {"kind": "insured", "id_no": ELSEWHERE, "type": "EMPLOYEE", "place_code6": "980101"},
    {"kind": "settlement", "mother_id_no": MOTHER, "inpatient_no": "ZY1", "total_fen": 620_000, "settled": False},
    {"kind": "settlement", "mother_id_no": MOTHER, "inpatient_no": "ZY2", "total_fen": 620_000, "settled": True},
    {"kind": "settlement", "mother_id_no": MOTHER, "inpatient_no": "ZY3", "total_fen": 900_000, "settled": False},
    {"kind": "settlement", "mother_id_no": ELSEWHERE, "inpatient_no": "ZY4", "total_fen": 500_000, "settled": False},
]


@pytest.fixture
def insurance() -> Iterator[Insurance]:
    with TestDepartment(department, records=RECORDS) as bureau:
        yield bureau


def enrolment(**person: JsonValue) -> dict[str, JsonValue]:
    return {"target_code12": "990101001001", **person}


@pytest.mark.parametrize("person", [{"citizen_id_no": CHILD}, {"birth_cert_no": "Z990000001"}])
def test_a_child_is_insured_once(insurance: Insurance, person: dict[str, JsonValue]):
    answer = insurance.give(sample_task("B5", enrolment(**person), child=1))
    assert isinstance(answer, TaskAnswered)
    assert answer.personal.outputs == {"med_insurance_no": "YB990101-0000000001"}
    assert [d.kind for d in answer.personal.documents] == ["medical-insurance-credential"]

    refused = insurance.give(sample_task("B5", enrolment(**person), child=1))
    assert isinstance(refused, TaskAnswered)
    assert refused.outcome is Outcome.REJECTED


def test_a_child_without_any_number_needs_a_person(insurance: Insurance):
    assert isinstance(insurance.give(sample_task("B5", enrolment(), child=1)), TaskReceived)


def test_a_child_insured_at_birth_is_found_by_its_citizen_number_afterwards(insurance: Insurance):
    insurance.give(sample_task("B5", enrolment(birth_cert_no="Z990000001"), child=1))
    fields: dict[str, JsonValue] = {
        "citizen_id_no": CHILD,
        "birth_cert_no": "Z990000001",
        "med_insurance_no": "YB990101-0000000001",
    }
    answer = insurance.give(sample_task("B5-rekey", fields, child=1))
    assert isinstance(answer, TaskAnswered)
    assert answer.personal.outputs == {"med_insurance_no": "YB990101-0000000001"}
    assert answer.personal.documents == ()
    assert insurance.office.records.enrolment_of(CHILD) == "YB990101-0000000001"
    assert insurance.office.records.enrolment_of("Z990000001") is None


def test_what_cannot_be_rekeyed_is_refused_and_stays_as_it_was(insurance: Insurance):
    insurance.give(sample_task("B5", enrolment(birth_cert_no="Z990000001"), child=1))
    fields: dict[str, JsonValue] = {
        "citizen_id_no": CHILD,
        "birth_cert_no": "Z990000002",
        "med_insurance_no": "YB990101-0000000001",
    }
    refused = insurance.give(sample_task("B5-rekey", fields, child=1))
    assert isinstance(refused, TaskAnswered)
    assert refused.outcome is Outcome.REJECTED
    assert insurance.office.records.enrolment_of("Z990000001") == "YB990101-0000000001"

    insurance.give(sample_task("B5", enrolment(citizen_id_no=CHILD), child=2))
    taken = insurance.give(sample_task("B5-rekey", {**fields, "birth_cert_no": "Z990000001"}, child=1))
    assert isinstance(taken, TaskAnswered)
    assert taken.outcome is Outcome.REJECTED


def test_a_payment_batch_is_of_the_day_in_china(insurance: Insurance):
    asked = sample_task("B8", {"mother_id_no": MOTHER, "inpatient_no": "ZY1"})
    answer = insurance.give(asked.model_copy(update={"requested_at": datetime(2026, 11, 20, 17, tzinfo=UTC)}))
    assert isinstance(answer, TaskAnswered)
    assert answer.personal.outputs["payment_batch"] == "SY20261121-00000001"


def test_a_delivery_is_refunded_once_by_its_rule(insurance: Insurance):
    fields: dict[str, JsonValue] = {"mother_id_no": MOTHER, "inpatient_no": "ZY1"}
    answer = insurance.give(sample_task("B8", fields))
    assert isinstance(answer, TaskAnswered)
    assert answer.personal.outputs == {"benefit_amount_fen": 620_000, "payment_batch": "SY20261120-00000001"}

    refused = insurance.give(sample_task("B8", fields))
    assert isinstance(refused, TaskAnswered)
    assert refused.outcome is Outcome.REJECTED


@pytest.mark.parametrize(
    ("mother", "stay", "note"),
    [
        (MOTHER, "ZY2", "医院已经直接结算"),
        (MOTHER, "ZY3", "超过限额"),
        (ELSEWHERE, "ZY4", "不在本市参保"),
        (MOTHER, "ZY9", "没有查到医院的费用结算清单"),
        (MOTHER, None, "没有查到医院的费用结算清单"),
    ],
)
def test_everything_else_needs_a_person(insurance: Insurance, mother: str, stay: str | None, note: str):
    received = insurance.give(sample_task("B8", {"mother_id_no": mother, "inpatient_no": stay}))
    assert isinstance(received, TaskReceived)
    assert note in received.note


def test_an_official_grants_at_most_the_ceiling(insurance: Insurance):
    task = sample_task("B8", {"mother_id_no": MOTHER, "inpatient_no": "ZY3"})
    insurance.give(task)
    path = f"/desk/tasks/{task.task_id}/decision"
    assert insurance.desk("POST", path, matters=["B8"], body={"act": "APPROVE"}).status_code == 200
    (answer,) = insurance.pass_time()
    assert isinstance(answer, TaskAnswered)
    assert answer.personal.outputs["benefit_amount_fen"] == 800_000


def test_without_the_hospitals_list_an_official_grants_the_fixed_sum(insurance: Insurance):
    task = sample_task("B8", {"mother_id_no": MOTHER, "birth_cert_nos": ["Z990000001"]})
    received = insurance.give(task)
    assert isinstance(received, TaskReceived)
    path = f"/desk/tasks/{task.task_id}/decision"
    assert insurance.desk("POST", path, matters=["B8"], body={"act": "APPROVE"}).status_code == 200
    (answer,) = insurance.pass_time()
    assert isinstance(answer, TaskAnswered)
    assert answer.personal.outputs["benefit_amount_fen"] == 200_000
