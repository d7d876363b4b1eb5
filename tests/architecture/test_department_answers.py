"""The departments' programs and the life event mean the same: what one asks is what the other answers.

The standard application goes through all seven programs in the order of its needs, with the fields that the life event
discloses and each answer checked as approval checks it. No Kafka, but the departments' real stores and records.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import civil_affairs.main
import disease_control.main
import health.main
import human_resources.main
import medical_insurance.main
import public_security.main
import pytest
import taxation.main
from approval.disclosure import check_answer, disclose
from approval.life_event import LifeEvent, load_life_event
from approval.planning import PlannedTask, plan, task_key
from pydantic import JsonValue
from yijian_contracts.events import Outcome, TaskAnswered, TaskMode, TaskRequested
from yijian_department import Department
from yijian_department.testing import TestDepartment, sample_task

ROOT = Path(__file__).parents[2]
BIRTH = ROOT / "services/approval/approval/life_events/birth.yaml"
STANDARD = ROOT / "examples/birth/standard.json"

PROGRAMS: tuple[Department[Any], ...] = (
    health.main.department,
    disease_control.main.department,
    public_security.main.department,
    medical_insurance.main.department,
    human_resources.main.department,
    taxation.main.department,
    civil_affairs.main.department,
)

APPLICATION = UUID("01936c00-0000-7000-8000-000000000001")

City = dict[str, TestDepartment[Any]]
Form = dict[str, Any]


def records_of(form: Form) -> list[dict[str, Any]]:
    """What the bureaus hold about the family of this form."""
    mother, father, stay = form["mother"], form["father"], form["delivery"]
    return [
        {
            "kind": "marriage",
            "wife_id_no": mother["id_no"],
            "husband_id_no": father["id_no"],
            "cert_no": form["marriage"]["cert_no"],
            "reg_date": form["marriage"]["reg_date"],
            "status": "MARRIED",
        },
        {
            "kind": "delivery",
            "institution_code": stay["institution_code"],
            "inpatient_no": stay["inpatient_no"],
            "mother_name": mother["name"],
            "mother_id_no": mother["id_no"],
            "mother_birth_date": mother["birth_date"],
            "newborns": [
                {"order": child["order"], "sex": child["sex"], "birth_datetime": child["birth_datetime"]}
                for child in form["newborns"]
            ],
        },
        {
            "kind": "household",
            "household_no": mother["hukou"]["household_no"],
            "type": "FAMILY",
            "area": mother["hukou"]["code12"],
            "members": [mother["id_no"], father["id_no"]],
        },
        {
            "kind": "insured",
            "id_no": mother["id_no"],
            "type": mother["insurance"]["type"],
            "place_code6": mother["insurance"]["place_code6"],
        },
        {
            "kind": "settlement",
            "mother_id_no": mother["id_no"],
            "inpatient_no": stay["inpatient_no"],
            "total_fen": 620_000,
            "settled": False,
        },
    ]


@pytest.fixture
def form() -> Form:
    content: Form = json.loads(STANDARD.read_text(encoding="utf-8"))
    return content


@pytest.fixture
def city(form: Form) -> Iterator[City]:
    with ExitStack() as stack:
        yield {
            program.definition.code: stack.enter_context(TestDepartment(program, records=records_of(form)))
            for program in PROGRAMS
        }


def twins(form: Form) -> Form:
    second = {**form["newborns"][0], "order": 2, "sex": "2", "birth_datetime": "2026-11-15T08:40:00+08:00"}
    return {
        **form,
        "newborns": [*form["newborns"], {**second, "given_name": "宁"}],
        "delivery": {**form["delivery"], "plurality": 2},
    }


def run_through(life_event: LifeEvent, form: Form, city: City) -> dict[str, TaskAnswered]:
    """Have every planned task decided, in the order of needs; the answers by task key."""
    outputs: dict[str, dict[str, JsonValue]] = {}
    answers: dict[str, TaskAnswered] = {}
    waiting = {task.key: task for task in plan(life_event, form)}
    while waiting:
        ready = [task for task in waiting.values() if waiting.keys().isdisjoint(upstream(task))]
        for task in ready:
            answer = decide(city[life_event.matters[task.matter].department], request(life_event, form, task, outputs))
            assert check_answer(life_event, task.matter, answer) is None
            outputs[task.key] = answer.personal.outputs
            answers[task.key] = answer
            del waiting[task.key]
    return answers


def upstream(task: PlannedTask) -> set[str]:
    return {key for need in task.needs for key in need.tasks}


def request(
    life_event: LifeEvent, form: Form, task: PlannedTask, outputs: dict[str, dict[str, JsonValue]]
) -> TaskRequested:
    fields = disclose(life_event, task.matter, child=task.child, form=form, outputs=outputs).fields
    return sample_task(
        task.matter, fields, application_id=APPLICATION, child=task.child, needs_person=task.needs_person
    )


def decide(bureau: TestDepartment[Any], task: TaskRequested) -> TaskAnswered:
    (answer,) = [event for event in bureau.give_all([task]) + bureau.pass_time() if isinstance(event, TaskAnswered)]
    return answer


@pytest.mark.parametrize("key", ["ID", "BIRTH_CERT"])
def test_the_standard_birth_is_granted_by_all_seven(city: City, form: Form, key: str):
    life_event = load_life_event(BIRTH, settings_overrides={"med_insurance_key": key}, allow_fictitious=True)
    answers = run_through(life_event, form, city)

    assert {answer.matter for answer in answers.values()} == set(life_event.matters)
    assert {answer.outcome for answer in answers.values()} == {Outcome.APPROVED}


def test_twins_are_granted_with_numbers_of_their_own(form: Form):
    form = twins(form)
    life_event = load_life_event(BIRTH, allow_fictitious=True)
    with ExitStack() as stack:
        city = {
            program.definition.code: stack.enter_context(TestDepartment(program, records=records_of(form)))
            for program in PROGRAMS
        }
        answers = run_through(life_event, form, city)
    assert {answer.outcome for answer in answers.values()} == {Outcome.APPROVED}
    for matter, output in (("B2", "birth_cert_no"), ("B4", "citizen_id_no"), ("B5", "med_insurance_no")):
        first, second = (answers[task_key(matter, child)].personal.outputs[output] for child in (1, 2))
        assert first != second


def test_what_is_done_already_is_proven(city: City, form: Form):
    life_event = load_life_event(BIRTH, allow_fictitious=True)
    answers = run_through(life_event, form, city)
    for matter, given, output in (
        ("B2", "birth_cert_no_given", "birth_cert_no"),
        ("B4", "citizen_id_no_given", "citizen_id_no"),
    ):
        number = answers[task_key(matter, 1)].personal.outputs[output]
        fields = disclose(life_event, matter, child=1, form=form, outputs={}).fields
        bureau = city[life_event.matters[matter].department]
        proof = decide(bureau, sample_task(matter, {**fields, given: number}, child=1, mode=TaskMode.PROVE))
        assert proof.outcome is Outcome.PROVEN
        assert check_answer(life_event, matter, proof) is None


def test_what_is_returned_for_correction_may_be_corrected(city: City, form: Form):
    life_event = load_life_event(BIRTH, allow_fictitious=True)
    form = {**form, "marriage": {**form["marriage"], "cert_no": "J990101-2018-999999"}}
    fields = disclose(life_event, "C1", child=None, form=form, outputs={}).fields
    returned = decide(city["civil-affairs"], sample_task("C1", fields))
    assert returned.outcome is Outcome.RETURNED
    assert check_answer(life_event, "C1", returned) is None


def test_every_matter_has_a_handler_in_its_own_department():
    for key in ("ID", "BIRTH_CERT"):
        life_event = load_life_event(BIRTH, settings_overrides={"med_insurance_key": key}, allow_fictitious=True)
        for code, matter in life_event.matters.items():
            (program,) = (p for p in PROGRAMS if p.definition.code == matter.department)
            handler = program.definition.find(code, TaskMode.DECIDE)
            assert handler is not None, f"{matter.department} does not handle {code}"
            received = {field.name for field in matter.fields}
            asked = set(handler.fields.model_fields)
            assert asked <= received | {"citizen_id_no", "birth_cert_no"}, f"{code} expects fields it does not receive"
            if matter.already_done:
                assert program.definition.find(code, TaskMode.PROVE) is not None, f"{code} cannot be proven"
