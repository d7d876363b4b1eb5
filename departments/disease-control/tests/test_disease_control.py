"""The bureau of disease control: one vaccination record for each child."""

from collections.abc import Iterator

import pytest
from disease_control.main import VaccinationRecords, department
from pydantic import JsonValue
from yijian_contracts.events import TaskAnswered, TaskReceived
from yijian_department.testing import TestDepartment, sample_task

DiseaseControl = TestDepartment[VaccinationRecords]

FIELDS: dict[str, JsonValue] = {
    "birth_cert_no": "Z990000001",
    "birth_datetime": "2026-11-15T00:30:00+08:00",
    "living_code12": "990101001001",
}


@pytest.fixture
def bureau() -> Iterator[DiseaseControl]:
    with TestDepartment(department) as running:
        yield running


def test_a_record_is_opened_under_the_day_of_birth(bureau: DiseaseControl):
    answer = bureau.give(sample_task("B3", FIELDS, child=1))
    assert isinstance(answer, TaskAnswered)
    assert answer.personal.outputs == {"vaccination_archive_no": "JZ990101-20261115-00000001"}
    assert [d.kind for d in answer.personal.documents] == ["vaccination-record"]


def test_a_child_keeps_the_record_it_has(bureau: DiseaseControl):
    bureau.load_records([{"kind": "vaccination-record", "birth_cert_no": "Z990000001", "number": "JZ000001"}])
    answer = bureau.give(sample_task("B3", FIELDS, child=1))
    assert isinstance(answer, TaskAnswered)
    assert answer.personal.outputs == {"vaccination_archive_no": "JZ000001"}


def test_a_child_without_certificate_needs_a_person(bureau: DiseaseControl):
    task = sample_task("B3", {name: value for name, value in FIELDS.items() if name != "birth_cert_no"}, child=1)
    assert isinstance(bureau.give(task), TaskReceived)
    path = f"/desk/tasks/{task.task_id}/decision"
    assert bureau.desk("POST", path, matters=["B3"], body={"act": "APPROVE"}).json()["outcome"] == "APPROVED"
