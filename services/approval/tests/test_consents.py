"""Who is asked, who answers how, and what an application does until then: over HTTP, with the real database."""

import asyncio
import json
import time
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from approval.effects import CONSENTS_GATE
from yijian_common import pairwise
from yijian_common.testing import Issuer
from yijian_contracts.events import (
    ApplicationOutcome,
    ConsentMeans,
    ConsentsGiven,
    TaskRequested,
)
from yijian_examples.forms import form_of
from yijian_examples.population import family

from .bureaus import grant_all, said, state
from .conftest import AUDIENCE, Service
from .parents import FATHERS, S, answered, applications_of, consents, states, submitted, tasks

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(90)]


@pytest_asyncio.fixture(loop_scope="module")
async def service(shared_service: Service) -> Service:
    """One service for all of these, each with families of its own."""
    return shared_service


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
        (event,) = await said(service, application, ConsentsGiven)
        given = {one.agreed_to.basis: one for one in event.consents}
        assert set(given) == {"card-notice", "payment-account", "benefit-account", "parenting-guidance"}
        mother = family(number).mother
        assert event.giver_ref == pairwise.id_proof(service.exchange_key, mother.id_no)
        assert (event.giver, event.means) == ("MOTHER", ConsentMeans.APPLICATION)
        assert given["parenting-guidance"].valid_until - event.given_at == timedelta(days=365)
        guidance = given["parenting-guidance"].agreed_to
        assert guidance.for_children
        guide = (await service.client.get("/v1/life-events/birth")).json()
        assert guidance.text == next(c["text"] for c in guide["consents"] if c["basis"] == "parenting-guidance")
        assert not given["benefit-account"].agreed_to.for_children

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
        told = await said(service, application, ConsentsGiven)
        assert {(event.giver, event.means): len(event.consents) for event in told} == {
            ("MOTHER", ConsentMeans.APPLICATION): 4,
            ("FATHER", ConsentMeans.ONE_TIME_CODE): 2,
        }

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
