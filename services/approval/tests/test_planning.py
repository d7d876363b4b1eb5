"""Which tasks a form becomes: the variants run by themselves, other branches reach their department with a reason."""

from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import approval
import pytest
from approval.claims import claim_values, claim_values_of_answer, parties
from approval.life_event import LifeEvent, load_life_event
from approval.planning import Need, PlannedTask, plan
from yijian_contracts.events import TaskMode
from yijian_contracts.identifiers import make_citizen_id
from yijian_examples.family import Kind
from yijian_examples.forms import example

FILE = Path(approval.__file__).parent / "life_events" / "birth.yaml"
BIRTH = load_life_event(FILE, allow_fictitious=True)
AT_BIRTH = load_life_event(FILE, settings_overrides={"med_insurance_key": "BIRTH_CERT"}, allow_fictitious=True)
TODAY = date(2026, 11, 21)
FORMS = {kind: example(kind, today=TODAY) for kind in Kind}


def form_with(kind: Kind = Kind.STANDARD, /, **changes: Any) -> dict[str, Any]:
    """An example with members replaced, `mother__hukou__type="NONE"` reaching down."""
    form = deepcopy(FORMS[kind])
    for name, value in changes.items():
        *way, last = name.split("__")
        part = form
        for step in way:
            part = part[step]
        part[last] = value
    return form


def child_with(**changes: Any) -> dict[str, Any]:
    form = deepcopy(FORMS[Kind.STANDARD])
    form["newborns"][0].update(changes)
    return form


def without_father(form: dict[str, Any]) -> dict[str, Any]:
    changed = deepcopy(form)
    del changed["father"]
    return {**changed, "father_absence": {"reason": "UNKNOWN", "statement": "sig-00000001"}}


def by_key(form: dict[str, Any], life_event: LifeEvent = BIRTH) -> dict[str, PlannedTask]:
    return {task.key: task for task in plan(life_event, form)}


def people(form: dict[str, Any]) -> set[str]:
    """The tasks that need a person."""
    return {task.key for task in plan(BIRTH, form) if task.needs_person}


def left_out(form: dict[str, Any], life_event: LifeEvent = BIRTH) -> set[str]:
    return {task.key for task in plan(life_event, form) if task.not_needed}


def test_the_standard_birth_is_ten_tasks_that_nobody_has_to_decide() -> None:
    tasks = by_key(FORMS[Kind.STANDARD])
    assert list(tasks) == ["C1", "B1", "B2-1", "B3-1", "B4-1", "B5-1", "B6-1", "B7-1", "B8", "B9-1"]
    assert not any(task.needs_person or task.not_needed for task in tasks.values())
    assert {task.mode for task in tasks.values()} == {TaskMode.DECIDE}
    assert {task.department for task in tasks.values()} == {
        "civil-affairs",
        "health",
        "disease-control",
        "public-security",
        "medical-insurance",
        "human-resources",
        "taxation",
    }
    assert tasks["C1"].needs == ()
    assert tasks["B4-1"].needs == (Need(("B2-1",), any=False), Need(("C1",), any=False))
    assert tasks["B5-1"].needs == (Need(("B4-1",), any=False),)
    assert tasks["B7-1"].needs == (Need(("B5-1",), any=False),)


def test_twins_share_registration_and_benefit_and_have_everything_else_each() -> None:
    tasks = by_key(FORMS[Kind.TWINS])
    assert len(tasks) == 3 + 2 * 7
    assert {key for key, task in tasks.items() if task.child is None} == {"C1", "B1", "B8"}
    assert tasks["B4-2"].needs == (Need(("B2-2",), any=False), Need(("C1",), any=False))
    assert tasks["B8"].needs == (Need(("B2-1", "B2-2"), any=True),)


def test_insured_at_birth_the_insurance_waits_for_the_certificate_and_is_rekeyed_later() -> None:
    tasks = by_key(FORMS[Kind.STANDARD], AT_BIRTH)
    assert tasks["B5-1"].needs == (Need(("B2-1",), any=False),)
    assert tasks["B5-rekey-1"].needs == (Need(("B4-1",), any=False), Need(("B5-1",), any=False))
    assert "B5-rekey-1" not in by_key(FORMS[Kind.STANDARD])


