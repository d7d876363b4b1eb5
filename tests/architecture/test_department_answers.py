"""The departments' programs and the life event mean the same: what one asks is what the other answers.

Each story goes through all seven programs in the order of its needs, with the fields that the life event discloses and
each answer checked as approval checks it. No Kafka, but the departments' real stores and the families' real records.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
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
from yijian_contracts.events import Outcome, ReceivedStatus, TaskAnswered, TaskMode, TaskReceived
from yijian_department import Department
from yijian_department.testing import TestDepartment, sample_task
from yijian_examples.family import Kind
from yijian_examples.forms import form_of
from yijian_examples.population import STORIES, family
from yijian_examples.records import records_of

BIRTH = Path(__file__).parents[2] / "services/approval/approval/life_events/birth.yaml"
TODAY = date(2026, 11, 21)

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

Form = dict[str, Any]


@dataclass
class City:
    """One family's application, and the seven departments that know the family."""

    life_event: LifeEvent
    form: Form
    departments: dict[str, TestDepartment[Any]]
    outputs: dict[str, dict[str, JsonValue]] = field(default_factory=dict)
    by_person: set[str] = field(default_factory=set)

    def run_through(self) -> dict[str, TaskAnswered]:
        """Have every planned task decided, in the order of needs; the answers by task key."""
        answers: dict[str, TaskAnswered] = {}
        waiting = {task.key: task for task in plan(self.life_event, self.form)}
        while waiting:
            for task in [t for t in waiting.values() if waiting.keys().isdisjoint(upstream(t))]:
                if task.not_needed is None:
                    answers[task.key] = self.decide(task)
                    self.outputs[task.key] = answers[task.key].personal.outputs
                del waiting[task.key]
        return answers

    def decide(self, task: PlannedTask, *, attempt: int = 1) -> TaskAnswered:
        """Ask the department; what it leaves to a person, a person approves."""
        bureau = self.departments[task.department]
        disclosed = disclose(self.life_event, task.matter, child=task.child, form=self.form, outputs=self.outputs)
        request = sample_task(
            task.matter,
            disclosed.fields,
            application_id=APPLICATION,
            child=task.child,
            attempt=attempt,
            mode=task.mode,
            needs_person=task.needs_person,
        )
        said = bureau.give_all([request])
        if any(isinstance(event, TaskReceived) and event.status is ReceivedStatus.IN_REVIEW for event in said):
            self.by_person.add(task.key)
            decision = f"/desk/tasks/{request.task_id}/decision"
            bureau.desk("POST", decision, matters=[task.matter], body={"act": "APPROVE"}).raise_for_status()
        (answer,) = [event for event in said + bureau.pass_time() if isinstance(event, TaskAnswered)]
        assert check_answer(self.life_event, task.matter, answer) is None
        return answer


def upstream(task: PlannedTask) -> set[str]:
    return {key for need in task.needs for key in need.tasks}


@contextmanager
def city_of(kind: Kind, **settings: str) -> Iterator[City]:
    """The departments at work, with the records of the family that this story is about."""
    number = next((n for n, story in STORIES.items() if story is kind), 1)
    told = family(number, kind=kind, today=TODAY)
    records = records_of(told)
    with ExitStack() as stack:
        departments = {
            program.definition.code: stack.enter_context(
                TestDepartment(program, records=records.get(program.definition.code, []))
            )
            for program in PROGRAMS
        }
        yield City(load_birth(**settings), form_of(told), departments)


def load_birth(**settings: str) -> LifeEvent:
    return load_life_event(BIRTH, settings_overrides=settings, allow_fictitious=True)


@pytest.mark.parametrize("key", ["ID", "BIRTH_CERT"])
def test_the_standard_birth_is_granted_by_all_seven_without_a_person(key: str):
    with city_of(Kind.STANDARD, med_insurance_key=key) as city:
        answers = city.run_through()

    assert {answer.matter for answer in answers.values()} == set(city.life_event.matters)
    assert {answer.outcome for answer in answers.values()} == {Outcome.APPROVED}
    assert city.by_person == set()


@pytest.mark.parametrize(
    ("kind", "by_person"),
    [
        (Kind.UNMARRIED, {"B4-1"}),
        (Kind.DIFFERENT_DISTRICTS, set()),
        (Kind.HOME_BIRTH, {"B2-1", "B8"}),
        (Kind.TWINS, set()),
    ],
)
def test_every_story_is_granted_and_only_its_doubts_come_to_a_person(kind: Kind, by_person: set[str]):
    with city_of(kind) as city:
        answers = city.run_through()
    assert {answer.outcome for answer in answers.values()} == {Outcome.APPROVED}
    assert city.by_person == by_person


def test_twins_get_numbers_of_their_own():
    with city_of(Kind.TWINS) as city:
        answers = city.run_through()
    for matter, output in (("B2", "birth_cert_no"), ("B4", "citizen_id_no"), ("B5", "med_insurance_no")):
        first, second = (answers[task_key(matter, child)].personal.outputs[output] for child in (1, 2))
        assert first != second


def test_a_certificate_issued_before_is_proven():
    with city_of(Kind.CERTIFICATE_ISSUED) as city:
        answers = city.run_through()
    proven = answers.pop(task_key("B2", 1))
    assert proven.outcome is Outcome.PROVEN
    assert proven.personal.outputs == {"birth_cert_no": city.form["newborns"][0]["birth_cert_no"]}
    assert {answer.outcome for answer in answers.values()} == {Outcome.APPROVED}


def test_a_registration_done_before_is_proven():
    with city_of(Kind.STANDARD) as city:
        registered = city.run_through()[task_key("B4", 1)].personal.outputs
        task = next(task for task in plan(city.life_event, city.form) if task.matter == "B4")
        city.form["newborns"][0]["citizen_id_no"] = registered["citizen_id_no"]
        proof = city.decide(replace(task, mode=TaskMode.PROVE), attempt=2)
    assert proof.outcome is Outcome.PROVEN
    assert proof.personal.outputs == registered


def test_a_wrong_marriage_certificate_is_returned_for_a_correction_that_may_be_made():
    with city_of(Kind.STANDARD) as city:
        city.form["marriage"]["cert_no"] = "J990101-2018-999999"
        task = next(task for task in plan(city.life_event, city.form) if task.matter == "C1")
        answer = city.decide(task)
    assert answer.outcome is Outcome.RETURNED
    assert [correction.pointer for correction in answer.corrections] == ["/marriage/cert_no"]


def test_every_matter_has_a_handler_in_its_own_department():
    for key in ("ID", "BIRTH_CERT"):
        for code, matter in load_birth(med_insurance_key=key).matters.items():
            (program,) = (p for p in PROGRAMS if p.definition.code == matter.department)
            handler = program.definition.find(code, TaskMode.DECIDE)
            assert handler is not None, f"{matter.department} does not handle {code}"
            required = {name for name, info in handler.fields.model_fields.items() if info.is_required()}
            received = {field.name for field in matter.fields}
            assert required <= received, f"{code} expects fields that it does not receive"
            if matter.already_done:
                assert program.definition.find(code, TaskMode.PROVE) is not None, f"{code} cannot be proven"
