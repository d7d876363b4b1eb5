"""No forged token opens anything of identity's own: userinfo, its API, introspection, revocation."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from identity.provider import OpenIdProvider
from identity.testing import Browser, bearer, claims_of, said
from yijian_common.forged_tokens import forged_tokens
from yijian_common.testing import Issuer
from yijian_contracts.events.people import SessionsEnded

pytestmark = pytest.mark.postgres

SERVICE = ("approval", "approval-secret-0123456789abcdef")
DOORS = [
    ("GET", "/userinfo"),
    ("GET", "/v1/sessions"),
    ("DELETE", "/v1/sessions"),
    ("PUT", "/v1/password"),
    ("POST", "/v1/authorisations"),
    ("POST", f"/v1/authorisations/{uuid4()}"),
]


@pytest.fixture
def issuer(provider: OpenIdProvider) -> Issuer:
    """Identity's own key in the attacker's workshop: what is forged differs from the real thing in one point only."""
    issuer = Issuer(provider.settings.issuer)
    issuer.key = provider.signer.key
    return issuer


async def good_claims(browser: Browser) -> dict[str, Any]:
    tokens = await browser.tokens(resource="identity", scope="openid profile")
    return {**claims_of(tokens["access_token"]), "aud": "identity"}


async def introspected(browser: Browser, token: str) -> httpx.Response:
    return await browser.http.post("/introspect", data={"token": token}, auth=SERVICE)


async def test_none_of_them_opens_a_door(browser: Browser, issuer: Issuer, provider: OpenIdProvider) -> None:
    claims = await good_claims(browser)
    assert (await browser.http.get("/v1/sessions", headers=bearer(issuer.sign(claims)))).status_code == 200
    for name, token in forged_tokens(issuer, claims).items():
        for method, path in DOORS:
            answer = await browser.http.request(method, path, headers=bearer(token), json={})
            assert answer.status_code == 401, f"{name} at {method} {path}: {answer.text}"
    assert await said(provider, SessionsEnded) == []
    assert (await browser.http.get("/v1/sessions", headers=bearer(issuer.sign(claims)))).status_code == 200


async def test_none_of_them_is_active_and_revoking_one_ends_nothing(browser: Browser, issuer: Issuer) -> None:
    """Besides the forms in which other clients' good tokens come: those are told apart in test_revocation."""
    claims = {**await good_claims(browser), "aud": "approval"}
    good = issuer.sign(claims)
    assert (await introspected(browser, good)).json()["active"] is True
    elsewhere = {"for another audience", "for the client (an id token)"}
    for name, token in forged_tokens(issuer, claims).items():
        assert (await introspected(browser, token)).json() == {"active": False}, name
        if name not in elsewhere:
            form = {"token": token, "client_id": "yijian-app"}
            assert (await browser.http.post("/revoke", data=form)).status_code == 200, name
    assert (await introspected(browser, good)).json()["active"] is True


async def test_an_id_token_a_code_and_a_refresh_token_are_no_access_tokens(browser: Browser) -> None:
    code = await browser.code(scope="openid offline_access", resource="identity")
    tokens = (await browser.redeem(code)).json()
    for token in (tokens["id_token"], tokens["refresh_token"], code):
        for method, path in DOORS:
            answer = await browser.http.request(method, path, headers=bearer(token), json={})
            assert answer.status_code == 401, f"{method} {path}"
