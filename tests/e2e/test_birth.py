"""The standard birth: one form, ten tasks, seven departments, seven documents; nobody learns more than they need."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from approval.application import Decision, TaskState
from approval.engine import EntryKind
from approval.life_events_registry import FOLDER
from approval.schemas import ApplicationOut, EntryOut
from yijian_contracts.departments import departments
from yijian_contracts.events import ApplicationOutcome, TaskRequested
from yijian_examples.forms import form_of

from tests.e2e.city import City, states, task

pytestmark = pytest.mark.e2e

# As domain.md and the law have it, not as the program does.
DOCUMENTS = {
    "B1": ["birth-registration"],
    "B2-1": ["birth-certificate"],
    "B3-1": ["vaccination-record"],
    "B4-1": ["household-page"],
    "B5-1": ["medical-insurance-credential"],
    "B6-1": ["social-security-card"],
    "B7-1": ["contribution-receipt"],
}
TASKS = {"C1", "B1", "B2-1", "B3-1", "B4-1", "B5-1", "B6-1", "B7-1", "B8", "B9-1"}
WAITS_FOR = {
    "B1": ["C1"],
    "B2-1": ["C1"],
    "B3-1": ["B2-1"],
    "B4-1": ["B2-1", "C1"],
    "B5-1": ["B4-1"],
    "B6-1": ["B4-1", "B2-1"],
    "B7-1": ["B5-1"],
    "B8": ["B2-1"],
    "B9-1": ["B2-1"],
}


async def test_a_mother_applies_once_and_seven_departments_grant_everything(city: City):
    one = city.families.take()
    form = form_of(one)
    mother = city.resident(one.account)

    application = await mother.apply(form)
    done = await mother.wait_until_over(application)

    assert done.outcome is ApplicationOutcome.ALL_GRANTED
    assert states(done) == dict.fromkeys(TASKS, TaskState.CLOSED)
    assert {(t.decision, t.automatic) for t in done.tasks} == {(Decision.APPROVED, True)}
    assert {t.key: [d.kind for d in t.documents] for t in done.tasks if t.documents} == DOCUMENTS
    assert len({t.department for t in done.tasks}) == 7
    assert done.completed_at is not None
    assert done.completed_at <= done.due_at
    _numbers_are_masked(done)
    _everything_came_in_its_order(await mother.timeline(application))
    _everyone_received_what_their_matter_declares(done, form, _told(city, done))


def _numbers_are_masked(done: ApplicationOut) -> None:
    numbers = [document.number for t in done.tasks for document in t.documents]
    assert len(numbers) == 7
    for number in numbers:
        assert re.fullmatch(r"[^*]{1,3}\*{4,}[^*]{1,3}", number), number


def _everything_came_in_its_order(timeline: list[EntryOut]) -> None:
    assert [entry.version for entry in timeline] == list(range(1, len(timeline) + 1))
    assert [entry.at for entry in timeline] == sorted(entry.at for entry in timeline)
    assert (timeline[0].kind, timeline[0].actor) == (EntryKind.SUBMITTED, "applicant")
    assert (timeline[-1].kind, timeline[-1].note) == (EntryKind.COMPLETED, "ALL_GRANTED")
    requested = {e.task: e.version for e in timeline if e.kind is EntryKind.TASK_REQUESTED}
    decided = {e.task: e.version for e in timeline if e.kind is EntryKind.TASK_DECIDED}
    assert set(requested) == set(decided) == TASKS
    for key, needed in WAITS_FOR.items():
        assert requested[key] < decided[key]
        assert requested[key] > max(decided[other] for other in needed), f"{key} did not wait for {needed}"


def _told(city: City, done: ApplicationOut) -> dict[str, TaskRequested]:
    """Every task of the application, read from the seven topics with the seven departments' credentials."""
    found = [event for department in departments() for event in city.tasks_of(department, done.id)]
    keys = {(t.matter, t.child): t.key for t in done.tasks}
    assert len(found) == len(keys)
    return {keys[event.matter, event.child]: event for event in found}


def _everyone_received_what_their_matter_declares(
    done: ApplicationOut, form: Mapping[str, Any], told: Mapping[str, TaskRequested]
) -> None:
    declared = {m["code"]: _declared(m) for m in yaml.safe_load((FOLDER / "birth.yaml").read_text())["matters"]}
    certificate = told["B3-1"].personal.fields["birth_cert_no"]
    citizen = told["B5-1"].personal.fields["citizen_id_no"]
    outputs = {
        "C1.marriage_verified": True,
        "B2.birth_cert_no": certificate,
        "B4.citizen_id_no": citizen,
        "B5.med_insurance_no": told["B7-1"].personal.fields["med_insurance_no"],
    }
    for key, event in told.items():
        expected = {name: _value(source, form, outputs) for name, source in declared[event.matter].items()}
        if key == "B8":  # of the whole application, so it reads every child's certificate
            expected["birth_cert_nos"] = [certificate]
        expected = {name: value for name, value in expected.items() if value is not None}
        assert event.personal.fields == expected, key
        assert event.department == task(done, key).department
        # What the mother is told that they received is what they received.
        assert {received.name for received in task(done, key).received} == set(expected), key


def _declared(matter: Mapping[str, Any]) -> dict[str, str]:
    """Field names with their sources, where children are insured by citizen number."""
    groups = [group for group in matter["receives"] if group.get("if", {}).get("med_insurance_key", "ID") == "ID"]
    return {name: source for group in groups for name, source in group["fields"].items()}


def _value(source: str, form: Mapping[str, Any], outputs: Mapping[str, Any]) -> Any:
    if not source.startswith("/"):
        return outputs[source]
    part: Any = form
    for step in source.strip("/").split("/"):
        part = part[0] if step == "*" else part.get(step) if isinstance(part, dict) else None
    return part


async def test_progress_is_live_and_goes_on_where_it_was_left(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    seen: list[int] = []

    with city.script("public-security", {"matter": "B4", "program": "NEEDS_PERSON", "reason": "核对户口簿"}):
        application = await mother.apply(form_of(one))
        async for version, entry in mother.progress(application):
            assert version == entry.version
            seen.append(version)
            if entry.task == "B4-1" and entry.kind is EntryKind.TASK_RECEIVED:
                break  # the telephone is put away
    await city.official("public-security").approve(application, "B4")
    reconnected = [version async for version, _ in mother.progress(application, after=seen[-1])]

    timeline = await mother.timeline(application)
    assert seen + reconnected == [entry.version for entry in timeline]
    assert timeline[-1].kind is EntryKind.COMPLETED
    assert len(reconnected) >= 6  # household registration, insurance, card and contribution came after


async def test_a_finished_application_tells_its_whole_story_to_a_newcomer(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    application = await mother.apply(form_of(one))
    await mother.wait_until_over(application)
    whole = [version async for version, _ in mother.progress(application)]

    assert whole == [entry.version for entry in await mother.timeline(application)]
    assert [version async for version, _ in mother.progress(application, after=whole[-1])] == []
