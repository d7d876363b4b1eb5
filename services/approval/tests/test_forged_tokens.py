"""No forged token is a resident, and no access token is another person's word."""

import pytest
from yijian_common.forged_tokens import forged_tokens

from .conftest import AUDIENCE, Service, bearer
from .test_bad_input import CITIZENS_ROUTES

pytestmark = pytest.mark.postgres


async def test_none_of_them_opens_a_door(service: Service) -> None:
    claims = service.issuer.claims(AUDIENCE)
    good = await service.client.get("/v1/applications", headers=bearer(service.issuer.sign(claims)))
    assert good.status_code == 200
    for name, token in forged_tokens(service.issuer, claims).items():
        for method, path in CITIZENS_ROUTES:
            answer = await service.client.request(method, path, headers=bearer(token), json={})
            assert answer.status_code == 401, f"{name} at {method} {path}: {answer.text}"


async def test_none_of_them_is_anybodys_word(service: Service) -> None:
    number = next(service.families)
    claims = service.issuer.claims(AUDIENCE)
    good = service.issuer.sign(claims)
    forged = forged_tokens(service.issuer, {**claims, **service.issuer.authorisation_claims(AUDIENCE)})
    forged = {name: token for name, token in forged.items() if "authorisation" not in name}
    for name, token in {"an access token": good, **forged}.items():
        answer = await service.submit(number, authorised=False, authorisations=[token])
        assert answer.status_code == 422, f"{name}: {answer.text}"
        if answer.json()["type"] != "/problems/authorisation-refused":
            assert answer.json()["errors"][0]["pointer"].startswith("/authorisations"), name
    assert await service.count("application") == 0
