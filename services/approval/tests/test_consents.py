"""Who is asked, who answers how, and what an application does until then: over HTTP, with the real database."""

import asyncio
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from approval import consenting
from approval.actions.changes import look_after
from approval.actions.withdrawals import Told, carry_out_withdrawals
from approval.application import Application, ConsentState, TaskState
from approval.effects import CONSENTS_GATE
from yijian_common import pairwise
from yijian_common.testing import Issuer
from yijian_contracts.cloudevents import CloudEvent
from yijian_contracts.events import (
    ApplicationOutcome,
    ConsentGiven,
    ConsentMeans,
    ConsentWithdrawn,
    Outcome,
    TaskCancelled,
    TaskRequested,
)
from yijian_examples.forms import form_of
from yijian_examples.population import family
from yijian_messaging import Message, Record, Rejected

from .bureaus import grant_all, reply, said, state
from .conftest import AUDIENCE, Service, bearer

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(90)]

S, C = TaskState, ConsentState
FATHERS = ("card-guardian", "parenting-guidance")
LOOK_NOW = "UPDATE application SET next_look_at = now() WHERE id = $1"
OFF_THE_RECORD = Record("data-exchange.consents", 0, 0, b"k", b"v", (), 0)


@pytest_asyncio.fixture(loop_scope="module")
async def service(shared_service: Service) -> Service:
    """One service for all of these, each with families of its own."""
    return shared_service


async def applications_of(service: Service, number: int) -> int:
    """How many applications a family's mother has."""
    service.mother(number)
    found: int = await service.parts.pool.fetchval(
        "SELECT count(*) FROM application WHERE applicant = $1", service.subjects[number]
    )
    return found


async def submitted(service: Service, **changes: Any) -> tuple[UUID, int]:
    """An application of a family that has none; its father has not been asked anything beforehand."""
    number = next(service.families)
    answer = await service.submit(number, **{"authorised": False, **changes})
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["id"]), number


async def consents(service: Service, application: UUID, who: Mapping[str, str]) -> dict[tuple[str, str], Any]:
    answer = await service.client.get(f"/v1/applications/{application}/consents", headers=dict(who))
    assert answer.status_code == 200, answer.text
    return {(each["basis"], each["giver"]): each for each in answer.json()}


async def answered(
    service: Service, application: UUID, who: Mapping[str, str], *, key: str | None = None, **body: Any
) -> httpx.Response:
    headers = {**who, "Idempotency-Key": key or uuid4().hex}
    return await service.client.post(f"/v1/applications/{application}/consents", json=body, headers=headers)


async def tasks(service: Service, application: UUID, who: Mapping[str, str]) -> dict[str, Any]:
    answer = await service.client.get(f"/v1/applications/{application}", headers=dict(who))
    return {task["key"]: task for task in answer.json()["tasks"]}


def states(application: Application) -> dict[str, TaskState]:
    return {task.key: task.state for task in application.tasks}


async def told(service: Service, *events: Told) -> list[Rejected]:
    """What data-exchange says about consents, as the consumer hands it over."""
    messages = [Message(str(event.event_id), _cloud_event(event), OFF_THE_RECORD) for event in events]
    async with service.parts.store.transaction() as transaction:
        return await carry_out_withdrawals(transaction, messages, effects=service.parts.effects)


def _cloud_event(event: Told) -> CloudEvent[Told]:
    return CloudEvent(
        id=str(event.event_id), source="data-exchange", time=datetime.now(UTC), data=event, traceparent=None
    )


def withdrawn(application: UUID, basis: str, giver: str) -> ConsentWithdrawn:
    return ConsentWithdrawn(
        application_id=application,
        consent_id=ConsentGiven.id_for(application, basis, giver),
        basis=basis,
        giver=giver,
        withdrawn_at=datetime.now(UTC),
    )


