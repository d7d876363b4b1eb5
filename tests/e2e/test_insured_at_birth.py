"""A city that insures children at birth, by their certificates: a setting that running applications keep."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from approval.application import Decision, TaskState
from approval.schemas import ApplicationOut
from yijian_contracts.derived_ids import task_id
from yijian_contracts.events import ApplicationOutcome
from yijian_examples.forms import form_of

from tests.e2e.city import City, states, task

pytestmark = pytest.mark.e2e

S = TaskState
AT_BIRTH = {"YIJIAN_LIFE_EVENT_SETTINGS": json.dumps({"birth": {"med_insurance_key": "BIRTH_CERT"}})}
PERSON = {"matter": "B4", "program": "NEEDS_PERSON", "reason": "核对户口簿"}


@contextmanager
def insuring_at_birth(city: City) -> Iterator[None]:
    city.restart("approval", settings=AT_BIRTH)
    try:
        yield
    finally:
        city.restart("approval")


async def test_an_application_keeps_its_setting_and_insures_before_the_number_is_there(city: City):
    one, other, third = (city.families.take() for _ in range(3))
    mother = city.resident(one.account)
    with city.script("public-security", PERSON):
        with insuring_at_birth(city):
            application = await mother.apply(form_of(one))
            insured = await mother.wait_for_state(application, B4_1=S.IN_REVIEW, B5_1=S.CLOSED, B7_1=S.CLOSED)
            assert states(insured)["B5-rekey-1"] is S.DRAFT
            assert [d.kind for d in task(insured, "B5-1").documents] == ["medical-insurance-credential"]
            refused = await _with_a_refused_rekey(city, other.account, form_of(other))

        # From here on approval runs with the other setting again.
        await city.official("public-security").approve(application, "B4")
        done = await mother.wait_until_over(application)

    assert done.outcome is ApplicationOutcome.ALL_GRANTED
    enrolment, rekey = (
        next(
            event.personal.fields for event in city.tasks_of("medical-insurance", application) if event.matter == matter
        )
        for matter in ("B5", "B5-rekey")
    )
    (card,) = city.tasks_of("human-resources", application)
    assert "citizen_id_no" not in enrolment
    assert rekey["citizen_id_no"] == card.personal.fields["citizen_id_no"]
    assert rekey["birth_cert_no"] == enrolment["birth_cert_no"]
    _the_insurance_stands(city, refused)

    new = city.resident(third.account)
    ordinary = await new.wait_until_over(await new.apply(form_of(third)))
    assert "B5-rekey-1" not in states(ordinary)


async def _with_a_refused_rekey(city: City, account: str, form: dict[str, object]) -> ApplicationOut:
    mother = city.resident(account)
    refusal = {"matter": "B5-rekey", "program": "REJECT", "reason": "该公民身份号码已有参保登记，需先合并"}
    with city.script("medical-insurance", refusal):
        application = await mother.apply(form)
        await mother.wait_for_state(application, B4_1=S.IN_REVIEW, B5_1=S.CLOSED)
        await city.official("public-security").approve(application, "B4")
        return await mother.wait_until_over(application)


def _the_insurance_stands(city: City, done: ApplicationOut) -> None:
    """A failed re-key is for a person to mend; what was granted is not undone."""
    rekey = task(done, "B5-rekey-1")
    assert (rekey.decision, rekey.state) == (Decision.DENIED, S.CLOSED)
    assert done.outcome is ApplicationOutcome.PARTLY
    assert {t.key for t in done.tasks if t.decision is not Decision.APPROVED} == {"B5-rekey-1"}
    assert [d.kind for d in task(done, "B5-1").documents] == ["medical-insurance-credential"]
    (summary,) = city.incidents("rekey-failed", task_id(done.id, child=1, matter="B5-rekey", attempt=1))
    assert "what it re-keys stands" in summary
