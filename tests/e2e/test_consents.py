"""Both parents agree, each for themselves: the father from his account or by a code, or he refuses, or says nothing.

And what was agreed to is taken back as easily, at data-exchange, while departments are at work or after everything.
"""

import re
from typing import Any
from uuid import UUID

import httpx
import pytest
from approval.application import ConsentState, TaskState
from approval.engine import EntryKind
from yijian_contracts.events import ApplicationOutcome, ConsentMeans, TaskCancelled
from yijian_examples.family import Family
from yijian_examples.forms import form_of
from yijian_messaging.testing import wait_until

from tests.e2e.city import City, Resident, states, task

pytestmark = pytest.mark.e2e

S, C = TaskState, ConsentState
HIS = ("card-guardian", "parenting-guidance")
WAITING = {"B6-1": S.DRAFT, "B9-1": S.DRAFT}


async def apply_alone(city: City) -> tuple[Family, Resident, Resident, UUID]:
    """A mother who applies without having asked the father beforehand."""
    one = city.families.take()
    mother = city.resident(one.account)
    application = await mother.apply(form_of(one), authorised=False)
    return one, mother, city.resident(one.father_account), application


async def call(city: City, account: str, service: str, method: str, path: str, **options: Any) -> httpx.Response:
    """A request to another service as this person."""
    headers = {"Authorization": f"Bearer {await city.token(account, service)}"}
    return await city.http.request(method, f"{city.platform.url(service)}/v1{path}", headers=headers, **options)


async def take_back(city: City, account: str, consent: UUID) -> None:
    """Withdraw a consent at data-exchange, once its register knows of it."""

    async def known() -> bool:
        answer = await call(city, account, "data-exchange", "POST", f"/consents/{consent}/withdrawal")
        assert answer.status_code in (200, 404), answer.text
        return answer.status_code == 200

    await wait_until(known, what="the register to know the consent")


async def test_the_father_agrees_from_his_own_account(city: City):
    _, mother, father, application = await apply_alone(city)

    # Everything that does not need him goes on meanwhile.
    waiting = await mother.wait_for_state(application, B7_1=S.CLOSED, B8=S.CLOSED, B3_1=S.CLOSED)
    assert WAITING.items() <= states(waiting).items()
    assert [(w.basis, w.giver_title) for w in task(waiting, "B6-1").waits_for] == [("card-guardian", "父亲")]
    assert city.tasks_of("human-resources", application) == []

    (pending,) = (await father.request("GET", "/consents/pending")).json()
    assert pending["application_id"] == str(application)
    assert {consent["basis"] for consent in pending["consents"]} == set(HIS)
    answer = await father.answer(application, give=list(HIS))
    assert answer.status_code == 200, answer.text

    done = await mother.wait_until_over(application)
    assert done.outcome is ApplicationOutcome.ALL_GRANTED
    assert (await father.request("GET", "/consents/pending")).json() == []
    kept = await mother.consents(application)
    assert {kept[basis, "FATHER"].means for basis in HIS} == {ConsentMeans.OWN_ACCOUNT}
    told = [(entry.kind, entry.actor) for entry in await mother.timeline(application)]
    assert (EntryKind.CONSENT_AWAITED, "approval") in told
    assert (EntryKind.CONSENT_GIVEN, "父亲") in told


