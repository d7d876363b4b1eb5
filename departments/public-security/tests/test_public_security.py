"""Public security: the household (V10), registered once (V11), and a citizen number that holds."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from public_security.main import department, new_citizen_id
from public_security.records import PopulationRecords
from pydantic import JsonValue
from yijian_contracts.events import Outcome, TaskAnswered, TaskMode, TaskReceived
from yijian_contracts.identifiers import Sex, make_citizen_id, parse_citizen_id
from yijian_department.testing import TestDepartment, sample_task

PublicSecurity = TestDepartment[PopulationRecords]

MOTHER = "990101199202290029"
FATHER = "990101199001010019"

HOUSEHOLDS: list[dict[str, Any]] = [
    {
        "kind": "household",
        "household_no": "9901010000001",
        "type": "FAMILY",
        "area": "990101001001",
        "members": [MOTHER, FATHER],
    },
    {
        "kind": "household",
        "household_no": "9901010000002",
        "type": "COLLECTIVE",
        "area": "990101001001",
        "members": [MOTHER],
    },
]


def fields(**changes: JsonValue) -> dict[str, JsonValue]:
    return {
        "mother_id_no": MOTHER,
        "father_id_no": FATHER,
        "birth_order": 1,
        "sex": "1",
        "birth_datetime": "2026-11-15T08:30:00+08:00",
        "birth_cert_no": "Z990000001",
        "hukou_follow": "MOTHER",
        "target_household_no": "9901010000001",
        "target_code12": "990101001001",
        **changes,
    }


@pytest.fixture
def police() -> Iterator[PublicSecurity]:
    with TestDepartment(department, records=HOUSEHOLDS) as bureau:
        yield bureau


@pytest.mark.parametrize("follow", ["MOTHER", "FATHER"])
@pytest.mark.parametrize("sex", ["1", "2"])
def test_a_newborn_is_registered_with_a_number_that_holds(police: PublicSecurity, sex: str, follow: str):
    answer = police.give(sample_task("B4", fields(sex=sex, hukou_follow=follow), child=1))
    assert isinstance(answer, TaskAnswered)
    outputs = answer.personal.outputs
    number = parse_citizen_id(str(outputs["citizen_id_no"]))
    assert (number.area6, number.birth_date, number.sex) == ("990101", date(2026, 11, 15), Sex(sex))
    assert (outputs["household_no"], outputs["hukou_address_code"]) == ("9901010000001", "990101001001")
    assert [d.kind for d in answer.personal.documents] == ["household-page"]


def test_the_day_of_birth_is_the_citys(police: PublicSecurity):
    answer = police.give(sample_task("B4", fields(birth_datetime="2026-11-15T23:30:00Z"), child=1))
    assert isinstance(answer, TaskAnswered)
    assert str(answer.personal.outputs["citizen_id_no"])[6:14] == "20261116"


def test_twins_get_different_numbers(police: PublicSecurity):
    first, second = police.give_all(
        [
            sample_task("B4", fields(), child=1),
            sample_task("B4", fields(birth_order=2, birth_cert_no="Z990000002"), child=2),
        ]
    )
    assert isinstance(first, TaskAnswered)
    assert isinstance(second, TaskAnswered)
    assert first.personal.outputs["citizen_id_no"] != second.personal.outputs["citizen_id_no"]


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"target_household_no": "9901019999999"}, "没有查到落户的户号"),
        ({"target_household_no": "9901010000002"}, "落户的户是集体户"),
        ({"mother_id_no": "990101199001010027"}, "没有所随的父亲或者母亲"),
        ({"hukou_follow": "GRANDPARENT"}, "没有所随的父亲或者母亲"),
        ({"target_code12": "990102001001"}, "落户地区划与户籍底册不一致"),
    ],
)
def test_a_household_that_does_not_fit_needs_a_person(police: PublicSecurity, change: dict[str, Any], note: str):
    received = police.give(sample_task("B4", fields(**change), child=1))
    assert isinstance(received, TaskReceived)
    assert note in received.note


@pytest.mark.parametrize("change", [{}, {"birth_cert_no": "Z990000009"}, {"birth_order": 2}])
def test_a_newborn_is_registered_once_by_birth_or_by_certificate(police: PublicSecurity, change: dict[str, Any]):
    police.give(sample_task("B4", fields(), child=1))
    refused = police.give(sample_task("B4", fields(**change), child=1))
    assert isinstance(refused, TaskAnswered)
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, "该新生儿已经登记户口，不能重复登记")


def test_an_official_decides_only_for_their_own_area(police: PublicSecurity):
    task = sample_task("B4", fields(), child=1, needs_person=["未婚生育"])
    police.give(task)
    path = f"/desk/tasks/{task.task_id}/decision"
    elsewhere = police.desk("POST", path, matters=["B4"], area="990102000000", body={"act": "APPROVE"})
    assert elsewhere.status_code == 403
    here = police.desk("POST", path, matters=["B4"], area="990101001000", body={"act": "APPROVE"})
    assert here.json()["outcome"] == "APPROVED"


def test_a_place_and_day_has_500_numbers_for_each_sex(police: PublicSecurity):
    records = police.office.records
    day = date(2026, 11, 15)
    for sex in Sex:
        numbers = [new_citizen_id(records, "990101", day, sex) for _ in range(500)]
        assert len({parse_citizen_id(number or "").sequence for number in numbers}) == 500
        assert {parse_citizen_id(number or "").sex for number in numbers} == {sex}
        assert new_citizen_id(records, "990101", day, sex) is None
    received = police.give(sample_task("B4", fields(), child=1))
    assert isinstance(received, TaskReceived)
    assert "顺序码已经用完" in received.note


def test_a_number_given_elsewhere_is_passed_over_and_can_be_proven(police: PublicSecurity):
    number = make_citizen_id("990101", date(2026, 11, 15), 1)
    other = {
        "kind": "registration",
        "citizen_id_no": number,
        "household_no": "9901010000001",
        "area": "990101001001",
        "mother_id_no": MOTHER,
        "birth_date": "2026-11-15",
        "order": 2,
    }
    police.load_records([other])
    answer = police.give(sample_task("B4", fields(), child=1))
    assert isinstance(answer, TaskAnswered)
    assert parse_citizen_id(str(answer.personal.outputs["citizen_id_no"])).sequence == 3

    proof = police.give(sample_task("B4", fields(citizen_id_no_given=number), child=2, mode=TaskMode.PROVE))
    assert isinstance(proof, TaskAnswered)
    assert (proof.outcome, proof.personal.outputs["citizen_id_no"]) == (Outcome.PROVEN, number)
    foreign = fields(citizen_id_no_given=number, mother_id_no="990101199001010027")
    refused = police.give(sample_task("B4", foreign, child=2, mode=TaskMode.PROVE))
    assert isinstance(refused, TaskAnswered)
    assert refused.outcome is Outcome.REJECTED