class TestAsking:
    async def test_the_guide_shows_every_text_with_what_it_covers(self, service: Service):
        guide = (await service.client.get("/v1/life-events/birth")).json()
        shown = {consent["basis"]: consent for consent in guide["consents"]}
        assert {basis: consent["givers"] for basis, consent in shown.items()} == {
            "card-notice": ["APPLICANT"],
            "card-guardian": ["FATHER"],
            "payment-account": ["APPLICANT"],
            "benefit-account": ["MOTHER"],
            "parenting-guidance": ["GUARDIANS"],
        }
        card = shown["card-guardian"]
        assert (card["version"], card["term_days"]) == (1, 365)
        assert "单独同意" in card["text"]
        assert [(f["department_name"], f["matter"], f["name"], f["title"]) for f in card["fields"]] == [
            ("人力资源和社会保障局", "B6", "father_name", "父亲信息：姓名"),
            ("人力资源和社会保障局", "B6", "father_id_no", "父亲信息：证件号码"),
        ]

    async def test_the_applicants_consents_come_with_the_form_and_the_fathers_are_waited_for(self, service: Service):
        application, number = await submitted(service)
        found = await consents(service, application, service.mother(number))
        assert {key: (each["state"], each["means"]) for key, each in found.items()} == {
            ("card-notice", "MOTHER"): ("GIVEN", "APPLICATION"),
            ("payment-account", "MOTHER"): ("GIVEN", "APPLICATION"),
            ("benefit-account", "MOTHER"): ("GIVEN", "APPLICATION"),
            ("parenting-guidance", "MOTHER"): ("GIVEN", "APPLICATION"),
            ("parenting-guidance", "FATHER"): ("PENDING", None),
            ("card-guardian", "FATHER"): ("PENDING", None),
        }
        assert {key for key, each in found.items() if each["mine"]} == {k for k in found if k[1] == "MOTHER"}
        shown = await tasks(service, application, service.mother(number))
        assert shown["C1"]["state"] == "SUBMITTED"
        assert shown["B9-1"]["waits_for"] == [
            {
                "basis": "parenting-guidance",
                "purpose": "用于登记并联系您参加科学育儿指导服务",
                "giver": "FATHER",
                "giver_title": "父亲",
            }
        ]
        assert {key for key, task in shown.items() if task["waits_for"]} == {"B6-1", "B9-1"}
        lines = await service.client.get(f"/v1/applications/{application}/timeline", headers=service.mother(number))
        (awaited,) = [line for line in lines.json() if line["kind"] == "CONSENT_AWAITED"]
        assert awaited["note"].startswith("父亲（")

    async def test_each_given_consent_is_told_with_the_text_that_was_shown(self, service: Service):
        application, number = await submitted(service)
        given = {event.basis: event for event in await said(service, application, ConsentGiven)}
        assert set(given) == {"card-notice", "payment-account", "benefit-account", "parenting-guidance"}
        guidance = given["parenting-guidance"]
        mother = family(number).mother
        assert guidance.giver_ref == pairwise.id_proof(service.exchange_key, mother.id_no)
        assert (guidance.giver, guidance.for_children, guidance.means) == ("MOTHER", True, ConsentMeans.APPLICATION)
        assert guidance.valid_until - guidance.given_at == timedelta(days=365)
        guide = (await service.client.get("/v1/life-events/birth")).json()
        assert guidance.text == next(c["text"] for c in guide["consents"] if c["basis"] == "parenting-guidance")
        assert not given["benefit-account"].for_children

    async def test_who_takes_no_part_and_what_is_left_out_is_not_asked_for(self, service: Service):
        number = next(service.families)
        form = form_of(family(number, kind="unmarried"))
        del form["father"]
        del form["insurance"]["payer_account"]
        form |= {"father_absence": {"reason": "WAIVED", "statement": "sig-00000001"}}
        answer = await service.submit(number, form=form, authorised=False)
        assert answer.status_code == 202, answer.text
        found = await consents(service, UUID(answer.json()["id"]), service.mother(number))
        assert set(found) == {(b, "MOTHER") for b in ("card-notice", "benefit-account", "parenting-guidance")}

    async def test_what_the_applicant_chose_and_does_not_agree_to_is_refused_at_once(self, service: Service):
        number = next(service.families)
        form = form_of(family(number))
        form["consents"]["agreed"] = ["card-notice"]
        answer = await service.submit(number, form=form)
        assert answer.status_code == 422
        problem = answer.json()
        assert {error["pointer"] for error in problem["errors"]} == {"/consents/agreed"}
        assert problem["rules"] == ["F17"] * 3
        assert await applications_of(service, number) == 0

    async def test_everything_that_is_sent_has_its_basis(self, service: Service):
        application, number = await submitted(service, authorised=True)
        done = await grant_all(service, application)
        assert done.outcome is ApplicationOutcome.ALL_GRANTED
        gates = await service.parts.pool.fetch(
            "SELECT o.headers, u.gate FROM outbox o LEFT JOIN outbox_unsent u ON u.id = o.id WHERE o.key = $1",
            str(application),
        )
        gated = [json.loads(row["headers"])["ce_type"] for row in gates if row["gate"] == CONSENTS_GATE]
        assert gated == ["gov.city.approval.task-requested.v1"] * 4
        fields = {event.matter: set(event.personal.fields) for event in await said(service, application, TaskRequested)}
        assert {"father_name", "father_id_no"} <= fields["B6"]
        assert number


