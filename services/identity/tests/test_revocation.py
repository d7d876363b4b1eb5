"""Revocation (RFC 7009) and introspection (RFC 7662): each client has its own tokens only."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from identity.provider import OpenIdProvider
from identity.testing import Browser, claims_of, said
from yijian_contracts.events.people import SessionsEnded

pytestmark = pytest.mark.postgres

PORTAL = ("portal", "portal-secret-0123456789abcdef")
APPROVAL = ("approval", "approval-secret-0123456789abcdef")
HEALTH = ("department.health", "department.health-secret-0123456789abcdef")
OFFLINE = "openid profile offline_access"
APP = {"client_id": "yijian-app"}


async def revoke(browser: Browser, token: str, *, auth: tuple[str, str] | None = None, **fields: str) -> httpx.Response:
    named = fields if auth else {**APP, **fields}
    return await browser.http.post("/revoke", data={"token": token, **named}, auth=auth or httpx.USE_CLIENT_DEFAULT)


async def introspect(browser: Browser, token: str, *, auth: tuple[str, str] = APPROVAL, **fields: str) -> Any:
    return (await browser.http.post("/introspect", data={"token": token, **fields}, auth=auth)).json()


async def portals_tokens(browser: Browser) -> dict[str, Any]:
    callback = "https://portal.test/signed-in?from=identity"
    code = await browser.code(client_id="portal", redirect_uri=callback, scope=OFFLINE)
    answer = await browser.redeem(code, auth=PORTAL, client_id=None, redirect_uri=callback)
    tokens: dict[str, Any] = answer.json()
    return tokens


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
@pytest.mark.parametrize("hint", [None, "access_token", "refresh_token", "something_else"])
async def test_revoking_either_token_ends_both_and_says_so(
    browser: Browser, provider: OpenIdProvider, which: str, hint: str | None
) -> None:
    tokens = await browser.tokens(scope=OFFLINE)
    answer = await revoke(browser, tokens[which], **({} if hint is None else {"token_type_hint": hint}))
    assert (answer.status_code, answer.text) == (200, "")
    assert answer.headers["Cache-Control"] == "no-store"
    assert (await browser.userinfo(tokens)).status_code == 401
    assert (await browser.refresh(tokens)).json()["error"] == "invalid_grant"
    assert await introspect(browser, tokens["access_token"]) == {"active": False}
    [ended] = await said(provider, SessionsEnded)
    assert [str(grant) for grant in ended.grants] == [claims_of(tokens["access_token"])["grant"]]
    assert (await revoke(browser, tokens[which])).status_code == 200
    assert len(await said(provider, SessionsEnded)) == 1


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "x" * 70, "x" * 9000])
async def test_a_token_that_is_none_is_no_error(browser: Browser, token: str) -> None:
    assert (await revoke(browser, token)).status_code == 200


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
async def test_another_clients_token_stays(browser: Browser, provider: OpenIdProvider, which: str) -> None:
    tokens = await browser.tokens(scope=OFFLINE)
    assert (await revoke(browser, tokens[which], auth=PORTAL)).json()["error"] == "invalid_grant"
    assert (await browser.userinfo(tokens)).status_code == 200
    assert (await browser.refresh(tokens)).status_code == 200
    assert await said(provider, SessionsEnded) == []


async def test_a_confidential_client_revokes_with_its_secret_only(browser: Browser) -> None:
    tokens = await portals_tokens(browser)
    for auth in (None, ("portal", "wrong")):
        answer = await revoke(browser, tokens["refresh_token"], auth=auth, client_id="portal")
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert (await browser.userinfo(tokens)).status_code == 200
    assert (await revoke(browser, tokens["refresh_token"], auth=PORTAL)).status_code == 200
    assert (await browser.userinfo(tokens)).status_code == 401


async def test_a_services_own_token_just_runs_out(browser: Browser) -> None:
    form = {"grant_type": "client_credentials"}
    token = (await browser.http.post("/token", data=form, auth=HEALTH)).json()["access_token"]
    assert (await revoke(browser, token, auth=HEALTH)).json()["error"] == "unsupported_token_type"
    told = await introspect(browser, token)
    assert (told["active"], told["client_id"], told["kind"]) == (True, "department.health", "DEPARTMENT")


async def test_an_old_refresh_token_can_still_be_revoked(browser: Browser) -> None:
    tokens = await browser.tokens(scope=OFFLINE)
    newer = (await browser.refresh(tokens)).json()
    await revoke(browser, tokens["refresh_token"])
    assert (await browser.refresh(newer)).status_code == 400


@pytest.mark.parametrize("path", ["/revoke", "/introspect"])
async def test_the_token_must_be_given_once_by_a_form(browser: Browser, path: str) -> None:
    for content in ("", "client_id=approval", "token=a&token=b", "token="):
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await browser.http.post(path, content=content, headers=headers, auth=APPROVAL)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert (await browser.http.post(path, json={"token": "a"}, auth=APPROVAL)).status_code == 400
    assert (await browser.http.get(path, params={"token": "a"}, auth=APPROVAL)).status_code == 405


async def test_introspection_tells_for_whom_a_token_is_what_it_says(browser: Browser) -> None:
    token = (await browser.tokens(scope=OFFLINE))["access_token"]
    told = await introspect(browser, token)
    assert told == {"active": True, "token_type": "Bearer", **claims_of(token)}
    assert told["client_id"] == "yijian-app"
    for personal in ("王小明", "990101199202290029", "13812345678"):
        assert personal not in str(told)


async def test_introspection_tells_its_owner_of_a_refresh_token(browser: Browser, provider: OpenIdProvider) -> None:
    tokens = await portals_tokens(browser)
    told = await introspect(browser, tokens["refresh_token"], auth=PORTAL)
    assert (told["active"], told["client_id"], told["scope"]) == (True, "portal", OFFLINE)
    assert await introspect(browser, tokens["refresh_token"]) == {"active": False}, "not to others"
    newer = (await browser.refresh(tokens, auth=PORTAL, client_id=None)).json()
    assert await introspect(browser, tokens["refresh_token"], auth=PORTAL) == {"active": False}
    assert (await introspect(browser, newer["refresh_token"], auth=PORTAL))["active"]
    await provider.pool.execute("UPDATE grants SET expires_at = expires_at - $1::interval", timedelta(days=31))
    assert await introspect(browser, newer["refresh_token"], auth=PORTAL) == {"active": False}


async def test_whom_a_token_is_none_of_the_business_of_learns_nothing(browser: Browser) -> None:
    for_approval = (await browser.tokens())["access_token"]
    assert await introspect(browser, for_approval, auth=HEALTH) == {"active": False}
    assert await introspect(browser, for_approval, auth=PORTAL) == {"active": False}
    assert (await introspect(browser, for_approval, auth=APPROVAL))["active"]


@pytest.mark.parametrize(
    ("auth", "fields"),
    [
        (None, APP),
        (None, {}),
        (None, {"client_id": "approval"}),
        (("approval", "wrong"), {}),
        (("yijian-app", ""), {}),
        (("nobody", "x" * 30), {}),
    ],
)
async def test_introspection_is_for_confidential_clients(
    browser: Browser, auth: tuple[str, str] | None, fields: dict[str, str]
) -> None:
    token = (await browser.tokens())["access_token"]
    answer = await browser.http.post(
        "/introspect", data={"token": token, **fields}, auth=auth or httpx.USE_CLIENT_DEFAULT
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert "active" not in answer.text


async def test_a_token_of_somebody_signed_out_is_inactive(new_browser: Callable[..., Browser]) -> None:
    browser = new_browser()
    tokens = await browser.tokens(resource="identity", scope="openid")
    other = await browser.tokens(prompt="login")
    assert (await introspect(browser, other["access_token"]))["active"]
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await browser.http.delete("/v1/sessions", headers=headers)).status_code == 204
    assert await introspect(browser, other["access_token"]) == {"active": False}
