"""What a department returns and an applicant corrects: claims, matters and places follow the form."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from yijian_common.tokens import RealNameLevel
from yijian_contracts.events import Correction, Outcome
from yijian_examples.forms import form_of
from yijian_examples.population import family
from yijian_messaging import Rejected

from .bureaus import reply, state
from .conftest import AUDIENCE, Service, bearer

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(60)]


async def returned(service: Service, application_id: UUID, key: str, *pointers: str) -> list[Rejected]:
    corrections = tuple(Correction(pointer=pointer, message="请核对") for pointer in pointers)
    return await reply(service, application_id, key, Outcome.RETURNED, reason="请补正", corrections=corrections)


async def correct(service: Service, application_id: UUID, number: int, task: str, **fields: Any) -> httpx.Response:
    body = {"task": task, "fields": [{"pointer": pointer, "value": value} for pointer, value in fields.items()]}
    headers = service.mother(number) | {"Idempotency-Key": uuid4().hex}
    return await service.client.post(f"/v1/applications/{application_id}/corrections", json=body, headers=headers)


async def at_the_certificate(service: Service, number: int) -> UUID:
    """An application whose certificate is being decided: the marriage was found."""
    application_id = UUID((await service.submit(number)).json()["id"])
    parts = {"personal": {"outputs": {"marriage_verified": True}}}
    assert await reply(service, application_id, "C1", Outcome.APPROVED, **parts) == []
    return application_id


def a_day_earlier(number: int) -> str:
    born = datetime.fromisoformat(form_of(family(number))["newborns"][0]["birth_datetime"])
    return (born - timedelta(days=1)).isoformat()


async def test_a_corrected_birth_is_claimed_and_the_former_one_is_free(service: Service):
    application_id = await at_the_certificate(service, 101)
    pointer, earlier = "/newborns/0/birth_datetime", a_day_earlier(101)
    assert await returned(service, application_id, "B2-1", pointer) == []
    answer = await correct(service, application_id, 101, "B2-1", **{pointer: earlier})
    assert answer.status_code == 200, answer.text

    again = form_of(family(101))
    again["newborns"][0]["birth_datetime"] = earlier
    assert (await service.submit(101, form=again)).status_code == 409
    assert (await service.submit(101)).status_code == 202, "the former birth date is claimed by nobody any more"


async def test_a_correction_that_another_application_claims_is_refused(service: Service):
    application_id = await at_the_certificate(service, 101)
    pointer, earlier = "/newborns/0/birth_datetime", a_day_earlier(101)
    taken = form_of(family(101))
    taken["newborns"][0]["birth_datetime"] = earlier
    assert (await service.submit(101, form=taken)).status_code == 202
    await returned(service, application_id, "B2-1", pointer)
    answer = await correct(service, application_id, 101, "B2-1", **{pointer: earlier})
    assert answer.status_code == 409, answer.text
    task = (await state(service, application_id)).find_task("B2-1")
    assert task is not None
    assert task.corrections, "nothing was changed"


@pytest.mark.parametrize(
    "pointer", ["/marriage/cert_no/0", "/mother/insurance", "/newborns/7/sex", "/newborns/0", "/张三"]
)
async def test_a_department_may_only_return_places_that_it_was_given_and_the_form_has(service: Service, pointer: str):
    application_id = UUID((await service.submit(101)).json()["id"])
    (rejected,) = await returned(service, application_id, "C1", pointer)
    assert "张三" not in rejected.error
    task = (await state(service, application_id)).find_task("C1")
    assert task is not None
    assert task.state == "SUBMITTED"


async def test_a_correction_that_brings_back_a_matter_is_refused(service: Service):
    application_id = UUID((await service.submit(3)).json()["id"])
    assert (await state(service, application_id)).find_task("C1").state == "NOT_NEEDED"
    assert await returned(service, application_id, "B1", "/marriage/status") == []
    married = form_of(family(101))["marriage"]
    answer = await correct(service, application_id, 3, "B1", **{"/marriage/status": married["status"]})
    assert answer.status_code in (409, 422), answer.text
    assert (await state(service, application_id)).find_task("C1").state == "NOT_NEEDED"


async def test_a_withdrawal_is_told_once(service: Service):
    application_id = UUID((await service.submit(101)).json()["id"])
    answer = await service.client.post(f"/v1/applications/{application_id}/withdrawal", headers=service.mother(101))
    assert answer.status_code == 200
    await reply(service, application_id, "C1", Outcome.REJECTED, reason="不符")
    told = await service.parts.pool.fetchval(
        "SELECT count(*) FROM outbox WHERE key = $1 AND headers LIKE '%application-withdrawn%'", str(application_id)
    )
    assert told == 1


async def test_only_a_confirmed_person_may_apply(service: Service):
    claims = service.issuer.claims(AUDIENCE, sub=str(uuid4()), real_name_level=RealNameLevel.L1)
    headers = bearer(service.issuer.sign(claims)) | {"Idempotency-Key": uuid4().hex}
    body = {"life_event": "birth", "form": form_of(family(101))}
    answer = await service.client.post("/v1/applications", json=body, headers=headers)
    assert (answer.status_code, answer.json()["required_level"]) == (403, "L3")