class TestOneTimeCode:
    async def test_the_fathers_word_comes_with_the_application(self, service: Service):
        application, number = await submitted(service, authorised=True)
        found = await consents(service, application, service.mother(number))
        assert {(found[b, "FATHER"]["state"], found[b, "FATHER"]["means"]) for b in FATHERS} == {
            ("GIVEN", "ONE_TIME_CODE")
        }
        assert len(await said(service, application, ConsentGiven)) == 6

    async def test_or_later_when_the_mother_presents_it(self, service: Service):
        application, number = await submitted(service)
        answer = await answered(
            service, application, service.mother(number), authorisation=service.authorisation(number)
        )
        assert answer.status_code == 200, answer.text
        assert {each["state"] for each in answer.json()} == {"GIVEN"}
        again = await answered(
            service, application, service.mother(number), authorisation=service.authorisation(number)
        )
        assert again.status_code == 200, "he agrees once more, which changes nothing"

    @pytest.mark.parametrize(
        ("what", "claims"),
        [
            ("给您的", {"act": {"sub": str(uuid4())}}),
            ("另一件事", {"life_event": "moving-house"}),
            ("过期", {"exp": int(time.time()) - 60, "iat": int(time.time()) - 700}),
            ("无效", {"aud": "data-exchange"}),
            ("无效", {"iss": "http://127.0.0.1:9"}),
            ("无效", {"means": "SHOUTING"}),
            ("不是这份申请中的当事人", {"id_proof": "x" * 43}),
        ],
    )
    async def test_a_word_that_is_not_the_fathers_for_this_is_refused(
        self, service: Service, what: str, claims: dict[str, Any]
    ):
        number = next(service.families)
        tables = ("application", "consent", "authorisation", "outbox", "idempotency_keys")
        before = [await service.count(table) for table in tables]
        token = service.authorisation(number, **claims)
        answer = await service.submit(number, authorised=False, authorisations=[token])
        assert answer.status_code == 422, answer.text
        assert answer.json()["type"] == "/problems/authorisation-refused"
        assert answer.json()["errors"][0]["pointer"] == "/authorisations/0"
        assert what in answer.json()["detail"]
        assert [await service.count(table) for table in tables] == before

        application, number = await submitted(service)
        token = service.authorisation(number, **claims)
        answer = await answered(service, application, service.mother(number), authorisation=token)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/authorisation")
        assert states(await state(service, application))["B9-1"] is S.DRAFT

    async def test_a_forged_word_is_refused(self, service: Service):
        number = next(service.families)
        forger = Issuer()
        service.mother(number)
        claims = service.issuer.authorisation_claims(
            AUDIENCE,
            act={"sub": service.subjects[number]},
            id_proof=pairwise.id_proof(service.pairwise_key, family(number).father.id_no),
        )
        own_key = forger.sign(claims, typ="authorisation+jwt")
        known_kid = forger.sign(claims, typ="authorisation+jwt", kid=service.issuer.key.kid)
        access_token = service.issuer.sign(claims)
        unsigned = service.authorisation(number).rpartition(".")[0] + "."
        for token in (own_key, known_kid, access_token, unsigned, "nonsense", "x" * 9000):
            answer = await service.submit(number, authorised=False, authorisations=[token])
            assert answer.status_code == 422, answer.text
        assert (await service.submit(number, authorised=False, authorisations=["a"] * 5)).status_code == 422
        assert await applications_of(service, number) == 0

    async def test_the_mothers_own_word_needs_no_code(self, service: Service):
        number = next(service.families)
        own = pairwise.id_proof(service.pairwise_key, family(number).mother.id_no)
        token = service.authorisation(number, id_proof=own)
        answer = await service.submit(number, authorised=False, authorisations=[token])
        assert (answer.status_code, answer.json()["detail"]) == (422, "您本人的同意请自己作出，不需要授权")

    async def test_a_word_is_good_for_one_application(self, service: Service):
        number, key = next(service.families), uuid4().hex
        token = service.authorisation(number)
        first = await service.submit(number, key=key, authorised=False, authorisations=[token])
        assert first.status_code == 202
        application = UUID(first.json()["id"])
        assert (await service.submit(number, key=key, authorised=False, authorisations=[token])).json() == first.json()
        await service.client.post(f"/v1/applications/{application}/withdrawal", headers=service.mother(number))

        second = await service.submit(number, authorised=False, authorisations=[token])
        assert (second.status_code, second.json()["type"]) == (409, "/problems/authorisation-used")
        assert await applications_of(service, number) == 1
        fresh = await service.submit(number)
        assert fresh.status_code == 202, "a new word for a new application"

    async def test_twenty_uses_at_once_are_one_use(self, service: Service):
        number, before = next(service.families), await service.count("authorisation")
        token = service.authorisation(number)
        answers = await asyncio.gather(
            *(service.submit(number, authorised=False, authorisations=[token]) for _ in range(20))
        )
        assert sorted(answer.status_code for answer in answers) == [202] + [409] * 19
        assert await service.count("authorisation") == before + 1
        assert await applications_of(service, number) == 1

    async def test_an_application_that_was_refused_has_used_nothing_up(self, service: Service):
        application, number = await submitted(service)
        token = service.authorisation(number)
        answer = await service.submit(number, authorised=False, authorisations=[token])
        assert answer.json()["type"] == "/problems/already-applied"
        later = await answered(service, application, service.mother(number), authorisation=token)
        assert later.status_code == 200, later.text

    async def test_a_repeat_after_the_word_has_expired_gets_its_earlier_answer(self, service: Service):
        number, key = next(service.families), uuid4().hex
        soon = int(time.time()) - 28  # the leeway of half a minute lets it through for two seconds more
        token = service.authorisation(number, exp=soon)
        first = await service.submit(number, key=key, authorised=False, authorisations=[token])
        assert first.status_code == 202, first.text
        await asyncio.sleep(3)
        again = await service.submit(number, key=key, authorised=False, authorisations=[token])
        assert (again.status_code, again.json()) == (202, first.json())


