"""How parents answer what they are asked, what time does to it, and what follows when they take it back."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from approval import consenting
from approval.actions.changes import look_after
from approval.effects import CONSENTS_GATE
from yijian_common import pairwise
from yijian_contracts.events import (
    ApplicationOutcome,
    ConsentMeans,
    ConsentsGiven,
    Outcome,
    TaskCancelled,
    TaskRequested,
)
from yijian_examples.population import family

from .bureaus import grant_all, reply, said, state
from .conftest import AUDIENCE, Service, bearer
from .parents import FATHERS, S, answered, consents, states, submitted, tasks, told, withdrawn

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(90)]

LOOK_NOW = "UPDATE application SET next_look_at = now() WHERE id = $1"


@pytest_asyncio.fixture(loop_scope="module")
async def service(shared_service: Service) -> Service:
    """One service for all of these, each with families of its own."""
    return shared_service


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
        (given,) = [e for e in await said(service, application, ConsentsGiven) if e.giver == "FATHER"]
        assert given.means is ConsentMeans.OWN_ACCOUNT
        assert {one.agreed_to.basis for one in given.consents} == set(FATHERS)
        ref = pairwise.id_proof(service.exchange_key, family(number).father.id_no)
        assert given.giver_ref == ref
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
        assert len([e for e in await said(service, application, ConsentsGiven) if e.giver == "FATHER"]) == 1

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

    async def test_the_same_request_many_times_at_once_uses_his_word_once_and_is_answered_alike(self, service: Service):
        application, number = await submitted(service)
        token, mother, key = service.authorisation(number), service.mother(number), uuid4().hex
        answers = await asyncio.gather(
            *(answered(service, application, mother, key=key, authorisation=token) for _ in range(6))
        )
        assert {answer.status_code for answer in answers} <= {200, 503}
        assert len({answer.text for answer in answers if answer.status_code == 200}) == 1
        another = await answered(service, application, mother, authorisation=token)
        assert another.json()["type"] == "/problems/authorisation-used"

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

    async def test_a_withdrawal_in_an_application_that_was_erased_concerns_nobody(self, service: Service):
        application, _ = await submitted(service)
        await service.parts.pool.execute("UPDATE application SET data_key = '' WHERE id = $1", application)
        assert await told(service, withdrawn(application, "card-guardian", "FATHER")) == []
        opened = [i.subject for i in await service.parts.store.incidents()]
        assert str(application) not in opened


async def _until_asked(service: Service, application: UUID, key: str) -> None:
    """Have the departments before this task decide, so that its own has been asked."""
    for before, outputs in (("C1", {"marriage_verified": True}), ("B2-1", {"birth_cert_no": "Z990000001"})):
        documents = [{"kind": "birth-certificate", "number": "Z990000001"}] if before == "B2-1" else []
        personal = {"outputs": outputs, "documents": documents}
        assert await reply(service, application, before, Outcome.APPROVED, personal=personal) == []
    assert states(await state(service, application))[key] is S.SUBMITTED
