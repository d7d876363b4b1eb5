"""The consent register: what somebody agreed to is theirs to read, and theirs alone to take back, at any time."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from data_exchange.actions.consenting import withdraw_consent
from data_exchange.consents import Consent
from data_exchange.errors import ConsentNotFound
from data_exchange.people import person_index
from yijian_common.tokens import Post
from yijian_contracts.events import ConsentWithdrawn, GivenConsent, SessionsEnded
from yijian_messaging import Transaction

from .conftest import AUDIENCE, Service
from .consent_story import FATHER, MOTHER, NOW, STRANGER, TEXT, bearer, consent, one_of, register, unsent

pytestmark = pytest.mark.postgres


async def test_the_giver_reads_what_they_agreed_to_in_full(service: Service):
    given = consent()
    assert await register(service, given) == []
    answer = await service.client.get("/v1/consents", headers=bearer(service, MOTHER))
    (shown,) = answer.json()["items"]
    assert answer.json()["next"] is None
    assert (shown["text"], shown["version"], shown["purpose"]) == (TEXT, 1, "育儿指导服务")
    assert (shown["giver"], shown["for_children"], shown["means"]) == ("MOTHER", True, "APPLICATION")
    assert (shown["state"], shown["withdrawn_at"]) == ("GIVEN", None)
    assert datetime.fromisoformat(shown["given_at"]) == NOW
    places = [(matter["department_name"], matter["matter"]) for matter in shown["matters"]]
    assert places == [("卫生健康委员会", "B7"), ("医疗保障局", "B5")]
    assert [field["title"] for field in shown["matters"][0]["fields"]] == ["母亲姓名", "出生日期"]


async def test_each_parent_sees_their_own_and_a_stranger_none(service: Service):
    application = uuid4()
    hers, his = consent(application=application), consent("FATHER", FATHER, application=application)
    await register(service, hers, his)
    for ref, expected in ((MOTHER, [hers]), (FATHER, [his]), (STRANGER, []), (None, [])):
        answer = await service.client.get("/v1/consents", headers=bearer(service, ref))
        assert [item["id"] for item in answer.json()["items"]] == [str(one.consent_id) for one in expected]


async def test_who_may_not(service: Service):
    given = consent()
    await register(service, given)
    withdrawal = f"/v1/consents/{given.consent_id}/withdrawal"
    official = service.issuer.official(AUDIENCE, Post("health", "990101000000", (), "clerk"), subject=str(uuid4()))
    nobodys = service.issuer.citizen("approval", subject=str(uuid4()), id_proof=MOTHER)
    for token, status in ((None, 401), (nobodys, 401), (official, 403), (service.issuer.service(AUDIENCE, "x"), 403)):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        assert (await service.client.get("/v1/consents", headers=headers)).status_code == status
        assert (await service.client.post(withdrawal, headers=headers)).status_code == status
    assert await unsent(service) == []


async def test_nobody_but_the_giver_learns_that_a_consent_exists(service: Service):
    given = consent()
    await register(service, given)
    unknown = await service.client.post(f"/v1/consents/{uuid4()}/withdrawal", headers=bearer(service, MOTHER))
    assert unknown.status_code == 404
    for ref in (FATHER, STRANGER, None):
        answer = await service.client.post(f"/v1/consents/{given.consent_id}/withdrawal", headers=bearer(service, ref))
        assert (answer.status_code, answer.json()) == (404, unknown.json())
    assert await unsent(service) == []


async def test_taking_back_takes_one_request_and_is_told_once(service: Service):
    given = consent()
    await register(service, given)
    path = f"/v1/consents/{given.consent_id}/withdrawal"
    answers = await asyncio.gather(*(service.client.post(path, headers=bearer(service, MOTHER)) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["state"] for answer in answers} == {"WITHDRAWN"}
    assert len({answer.json()["withdrawn_at"] for answer in answers}) == 1
    (said,) = await unsent(service)
    assert isinstance(said, ConsentWithdrawn)
    assert (said.application_id, said.consent_id) == (given.application_id, given.consent_id)
    assert (said.basis, said.giver) == ("parenting-guidance", "MOTHER")


async def test_a_consent_that_is_entered_at_this_moment_is_taken_back_or_not_known_yet(service: Service):
    """Found by chaos: 200 for a withdrawal that had seen nothing to withdraw when it wrote, and the consent after."""
    given = consent()

    async def withdraw(transaction: Transaction[Any]) -> Consent:
        giver = person_index(service.parts.keyring, MOTHER)
        return await withdraw_consent(transaction, given.consent_id, giver=giver, keyring=service.parts.keyring)

    async with service.parts.store.transaction() as transaction:
        transaction.connection = EnteredMeanwhile(transaction.connection, lambda: register(service, given))
        with pytest.raises(ConsentNotFound):
            await withdraw(transaction)
    assert await unsent(service) == []
    async with service.parts.store.transaction() as transaction:
        assert (await withdraw(transaction)).withdrawn_at is not None
    assert len(await unsent(service)) == 1


class EnteredMeanwhile:
    """A connection behind whose first statement about consents somebody else commits."""

    def __init__(self, connection: Any, meanwhile: Callable[[], Awaitable[object]]) -> None:
        self._connection = connection
        self._meanwhile: Callable[[], Awaitable[object]] | None = meanwhile

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self._connection, name)

        async def ask(statement: str, *values: object) -> Any:
            found = await asked(statement, *values)
            if " consent " in statement and self._meanwhile is not None:
                meanwhile, self._meanwhile = self._meanwhile, None
                await meanwhile()
            return found

        return ask


async def test_what_is_given_at_once_is_taken_back_one_by_one(service: Service):
    application = uuid4()
    bases = ("card-notice", "parenting-guidance", "payment-account")
    several = consent(application=application).model_copy(
        update={
            "consents": tuple(
                GivenConsent.model_validate(one_of(application, "MOTHER", basis=basis, purpose=f"用于{basis}"))
                for basis in bases
            )
        }
    )
    assert await register(service, several, several) == []
    shown = (await service.client.get("/v1/consents", headers=bearer(service, MOTHER))).json()["items"]
    assert {item["id"]: item["purpose"] for item in shown} == {
        str(GivenConsent.id_for(application, basis, "MOTHER")): f"用于{basis}" for basis in bases
    }
    path = f"/v1/consents/{several.consents[1].consent_id}/withdrawal"
    assert (await service.client.post(path, headers=bearer(service, MOTHER))).status_code == 200
    assert [event.basis for event in await unsent(service) if isinstance(event, ConsentWithdrawn)] == [bases[1]]
    shown = (await service.client.get("/v1/consents", headers=bearer(service, MOTHER))).json()["items"]
    assert sorted(item["state"] for item in shown) == ["GIVEN", "GIVEN", "WITHDRAWN"]


async def test_told_again_a_consent_is_not_given_again(service: Service):
    given = consent()
    await register(service, given, given)
    await service.client.post(f"/v1/consents/{given.consent_id}/withdrawal", headers=bearer(service, MOTHER))
    await register(service, given)
    (shown,) = (await service.client.get("/v1/consents", headers=bearer(service, MOTHER))).json()["items"]
    assert shown["state"] == "WITHDRAWN"


async def test_what_ran_out_says_so_and_can_still_be_taken_back(service: Service):
    given = consent(valid_until=datetime.now(UTC) - timedelta(seconds=1))
    await register(service, given)
    (shown,) = (await service.client.get("/v1/consents", headers=bearer(service, MOTHER))).json()["items"]
    assert shown["state"] == "EXPIRED"
    path = f"/v1/consents/{given.consent_id}/withdrawal"
    answer = await service.client.post(path, headers=bearer(service, MOTHER))
    assert answer.json()["state"] == "WITHDRAWN"


async def test_a_text_that_is_not_the_one_it_says_is_an_operators_to_look_at(service: Service):
    altered = consent(text_digest="0" * 64)
    good = consent("FATHER", FATHER)
    odd = SessionsEnded(subject=UUID(int=1), ended_at=NOW)
    rejected = await register(service, altered, good, odd)
    assert [one.error for one in rejected] == [
        "a text is not the one that its digest is of",
        "SessionsEnded is no consent",
    ]
    assert await service.count("consent") == 1


async def test_pages_are_newest_first_and_a_place_nobody_gave_is_refused(service: Service):
    given = [consent(given_at=NOW + timedelta(minutes=n // 2)) for n in range(7)]
    await register(service, *given)
    seen, cursor, pages = [], None, 0
    while cursor or not pages:
        query = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = (await service.client.get("/v1/consents", params=query, headers=bearer(service, MOTHER))).json()
        seen += page["items"]
        cursor, pages = page["next"], pages + 1
    expected = sorted(given, key=lambda one: (one.given_at, one.consent_id), reverse=True)
    assert [item["id"] for item in seen] == [str(one.consent_id) for one in expected]
    assert pages == 3
    for odd in ("", "x", "AAAA", "/" * 32, "é", "f" * 32):
        answer = await service.client.get("/v1/consents", params={"cursor": odd}, headers=bearer(service, MOTHER))
        assert answer.status_code == 422, odd
        assert answer.json()["errors"][0]["parameter"] == "cursor"


async def test_texts_are_kept_once_and_what_says_who_and_what_is_sealed(service: Service):
    await register(service, consent(), consent(), consent("FATHER", FATHER))
    assert await service.count("consent_text") == 1
    stored = str(await service.parts.pool.fetch("SELECT * FROM consent"))
    for readable in (MOTHER, FATHER, "母亲姓名", "育儿指导服务"):
        assert readable not in stored