class TestOwnAccount:
    async def test_the_father_finds_what_waits_for_him_and_agrees(self, service: Service):
        application, number = await submitted(service)
        father = service.father(number)
        (waiting,) = (await service.client.get("/v1/consents/pending", headers=father)).json()
        assert (waiting["application_id"], waiting["name"]) == (str(application), "出生一件事")
        assert {each["basis"] for each in waiting["consents"]} == set(FATHERS)
        assert all(each["mine"] and each["text"] and each["answer_by"] for each in waiting["consents"])

        answer = await answered(service, application, father, give=list(FATHERS))
        assert answer.status_code == 200, answer.text
        assert {each["means"] for each in answer.json() if each["mine"]} == {"OWN_ACCOUNT"}
        assert (await service.client.get("/v1/consents/pending", headers=father)).json() == []
        given = [e for e in await said(service, application, ConsentGiven) if e.giver == "FATHER"]
        assert {event.means for event in given} == {ConsentMeans.OWN_ACCOUNT}
        ref = pairwise.id_proof(service.exchange_key, family(number).father.id_no)
        assert {event.giver_ref for event in given} == {ref}
        done = await grant_all(service, application)
        assert done.outcome is ApplicationOutcome.ALL_GRANTED

    async def test_he_refuses_and_the_rest_completes(self, service: Service):
        application, number = await submitted(service)
        answer = await answered(
            service, application, service.father(number), give=["parenting-guidance"], refuse=["card-guardian"]
        )
        assert answer.status_code == 200
        done = await grant_all(service, application)
        assert done.outcome is ApplicationOutcome.PARTLY
        assert {key for key, s in states(done).items() if s is not S.CLOSED} == {"B6-1"}
        shown = (await tasks(service, application, service.mother(number)))["B6-1"]
        assert (shown["state"], shown["reason"]) == ("WITHDRAWN", "父亲没有同意，这个事项不再办理")
        assert "B6" not in {event.matter for event in await said(service, application, TaskRequested)}

    async def test_the_same_request_again_gets_the_same_answer_and_another_word_is_too_late(self, service: Service):
        application, number = await submitted(service)
        father, key = service.father(number), uuid4().hex
        first = await answered(service, application, father, key=key, give=["parenting-guidance"])
        again = await answered(service, application, father, key=key, give=["parenting-guidance"])
        assert (again.status_code, again.content) == (200, first.content)
        other = await answered(service, application, father, key=key, give=["card-guardian"])
        assert other.json()["type"] == "/problems/idempotency-key-reused"
        late = await answered(service, application, father, refuse=["parenting-guidance"])
        assert (late.status_code, late.json()["type"]) == (409, "/problems/not-possible-now")
        assert len([e for e in await said(service, application, ConsentGiven) if e.giver == "FATHER"]) == 1

    async def test_twenty_answers_at_once_are_one(self, service: Service):
        application, number = await submitted(service)
        father = service.father(number)
        answers = await asyncio.gather(*(answered(service, application, father, give=list(FATHERS)) for _ in range(20)))
        assert {answer.status_code for answer in answers} <= {200, 503}
        lines = await service.client.get(f"/v1/applications/{application}/timeline", headers=father)
        assert [line["kind"] for line in lines.json()].count("CONSENT_GIVEN") == 1

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/give"),
            ({"give": ["card-notice"]}, "/give/0"),
            ({"give": ["card-guardian", "marketing"]}, "/give/1"),
            ({"give": ["card-guardian", "card-guardian"]}, "/give/1"),
            ({"give": ["card-guardian"], "refuse": ["card-guardian"]}, "/refuse/0"),
            ({"refuse": ["card-guardian"], "authorisation": "x"}, "/refuse"),
            ({"give": ["x" * 65]}, "/give/0"),
            ({"give": [""]}, "/give/0"),
            ({"give": "card-guardian"}, "/give"),
            ({"give": ["a"] * 21}, "/give"),
            ({"give": [7]}, "/give/0"),
            ({"give": ["card-guardian"], "giver": "FATHER"}, "/giver"),
            ({"give": ["card-guardian"], "state": "GIVEN"}, "/state"),
            ({"authorisation": ""}, "/authorisation"),
        ],
    )
    async def test_an_answer_that_makes_no_sense_changes_nothing(
        self, service: Service, body: dict[str, Any], pointer: str
    ):
        application, number = await submitted(service)
        answer = await answered(service, application, service.father(number), **body)
        assert answer.status_code == 422, answer.text
        (error,) = answer.json()["errors"]
        assert error["pointer"] == pointer
        assert any("一" <= character <= "鿿" for character in error["message"])
        found = await consents(service, application, service.father(number))
        assert {found[basis, "FATHER"]["state"] for basis in FATHERS} == {"PENDING"}