def test_an_unmarried_mother_needs_no_marriage_check_and_a_light_look_at_the_household() -> None:
    tasks = by_key(FORMS[Kind.UNMARRIED])
    assert tasks["C1"].not_needed == "未婚生育，无需核验婚姻登记"
    assert people(FORMS[Kind.UNMARRIED]) == {"B4-1"}
    assert tasks["B4-1"].needs_person == ("未婚生育随母亲落户，简要核对《非婚生育说明》",)


def test_parents_in_different_districts_need_nobody() -> None:
    assert people(FORMS[Kind.DIFFERENT_DISTRICTS]) == set()


def test_an_issued_certificate_is_only_to_be_proven() -> None:
    tasks = by_key(FORMS[Kind.CERTIFICATE_ISSUED])
    assert tasks["B2-1"].mode is TaskMode.PROVE
    assert {key for key, task in tasks.items() if task.mode is TaskMode.PROVE} == {"B2-1"}


def test_a_registered_child_is_only_to_be_proven_twice() -> None:
    form = form_with(Kind.CERTIFICATE_ISSUED, already_done=["B2", "B4"])
    form["newborns"][0]["citizen_id_no"] = make_citizen_id("990105", date(2026, 11, 15), 2)
    assert {task.key for task in plan(BIRTH, form) if task.mode is TaskMode.PROVE} == {"B2-1", "B4-1"}


def test_of_twins_only_the_one_with_a_certificate_is_proven() -> None:
    form = form_with(Kind.TWINS, already_done=["B2"])
    form["newborns"][1]["birth_cert_no"] = "C990000002"
    tasks = by_key(form)
    assert (tasks["B2-1"].mode, tasks["B2-2"].mode) == (TaskMode.DECIDE, TaskMode.PROVE)


def test_what_is_proven_needs_no_person() -> None:
    form = form_with(Kind.CERTIFICATE_ISSUED, delivery__place="HOME")
    assert by_key(form)["B2-1"].needs_person == ()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"insurance": {"join": False}}, {"B5-1", "B7-1"}),
        ({"benefit": {"claim": False}}, {"B8"}),
        ({"services": {"social_security_card": False, "parenting_guidance": True}}, {"B6-1"}),
        ({"services": {"social_security_card": True, "parenting_guidance": False}}, {"B9-1"}),
    ],
)
def test_what_was_not_chosen_is_not_needed(changes: dict[str, Any], expected: set[str]) -> None:
    assert left_out(form_with(**changes)) == expected


def test_without_insurance_nothing_is_rekeyed() -> None:
    assert left_out(form_with(insurance={"join": False}), AT_BIRTH) == {"B5-1", "B5-rekey-1", "B7-1"}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (form_with(Kind.UNMARRIED, hukou__follow="FATHER"), {"B2-1", "B4-1"}),
        (without_father(FORMS[Kind.UNMARRIED]), {"B2-1", "B4-1"}),
        (form_with(marriage={"status": "DIVORCED"}), {"B1", "B2-1", "B4-1"}),
        (form_with(marriage={"status": "WIDOWED"}), {"B1", "B2-1", "B4-1"}),
        (form_with(marriage={"status": "MARRIED", "abroad": True}), {"C1"}),
        (form_with(mother__hukou__type="COLLECTIVE"), {"B4-1"}),
        (form_with(father__hukou__type="COLLECTIVE"), set()),
        (form_with(father__hukou={"type": "NONE"}), {"B4-1"}),
        (form_with(hukou__follow="GRANDPARENT"), {"B4-1"}),
        (form_with(father__hukou__code12="440103001001"), {"B4-1"}),
        (form_with(father__id_type="PASSPORT", father__id_no="E12345678"), {"C1", "B1", "B2-1", "B4-1"}),
        (form_with(mother__id_type="TAIWAN_PERMIT", mother__id_no="12345678"), {"C1", "B1", "B2-1", "B4-1", "B8"}),
        (FORMS[Kind.HOME_BIRTH], {"B2-1", "B8"}),
        (form_with(delivery__place="EN_ROUTE"), {"B2-1", "B8"}),
        (form_with(mother__insurance={"type": "EMPLOYEE", "place_code6": "440103"}), {"B8"}),
        (form_with(mother__insurance={"type": "NONE"}), {"B8"}),
        (child_with(birth_datetime="2025-11-01T08:00:00+08:00"), {"B2-1", "B4-1"}),
        (child_with(given_name="A1"), {"B2-1", "B4-1"}),
        (child_with(surname_source="OTHER", surname="赵", surname_reason="随祖母姓"), {"B2-1", "B4-1"}),
        (child_with(weight_g=250), {"B2-1"}),
        (child_with(length_cm=71), {"B2-1"}),
        (child_with(gestation_weeks=46), {"B2-1"}),
        (form_with(mother__birth_date="1970-01-01"), {"B1", "B2-1", "B4-1"}),
    ],
)
def test_every_other_branch_reaches_its_department_with_a_reason(form: dict[str, Any], expected: set[str]) -> None:
    assert people(form) == expected
    reasons = [reason for task in plan(BIRTH, form) for reason in task.needs_person]
    assert all(reason and "无法自动核对" not in reason for reason in reasons)


