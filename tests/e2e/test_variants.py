"""Families unlike the first one: twins, unmarried, two districts, a certificate issued before, a birth at home."""

import pytest
from approval.application import Decision, TaskState
from approval.engine import EntryKind
from yijian_contracts.events import ApplicationOutcome, TaskMode
from yijian_examples.family import Kind
from yijian_examples.forms import form_of

from tests.e2e.city import City, states, task

pytestmark = pytest.mark.e2e

S = TaskState


async def test_twins_when_one_certificate_is_refused_the_other_child_goes_on(city: City):
    one = city.families.take(Kind.TWINS)
    mother = city.resident(one.account)

    with city.script("health", {"matter": "B2", "child": 2, "program": "REJECT", "reason": "第二个孩子的分娩记录有误"}):
        application = await mother.apply(form_of(one))
        done = await mother.wait_until_over(application)

    assert done.outcome is ApplicationOutcome.PARTLY
    first = dict.fromkeys(("B2-1", "B3-1", "B4-1", "B5-1", "B6-1", "B7-1", "B9-1"), S.CLOSED)
    second = {"B2-2": S.CLOSED} | dict.fromkeys(("B3-2", "B4-2", "B5-2", "B6-2", "B7-2", "B9-2"), S.BLOCKED)
    whole = dict.fromkeys(("C1", "B1", "B8"), S.CLOSED)
    assert states(done) == first | second | whole
    refused = task(done, "B2-2")
    assert (refused.decision, refused.reason, refused.documents) == (Decision.DENIED, "第二个孩子的分娩记录有误", [])
    assert {t.decision for t in done.tasks if t.state is S.CLOSED and t.key != "B2-2"} == {Decision.APPROVED}
    # The refund is for the delivery, so it goes on with the certificate that there is.
    (refund,) = [event for event in city.tasks_of("medical-insurance", application) if event.matter == "B8"]
    assert len(refund.personal.fields["birth_cert_nos"]) == 1
    # No department was asked anything about the second child afterwards.
    assert {event.child for event in city.tasks_of("public-security", application)} == {1}


async def test_twins_who_both_get_everything_have_two_numbers(city: City):
    one = city.families.take(Kind.TWINS)
    mother = city.resident(one.account)

    application = await mother.apply(form_of(one))
    done = await mother.wait_until_over(application)

    assert done.outcome is ApplicationOutcome.ALL_GRANTED
    assert len(done.tasks) == 3 + 2 * 7
    cards = city.tasks_of("human-resources", application)
    assert len({card.personal.fields["citizen_id_no"] for card in cards}) == 2
    (refund,) = [event for event in city.tasks_of("medical-insurance", application) if event.matter == "B8"]
    assert refund.personal.fields["birth_cert_nos"] == [
        event.personal.fields["birth_cert_no"]
        for event in sorted(city.tasks_of("disease-control", application), key=lambda event: event.child or 0)
    ]


async def test_an_unmarried_mothers_child_follows_her_after_an_official_looked(city: City):
    one = city.families.take(Kind.UNMARRIED)
    mother = city.resident(one.account)
    application = await mother.apply(form_of(one))

    waiting = await mother.wait_for_state(application, B4_1=S.IN_REVIEW)
    assert states(waiting)["C1"] is S.NOT_NEEDED
    assert task(waiting, "B4-1").needs_person == ["未婚生育随母亲落户，简要核对《非婚生育说明》"]
    assert task(waiting, "B4-1").reason == "未婚生育随母亲落户，简要核对《非婚生育说明》"

    official = city.official("public-security")
    found = await official.find(application, "B4")
    assert found["needs_person"] == ["未婚生育随母亲落户，简要核对《非婚生育说明》"]
    seen = (await official.request("GET", f"/tasks/{found['task_id']}")).json()
    assert one.mother.id_no not in str(seen)  # masked, until the official asks
    shown = (await official.request("GET", f"/tasks/{found['task_id']}", params={"reveal": True})).json()
    assert shown["fields"]["mother_id_no"] == one.mother.id_no
    decision = (await official.decide(found["task_id"])).raise_for_status().json()
    assert (decision["outcome"], decision["decided_by"]) == ("APPROVED", "P-OFFICER-990100000000")

    done = await mother.wait_until_over(application)
    assert done.outcome is ApplicationOutcome.ALL_GRANTED
    assert [t.key for t in done.tasks if t.decision and not t.automatic] == ["B4-1"]
    (registration,) = city.tasks_of("public-security", application)
    assert registration.personal.fields["target_household_no"] == one.households[0].number