class TestWhoMayNot:
    async def test_an_outsider_cannot_tell_the_application_from_none(self, service: Service):
        application, _ = await submitted(service)
        stranger = service.mother(next(service.families))
        for method, body in (("GET", None), ("POST", {"give": ["card-guardian"]})):
            refusals = [
                await service.client.request(
                    method,
                    f"/v1/applications/{which}/consents",
                    json=body,
                    headers=stranger | {"Idempotency-Key": uuid4().hex},
                )
                for which in (application, uuid4())
            ]
            assert [refusal.status_code for refusal in refusals] == [404, 404]
            assert refusals[0].json() == refusals[1].json()
        assert (await service.client.get("/v1/consents/pending", headers=stranger)).json() == []

    async def test_the_mother_cannot_agree_for_the_father_without_his_word(self, service: Service):
        application, number = await submitted(service)
        answer = await answered(service, application, service.mother(number), give=["card-guardian"])
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/not-your-consent")

    async def test_a_father_of_another_family_cannot_be_her_authority(self, service: Service):
        application, number = await submitted(service)
        stranger = family(next(service.families)).father
        token = service.authorisation(number, id_proof=pairwise.id_proof(service.pairwise_key, stranger.id_no))
        answer = await answered(service, application, service.mother(number), authorisation=token)
        assert answer.status_code == 422

    async def test_the_father_does_not_present_words_himself(self, service: Service):
        application, number = await submitted(service)
        answer = await answered(
            service, application, service.father(number), authorisation=service.authorisation(number)
        )
        assert answer.json()["detail"] == "只有申请人可以代为提交对方的授权，您本人请直接答复"

    async def test_whoever_is_not_confirmed_face_to_face_cannot_answer(self, service: Service):
        application, number = await submitted(service)
        proof = pairwise.id_proof(service.pairwise_key, family(number).father.id_no)
        token = service.issuer.token(AUDIENCE, real_name_level="L2", id_proof=proof)
        answer = await answered(service, application, bearer(token), give=["card-guardian"])
        assert answer.status_code == 403