def test_a_child_born_abroad_gets_no_certificate_here_and_people_look_at_the_rest() -> None:
    form = form_with(delivery__place="ABROAD")
    assert left_out(form) == {"B2-1"}
    assert people(form) == {"B3-1", "B4-1", "B5-1", "B6-1", "B8"}


def test_of_twins_only_the_doubtful_one_needs_a_person() -> None:
    form = deepcopy(FORMS[Kind.TWINS])
    form["newborns"][1]["weight_g"] = 250
    assert people(form) == {"B2-2"}
    form["newborns"][1]["birth_datetime"] = "2026-11-17T08:00:00+08:00"
    assert people(form) == {"B2-1", "B2-2"}


def test_a_plan_is_the_same_for_a_life_event_out_of_the_database() -> None:
    stored = LifeEvent.from_canonical(AT_BIRTH.canonical())
    assert stored == AT_BIRTH
    assert stored.digest == AT_BIRTH.digest != BIRTH.digest
    assert plan(stored, FORMS[Kind.TWINS]) == plan(AT_BIRTH, FORMS[Kind.TWINS])


def test_a_form_claims_each_child_and_each_certificate() -> None:
    mother = FORMS[Kind.TWINS]["mother"]["id_no"]
    assert claim_values(BIRTH, FORMS[Kind.TWINS]) == [
        ("mother-birth-order", (mother, "2026-11-15", "1")),
        ("mother-birth-order", (mother, "2026-11-15", "2")),
    ]
    assert ("birth-certificate", ("C990000005",)) in claim_values(BIRTH, FORMS[Kind.CERTIFICATE_ISSUED])


def test_the_day_of_birth_that_is_claimed_is_the_day_in_china() -> None:
    form = child_with(birth_datetime="2026-11-14T17:00:00Z")
    assert claim_values(BIRTH, form)[0][1][1] == "2026-11-15"


def test_a_certificate_number_that_arrives_later_is_claimed_too() -> None:
    claimed = claim_values_of_answer(BIRTH, "B2", {"birth_cert_no": "Z990000001"})
    assert claimed == [("birth-certificate", ("Z990000001",))]
    assert claim_values_of_answer(BIRTH, "B4", {"citizen_id_no": "1"}) == []


def test_parties_are_the_parents_and_one_of_them_applies() -> None:
    form = form_with(applicant__relation="FATHER")
    found = parties(BIRTH, form)
    assert found.applicant_number == form["father"]["id_no"]
    assert found.numbers == {"MOTHER": form["mother"]["id_no"], "FATHER": form["father"]["id_no"]}
    assert parties(BIRTH, without_father(FORMS[Kind.UNMARRIED])).numbers.keys() == {"MOTHER"}