async def test_the_father_agrees_by_a_one_time_code_within_the_mothers_session(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    asked = {"life_event": "birth", "name": one.father.name, "id_no": one.father.id_no}
    begun = await call(city, one.account, "identity", "POST", "/authorisations", json=asked)
    assert begun.status_code == 202, begun.text
    path = f"/authorisations/{begun.json()['id']}"

    async def arrived() -> bool:
        return bool(await messages(city, one.father_account))

    await wait_until(arrived, what="the text on the father's telephone")
    text = (await messages(city, one.father_account))[0]
    code = re.search(r"验证码 (\d{6})", text)
    assert code is not None, text
    wrong = await call(city, one.account, "identity", "POST", path, json={"code": f"{(int(code[1]) + 1) % 10**6:06}"})
    assert 400 <= wrong.status_code < 500
    given = await call(city, one.account, "identity", "POST", path, json={"code": code[1]})
    assert given.status_code == 200, given.text

    body = {"life_event": "birth", "form": form_of(one), "authorisations": [given.json()["authorisation"]]}
    answer = await mother.request("POST", "/applications", json=body, headers={"Idempotency-Key": "one-time-code"})
    assert answer.status_code == 202, answer.text
    application = UUID(answer.json()["id"])
    kept = await mother.consents(application)
    assert {kept[basis, "FATHER"].means for basis in HIS} == {ConsentMeans.ONE_TIME_CODE}
    assert (await mother.wait_until_over(application)).outcome is ApplicationOutcome.ALL_GRANTED


async def messages(city: City, account: str) -> list[str]:
    """What was sent to somebody's telephone, the newest first."""
    answer = await city.http.get(f"{city.platform.url('identity')}/dev/messages", params={"account": account})
    return [message["text"] for message in answer.raise_for_status().json()]


async def test_the_father_refuses_and_the_rest_is_granted(city: City):
    _, mother, father, application = await apply_alone(city)

    answer = await father.answer(application, refuse=list(HIS))
    assert answer.status_code == 200, answer.text
    done = await mother.wait_until_over(application)

    assert done.outcome is ApplicationOutcome.PARTLY
    assert {key: state for key, state in states(done).items() if state is not S.CLOSED} == {
        "B6-1": S.WITHDRAWN,
        "B9-1": S.WITHDRAWN,
    }
    assert task(done, "B6-1").reason == "父亲没有同意，这个事项不再办理"
    assert city.tasks_of("human-resources", application) == []
    assert "B9" not in {event.matter for event in city.tasks_of("health", application)}
    # Nothing was given, so the register has nothing of him.
    answer = await call(city, father.account, "data-exchange", "GET", "/consents")
    assert answer.json()["items"] == []


async def test_while_nobody_answers_it_is_shown_for_whom_the_application_waits(city: City):
    _, mother, father, application = await apply_alone(city)

    waiting = await mother.wait_for_state(
        application, B1=S.CLOSED, B2_1=S.CLOSED, B3_1=S.CLOSED, B4_1=S.CLOSED, B5_1=S.CLOSED, B7_1=S.CLOSED, B8=S.CLOSED
    )
    assert {key: state for key, state in states(waiting).items() if state is not S.CLOSED} == WAITING
    assert {(t.key, w.giver, w.purpose) for t in waiting.tasks for w in t.waits_for} == {
        ("B6-1", "FATHER", "用于在孩子的社会保障卡上登记父亲的监护人信息"),
        ("B9-1", "FATHER", "用于登记并联系您参加科学育儿指导服务"),
    }
    assert waiting.outcome is None

    # The applicant may do without him in the end.
    assert (await mother.withdraw(application)).status_code == 200
    assert (await father.request("GET", "/consents/pending")).json() == []
    late = await father.answer(application, give=list(HIS))
    assert late.status_code == 409


async def test_a_consent_taken_back_while_a_department_is_at_work_cancels_its_task(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    with city.script("human-resources", {"matter": "B6", "program": "NEEDS_PERSON", "reason": "由工作人员核对"}):
        application = await mother.apply(form_of(one))
        await mother.wait_for_state(application, B6_1=S.IN_REVIEW, B9_1=S.CLOSED, B8=S.CLOSED)
        card = (await mother.consents(application))["card-guardian", "FATHER"]
        await take_back(city, one.father_account, card.id)
        done = await mother.wait_until_over(application)

    ended = task(done, "B6-1")
    assert (ended.state, ended.reason, ended.decision) == (S.WITHDRAWN, "父亲撤回了同意，这个事项不再办理", None)
    assert {state for key, state in states(done).items() if key != "B6-1"} == {S.CLOSED}
    cancelled = [e.data for e in city.said_to("human-resources", application) if isinstance(e.data, TaskCancelled)]
    assert [event.matter for event in cancelled] == ["B6"]
    assert done.outcome is ApplicationOutcome.PARTLY


async def test_everything_taken_back_after_completion_leaves_what_was_granted(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    application = await mother.apply(form_of(one))
    done = await mother.wait_until_over(application)

    accounts = {"MOTHER": one.account, "FATHER": one.father_account}
    for consent in (await mother.consents(application)).values():
        await take_back(city, accounts[consent.giver], consent.id)

    async def all_noted() -> bool:
        return {consent.state for consent in (await mother.consents(application)).values()} == {C.WITHDRAWN}

    await wait_until(all_noted, what="approval to note that everything was withdrawn")
    after = await mother.application(application)
    assert (after.outcome, states(after)) == (done.outcome, states(done))
    assert after.outcome is ApplicationOutcome.ALL_GRANTED


async def test_who_is_no_party_finds_no_consent(city: City):
    _, _, _, application = await apply_alone(city)
    stranger = city.resident(city.families.take().account)

    listed = await stranger.request("GET", f"/applications/{application}/consents")
    answered = await stranger.answer(application, give=list(HIS))
    missing = await stranger.answer(UUID(int=7), give=list(HIS))

    assert (listed.status_code, answered.status_code) == (404, 404)
    assert answered.json() == missing.json()
    assert (await stranger.request("GET", "/consents/pending")).json() == []