class TestTime:
    async def test_nobody_answers_for_fifteen_days(self, service: Service):
        application, number = await submitted(service)
        before = await state(service, application)
        async with service.parts.store.transaction() as transaction:
            await transaction.connection.execute(LOOK_NOW, application)
            at = before.submitted_at + consenting.ANSWER_WITHIN
            assert await look_after(transaction, effects=service.parts.effects, limit=10, at=at) == 1
        found = await consents(service, application, service.mother(number))
        assert {found[basis, "FATHER"]["state"] for basis in FATHERS} == {"EXPIRED"}
        shown = (await tasks(service, application, service.mother(number)))["B9-1"]
        assert (shown["state"], shown["waits_for"]) == ("WITHDRAWN", [])
        assert (await service.client.get("/v1/consents/pending", headers=service.father(number))).json() == []
        late = await answered(service, application, service.father(number), give=["card-guardian"])
        assert late.status_code == 409

    async def test_it_is_looked_at_when_the_fifteen_days_are_over(self, service: Service):
        application, _ = await submitted(service)
        due = "SELECT next_look_at FROM application WHERE id = $1"
        first = await service.parts.pool.fetchval(due, application)
        submitted_at = (await state(service, application)).submitted_at
        assert first == submitted_at + timedelta(days=6), "a silent department comes first"
        await reply(service, application, "C1", Outcome.RETURNED, corrections=[_correction()])
        async with service.parts.store.transaction() as transaction:
            await transaction.connection.execute(LOOK_NOW, application)
            await look_after(transaction, effects=service.parts.effects, limit=10)
        assert await service.parts.pool.fetchval(due, application) == submitted_at + consenting.ANSWER_WITHIN


def _correction() -> dict[str, str]:
    return {"pointer": "/marriage/cert_no", "message": "证号与登记不一致"}