async def test_an_official_of_another_department_or_district_decides_nothing(city: City):
    one = city.families.take(Kind.UNMARRIED)
    mother = city.resident(one.account)
    application = await mother.apply(form_of(one))
    waiting = await mother.wait_for_state(application, B4_1=S.IN_REVIEW)
    found = await city.official("public-security").find(application, "B4")

    health = await city.token("health-0001", "department.public-security")
    citizen = await city.token(one.account, "department.public-security")
    for headers in ({}, {"Authorization": f"Bearer {health}"}, {"Authorization": f"Bearer {citizen}"}):
        url = f"{city.platform.url('public-security')}/desk/tasks/{found['task_id']}/decision"
        refused = await city.http.post(url, json={"act": "APPROVE"}, headers=headers)
        assert refused.status_code in (401, 403)
    assert not one.households[0].area.startswith("990101")
    elsewhere = await city.official("public-security", 2).decide(found["task_id"])
    assert elsewhere.status_code == 403
    assert task(await mother.application(application), "B4-1") == task(waiting, "B4-1")

    refused = await city.official("public-security", 3).decide(found["task_id"], "REJECT", "非婚生育说明没有签名")
    assert refused.status_code == 200
    done = await mother.wait_until_over(application)
    assert (done.outcome, task(done, "B4-1").reason) == (ApplicationOutcome.PARTLY, "非婚生育说明没有签名")
    assert {key for key, state in states(done).items() if state is S.BLOCKED} == {"B5-1", "B6-1", "B7-1"}


async def test_parents_of_two_districts_register_the_child_in_the_fathers(city: City):
    one = city.families.take(Kind.DIFFERENT_DISTRICTS)
    mother = city.resident(one.account)
    mothers, fathers = one.households

    application = await mother.apply(form_of(one))
    done = await mother.wait_until_over(application)

    assert done.outcome is ApplicationOutcome.ALL_GRANTED
    assert mothers.area[:6] != fathers.area[:6]
    (registration,) = city.tasks_of("public-security", application)
    (card,) = city.tasks_of("human-resources", application)
    assert registration.personal.fields["target_code12"] == fathers.area
    # A citizen number begins with the county in which its holder was first registered.
    assert str(card.personal.fields["citizen_id_no"]).startswith(fathers.area[:6])


async def test_a_certificate_that_was_issued_before_is_proven_and_not_issued_again(city: City):
    one = city.families.take(Kind.CERTIFICATE_ISSUED)
    mother = city.resident(one.account)

    application = await mother.apply(form_of(one))
    done = await mother.wait_until_over(application)

    assert done.outcome is ApplicationOutcome.ALL_GRANTED
    certificate = task(done, "B2-1")
    assert (certificate.state, certificate.mode, certificate.documents) == (S.SKIPPED_WITH_PROOF, TaskMode.PROVE, [])
    (record,) = city.tasks_of("disease-control", application)
    assert record.personal.fields["birth_cert_no"] == one.delivery.newborns[0].certificate_no


async def test_a_certificate_of_somebody_else_proves_nothing(city: City):
    one, other = city.families.take(Kind.CERTIFICATE_ISSUED), city.families.take(Kind.CERTIFICATE_ISSUED)
    mother = city.resident(one.account)
    form = form_of(one)
    form["newborns"][0]["birth_cert_no"] = other.delivery.newborns[0].certificate_no

    done = await mother.wait_until_over(await mother.apply(form))

    certificate = task(done, "B2-1")
    assert (certificate.state, certificate.decision) == (S.CLOSED, Decision.DENIED)
    assert certificate.reason.startswith("没有查到该编号的《出生医学证明》")
    assert states(done)["B4-1"] is S.BLOCKED


async def test_a_birth_at_home_is_decided_by_officials_and_the_mother_reads_why(city: City):
    one = city.families.take(Kind.HOME_BIRTH)
    mother = city.resident(one.account)
    application = await mother.apply(form_of(one))

    waiting = await mother.wait_for_state(application, B1=S.CLOSED, B2_1=S.IN_REVIEW)
    assert task(waiting, "B2-1").reason == "在家中出生，需核对接生证明或者亲子鉴定"
    assert states(waiting)["B4-1"] is S.DRAFT
    await city.official("health").approve(application, "B2")

    waiting = await mother.wait_for_state(application, B8=S.IN_REVIEW, B7_1=S.CLOSED, B9_1=S.CLOSED)
    assert task(waiting, "B8").reason == "不在医院分娩，需人工核对费用票据"
    await city.official("medical-insurance").approve(application, "B8")

    done = await mother.wait_until_over(application)
    assert done.outcome is ApplicationOutcome.ALL_GRANTED
    assert sorted(t.key for t in done.tasks if not t.automatic) == ["B2-1", "B8"]
    received = [e for e in await mother.timeline(application) if e.kind is EntryKind.TASK_RECEIVED and e.task == "B2-1"]
    assert [(e.actor, e.note) for e in received] == [("health", "在家中出生，需核对接生证明或者亲子鉴定")]


async def test_a_contribution_waits_until_it_is_paid(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    assert not one.insurance.exempt

    with city.script("taxation", {"matter": "B7"}):  # nobody pays
        application = await mother.apply(form_of(one))
        waiting = await mother.wait_for_state(application, B6_1=S.CLOSED, B7_1=S.SUSPENDED, B8=S.CLOSED)
        assert task(waiting, "B7-1").reason == "已申报，等待缴费"
    done = await mother.wait_until_over(application)

    assert done.outcome is ApplicationOutcome.ALL_GRANTED
    history = [state for e in await mother.timeline(application) if e.task == "B7-1" for state in e.states]
    assert history == [
        S.SUBMITTED,
        S.ACCEPTED,
        S.SUSPENDED,
        S.IN_REVIEW,
        S.DECIDED_APPROVED,
        S.DELIVERED,
        S.CLOSED,
    ]
