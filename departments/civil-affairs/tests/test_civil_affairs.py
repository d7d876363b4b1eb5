"""Civil affairs: the marriage register knows both parents under this certificate (V8)."""

from collections.abc import Iterator
from typing import Any

import pytest
from civil_affairs.main import MarriageRecords, department
from pydantic import JsonValue
from yijian_contracts.events import Outcome, TaskAnswered, TaskReceived
from yijian_department.testing import TestDepartment, sample_task

CivilAffairs = TestDepartment[MarriageRecords]

WIFE, HUSBAND, FORMER = "990101199202290029", "990101199001010019", "990101198808080030"

RECORDS: list[dict[str, Any]] = [
    {
        "kind": "marriage",
        "wife_id_no": WIFE,
        "husband_id_no": husband,
        "cert_no": "J990101-2018-000001",
        "reg_date": "2018-05-20",
        "status": status,
    }
    for husband, status in ((HUSBAND, "MARRIED"), (FORMER, "DIVORCED"))
]


def fields(**changes: JsonValue) -> dict[str, JsonValue]:
    return {
        "mother_id_no": WIFE,
        "father_id_no": HUSBAND,
        "marriage_cert_no": "J990101-2018-000001",
        "marriage_reg_date": "2018-05-20",
        **changes,
    }


@pytest.fixture
def register() -> Iterator[CivilAffairs]:
    with TestDepartment(department, records=RECORDS) as bureau:
        yield bureau


@pytest.mark.parametrize("reg_date", ["2018-05-20", None])
def test_a_marriage_that_agrees_is_verified(register: CivilAffairs, reg_date: str | None):
    answer = register.give(sample_task("C1", fields(marriage_reg_date=reg_date)))
    assert isinstance(answer, TaskAnswered)
    assert (answer.outcome, answer.personal.outputs) == (Outcome.APPROVED, {"marriage_verified": True})


@pytest.mark.parametrize(
    ("change", "pointers"),
    [
        ({"father_id_no": "990103195803150130"}, ["/marriage/cert_no"]),
        ({"marriage_cert_no": "J990101-2018-000002"}, ["/marriage/cert_no"]),
        ({"marriage_cert_no": None}, ["/marriage/cert_no"]),
        ({"marriage_reg_date": "2018-05-21"}, ["/marriage/reg_date"]),
        (
            {"marriage_cert_no": "J990101-2018-000002", "marriage_reg_date": "2018-05-21"},
            ["/marriage/cert_no", "/marriage/reg_date"],
        ),
    ],
)
def test_what_disagrees_is_returned_for_correction(register: CivilAffairs, change: dict[str, Any], pointers: list[str]):
    answer = register.give(sample_task("C1", fields(**change)))
    assert isinstance(answer, TaskAnswered)
    assert answer.outcome is Outcome.RETURNED
    assert [correction.pointer for correction in answer.corrections] == pointers


@pytest.mark.parametrize("change", [{"father_id_no": FORMER}, {"father_id_no": None}])
def test_a_divorce_or_a_missing_father_needs_a_person_who_may_confirm(register: CivilAffairs, change: dict[str, Any]):
    task = sample_task("C1", fields(**change))
    assert isinstance(register.give(task), TaskReceived)
    path = f"/desk/tasks/{task.task_id}/decision"
    assert register.desk("POST", path, matters=["C1"], body={"act": "APPROVE"}).json()["outcome"] == "APPROVED"