class TestWithdrawal:
    async def test_what_is_not_decided_is_taken_back_and_told_once(self, service: Service):
        application, _ = await submitted(service, authorised=True)
        await _until_asked(service, application, "B9-1")
        event = withdrawn(application, "parenting-guidance", "FATHER")
        assert await told(service, event) == []
        after = await state(service, application)
        assert states(after)["B9-1"] is S.WITHDRAWN
        (cancelled,) = await said(service, application, TaskCancelled)
        assert (cancelled.matter, cancelled.reason) == ("B9", "父亲撤回了同意，这个事项不再办理")
        # The request had not been sent: it is gone, and only the cancellation is left.
        waiting = await service.parts.pool.fetch(
            "SELECT o.event_id FROM outbox_unsent u JOIN outbox o ON o.id = u.id WHERE o.topic = $1",
            "department.health.tasks",
        )
        ids = {row["event_id"] for row in waiting}
        assert str(TaskRequested.id_for(cancelled.task_id)) not in ids
        assert str(TaskCancelled.id_for(cancelled.task_id)) in ids

        assert await told(service, event, event) == []
        assert await state(service, application) == after
        done = await grant_all(service, application)
        assert done.outcome is ApplicationOutcome.PARTLY

    async def test_what_was_decided_stands(self, service: Service):
        application, number = await submitted(service, authorised=True)
        done = await grant_all(service, application)
        bases = [(b, "FATHER") for b in FATHERS]
        bases += [(b, "MOTHER") for b in ("card-notice", "payment-account", "benefit-account", "parenting-guidance")]
        assert await told(service, *(withdrawn(application, *which) for which in bases)) == []
        after = await state(service, application)
        assert states(after) == states(done)
        assert after.outcome is ApplicationOutcome.ALL_GRANTED
        found = await consents(service, application, service.mother(number))
        assert {each["state"] for each in found.values()} == {"WITHDRAWN"}

    async def test_an_answer_and_a_withdrawal_at_once_end_in_one_of_two_ways(self, service: Service):
        for _ in range(6):
            application, _ = await submitted(service, authorised=True)
            await _until_asked(service, application, "B9-1")
            await asyncio.gather(
                reply(
                    service,
                    application,
                    "B9-1",
                    Outcome.APPROVED,
                    personal={"outputs": {"parenting_service_no": "YE990000000001"}},
                ),
                told(service, withdrawn(application, "parenting-guidance", "MOTHER")),
            )
            after = await state(service, application)
            cancelled = await said(service, application, TaskCancelled)
            assert (states(after)["B9-1"], len(cancelled)) in ((S.CLOSED, 0), (S.WITHDRAWN, 1))

    async def test_a_request_and_a_withdrawal_at_once_send_nothing_afterwards(self, service: Service):
        for _ in range(6):
            application, number = await submitted(service)
            await grant_all(service, application)
            await asyncio.gather(
                answered(service, application, service.father(number), give=list(FATHERS)),
                told(service, withdrawn(application, "parenting-guidance", "MOTHER")),
            )
            assert states(await state(service, application))["B9-1"] is S.WITHDRAWN
            unsent = await service.parts.pool.fetchval(
                "SELECT count(*) FROM outbox_unsent u JOIN outbox o ON o.id = u.id"
                " WHERE o.key = $1 AND u.gate = $2 AND o.topic = 'department.health.tasks'",
                str(application),
                CONSENTS_GATE,
            )
            assert unsent == 0

    async def test_a_withdrawal_of_what_nobody_asked_for_is_put_aside(self, service: Service):
        application, _ = await submitted(service)
        wrong_giver = withdrawn(application, "card-guardian", "MOTHER")
        other_id = withdrawn(application, "card-guardian", "FATHER").model_copy(update={"consent_id": uuid4()})
        before = await state(service, application)
        rejected = await told(service, wrong_giver, other_id)
        assert len(rejected) == 2
        assert await state(service, application) == before
        unknown = uuid4()
        assert await told(service, withdrawn(unknown, "card-guardian", "FATHER")) == []
        opened = [(i.kind, i.subject) for i in await service.parts.store.incidents()]
        assert ("withdrawal-unknown", str(unknown)) in opened


async def _until_asked(service: Service, application: UUID, key: str) -> None:
    """Have the departments before this task decide, so that its own has been asked."""
    for before, outputs in (("C1", {"marriage_verified": True}), ("B2-1", {"birth_cert_no": "Z990000001"})):
        documents = [{"kind": "birth-certificate", "number": "Z990000001"}] if before == "B2-1" else []
        personal = {"outputs": outputs, "documents": documents}
        assert await reply(service, application, before, Outcome.APPROVED, personal=personal) == []
    assert states(await state(service, application))[key] is S.SUBMITTED
