"""What an applicant changes on the way: a field that a department returned, and the whole application."""

from datetime import UTC, datetime

import pytest
from approval.application import Decision, TaskState
from approval.engine import EntryKind
from yijian_contracts.events import ApplicationOutcome, Outcome, TaskAnswered, TaskCancelled, TaskRequested
from yijian_examples.forms import form_of
from yijian_messaging.testing import wait_until

from tests.e2e.city import City, standard_form, states, task

pytestmark = pytest.mark.e2e

S = TaskState
MISTAKEN = "J990199-2001-000000"


async def test_a_returned_marriage_number_is_corrected_and_everything_goes_on(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    right = form_of(one)["marriage"]["cert_no"]
    application = await mother.apply(standard_form(one, marriage={"cert_no": MISTAKEN}))

    returned = await mother.wait_for_state(application, C1=S.RETURNED_FOR_CORRECTION)
    (correction,) = task(returned, "C1").corrections
    assert (correction.pointer, correction.message) == (
        "/marriage/cert_no",
        "结婚证字号与婚姻登记不一致，请按结婚证填写",
    )
    assert {states(returned)[key] for key in ("B1", "B2-1", "B4-1")} == {S.DRAFT}

    for fields in (
        {"/marriage/reg_date": "2020-01-01"},
        {"/marriage/cert_no": right, "/marriage/reg_date": "2020-01-01"},
        {"/mother/id_no": one.mother.id_no},
    ):
        refused = await mother.correct(application, "C1", fields)
        assert (refused.status_code, refused.json()["type"]) == (422, "/problems/other-fields")
    not_a_number = await mother.correct(application, "C1", {"/marriage/cert_no": "结婚证"})
    assert (not_a_number.status_code, not_a_number.json()["type"]) == (422, "/problems/form-refused")
    wrong_task = await mother.correct(application, "B1", {"/marriage/cert_no": right})
    assert wrong_task.status_code == 409
    assert await mother.application(application) == returned

    accepted = await mother.correct(application, "C1", {"/marriage/cert_no": right})
    assert accepted.status_code == 200, accepted.text
    done = await mother.wait_until_over(application)

    assert done.outcome is ApplicationOutcome.ALL_GRANTED
    first, second = city.tasks_of("civil-affairs", application)
    assert (first.attempt, first.personal.fields["marriage_cert_no"]) == (1, MISTAKEN)
    assert (second.attempt, second.personal.fields["marriage_cert_no"]) == (2, right)
    assert first.task_id != second.task_id
    kinds = [e.kind for e in await mother.timeline(application) if e.task == "C1"]
    assert kinds == [
        EntryKind.TASK_REQUESTED,
        EntryKind.TASK_RETURNED,
        EntryKind.TASK_CORRECTED,
        EntryKind.TASK_REQUESTED,
        EntryKind.TASK_DECIDED,
    ]


async def test_a_second_mistake_is_returned_again(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    application = await mother.apply(standard_form(one, marriage={"cert_no": MISTAKEN}))
    await mother.wait_for_state(application, C1=S.RETURNED_FOR_CORRECTION)

    await mother.correct(application, "C1", {"/marriage/cert_no": "J990199-2001-000001"})
    again = await mother.wait_for(
        application,
        lambda a: states(a)["C1"] is S.RETURNED_FOR_CORRECTION and len(city.tasks_of("civil-affairs", a.id)) > 1,
        what="the second return",
    )

    assert [c.pointer for c in task(again, "C1").corrections] == ["/marriage/cert_no"]
    right = form_of(one)["marriage"]["cert_no"]
    await mother.correct(application, "C1", {"/marriage/cert_no": right})
    assert (await mother.wait_until_over(application)).outcome is ApplicationOutcome.ALL_GRANTED


async def test_a_withdrawn_application_is_cancelled_where_it_is_open_and_stands_where_it_was_decided(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    scripted = {"program": "NEEDS_PERSON", "person": "APPROVE", "person_after_seconds": 60, "reason": "核对分娩记录"}
    with city.script("health", {"matter": "B2", **scripted}):
        application = await mother.apply(form_of(one))
        await mother.wait_for_state(application, B1=S.CLOSED, B2_1=S.IN_REVIEW)
        waiting = await city.official("health").find(application, "B2")

        withdrawn = await mother.withdraw(application)
        assert (withdrawn.status_code, withdrawn.json()["status"]) == (200, "WITHDRAWN")

        async def is_closed_at_the_desk() -> bool:
            return (await city.official("health").request("GET", f"/tasks/{waiting['task_id']}")).status_code == 409

        await wait_until(is_closed_at_the_desk, what="the desk of health to close the task")
        assert (await city.official("health").decide(waiting["task_id"])).status_code == 409

    after = await mother.application(application)
    assert (task(after, "C1").decision, task(after, "B1").decision) == (Decision.APPROVED, Decision.APPROVED)
    assert {key for key, state in states(after).items() if state is S.CLOSED} == {"C1", "B1"}
    assert {state for key, state in states(after).items() if key not in ("C1", "B1")} == {S.WITHDRAWN}
    told = [event.data for event in city.said_to("health", application)]
    assert [type(event) for event in told] == [TaskRequested, TaskRequested, TaskCancelled]
    assert str(told[2].task_id) == waiting["task_id"]
    assert city.said_to("public-security", application) == []

    again = await mother.withdraw(application)
    assert (again.status_code, again.json()) == (200, withdrawn.json())


async def test_an_answer_that_comes_after_the_withdrawal_is_written_down_and_changes_nothing(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    with city.script("health", {"matter": "B2", "program": "NEEDS_PERSON", "reason": "核对分娩记录"}):
        application = await mother.apply(form_of(one))
        await mother.wait_for_state(application, B1=S.CLOSED, B2_1=S.IN_REVIEW)
        certificate = next(t for t in city.tasks_of("health", application) if t.matter == "B2")
        await mother.withdraw(application)
    before = await mother.application(application)

    # A bureau's own program may have decided before it heard of the withdrawal.
    late = {
        "application_id": application,
        "department": "health",
        "task_id": certificate.task_id,
        "matter": "B2",
        "outcome": Outcome.REJECTED,
        "reason": "没有查到分娩记录",
        "decided_at": datetime.now(UTC),
    }
    city.speak_for("health", TaskAnswered.model_validate(late))

    async def is_written_down() -> bool:
        return (await mother.timeline(application))[-1].kind is EntryKind.ANSWER_IGNORED

    await wait_until(is_written_down, what="the late answer in the timeline")
    after = await mother.application(application)
    assert after.tasks == before.tasks
    assert (after.status, after.outcome) == (before.status, before.outcome)
    last = (await mother.timeline(application))[-1]
    assert (last.task, last.actor, last.note) == ("B2-1", "health", "事项已经不在办理中")


async def test_what_was_withdrawn_may_be_applied_for_again_and_both_are_listed_newest_first(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    with city.script("civil-affairs", {"matter": "C1", "program": "NEEDS_PERSON", "reason": "核对婚姻登记"}):
        first = await mother.apply(form_of(one))
        await mother.wait_for_state(first, C1=S.IN_REVIEW)
        await mother.withdraw(first)
    second = await mother.apply(form_of(one))
    done = await mother.wait_until_over(second)
    assert done.outcome is ApplicationOutcome.ALL_GRANTED

    whole = (await mother.request("GET", "/applications")).json()
    assert ([item["id"] for item in whole["items"]], whole["next"]) == ([str(second), str(first)], None)
    newest = (await mother.request("GET", "/applications", params={"limit": 1})).json()
    assert [item["id"] for item in newest["items"]] == [str(second)]
    oldest = (await mother.request("GET", "/applications", params={"limit": 1, "cursor": newest["next"]})).json()
    assert ([(i["id"], i["status"]) for i in oldest["items"]], oldest["next"]) == ([(str(first), "WITHDRAWN")], None)
    # The father is a party to both, so he sees them as well; nobody else does.
    fathers = (await city.resident(one.father_account).request("GET", "/applications")).json()
    assert [item["id"] for item in fathers["items"]] == [str(second), str(first)]


async def test_what_is_over_can_be_neither_withdrawn_nor_corrected(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    application = await mother.apply(form_of(one))
    done = await mother.wait_until_over(application)

    withdrawal = await mother.withdraw(application)
    correction = await mother.correct(application, "C1", {"/marriage/cert_no": form_of(one)["marriage"]["cert_no"]})

    assert (withdrawal.status_code, correction.status_code) == (409, 409)
    assert await mother.application(application) == done
