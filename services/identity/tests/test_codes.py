"""An authorization code is redeemed once, in a minute, by whoever asked for it."""

import asyncio
import time

import pytest
from identity.provider import OpenIdProvider
from identity.testing import CALLBACK, CHALLENGE, VERIFIER, Browser, answered, claims_of, said
from yijian_common.tokens import verify
from yijian_contracts.events.people import SessionsEnded

pytestmark = pytest.mark.postgres

PORTAL = ("portal", "portal-secret-0123456789abcdef")


async def test_a_code_gives_tokens_once(browser: Browser) -> None:
    code = await browser.code()
    first = await browser.redeem(code)
    again = await browser.redeem(code)
    assert first.status_code == 200
    assert first.headers["Cache-Control"] == "no-store"
    assert set(first.json()) == {"access_token", "token_type", "expires_in", "scope", "id_token"}
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


async def test_redeeming_it_again_calls_everything_back_and_says_so(browser: Browser, provider: OpenIdProvider) -> None:
    code = await browser.code(scope="openid offline_access")
    tokens = (await browser.redeem(code)).json()
    assert (await browser.userinfo(tokens)).status_code == 200
    await browser.redeem(code)
    assert (await browser.userinfo(tokens)).status_code == 401
    assert (await browser.refresh(tokens)).json()["error"] == "invalid_grant"
    [ended] = await said(provider, SessionsEnded)
    claims = claims_of(tokens["access_token"])
    assert (str(ended.subject), [str(grant) for grant in ended.grants]) == (claims["sub"], [claims["grant"]])
    await browser.redeem(code)
    assert len(await said(provider, SessionsEnded)) == 1, "what has ended ends once"


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": None},
        {"code_verifier": ""},
        {"code_verifier": VERIFIER[:-1] + "A"},
        {"code_verifier": CHALLENGE},
        {"code_verifier": VERIFIER[:42]},
        {"code_verifier": VERIFIER * 4},
        {"redirect_uri": None},
        {"redirect_uri": CALLBACK.replace("45678", "45679")},
        {"redirect_uri": CALLBACK + "/"},
    ],
)
async def test_what_does_not_fit_is_refused(browser: Browser, changes: dict[str, str | None]) -> None:
    response = await browser.redeem(await browser.code(), **changes)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("code", [None, "", "unknown", "x" * 5000])
async def test_a_code_that_nobody_was_given_is_refused(browser: Browser, code: str | None) -> None:
    assert (await browser.redeem(code)).json()["error"] == "invalid_grant"


async def test_a_wrong_verifier_uses_the_code_up(browser: Browser) -> None:
    code = await browser.code()
    await browser.redeem(code, code_verifier="x" * 43)
    assert (await browser.redeem(code)).json()["error"] == "invalid_grant"


async def test_another_client_cannot_redeem_it_and_does_not_spoil_it(browser: Browser) -> None:
    code = await browser.code()
    stolen = await browser.redeem(code, auth=PORTAL, client_id=None)
    assert stolen.json()["error"] == "invalid_grant"
    assert (await browser.redeem(code)).status_code == 200


async def test_after_a_minute_it_is_too_late(browser: Browser, provider: OpenIdProvider) -> None:
    code = await browser.code()
    lasts = await provider.pool.fetchval("SELECT expires_at <= now() + interval '60 s' FROM authorization_codes")
    assert lasts
    await provider.pool.execute("UPDATE authorization_codes SET expires_at = now() - interval '1 ms'")
    assert (await browser.redeem(code)).json()["error"] == "invalid_grant"


async def test_of_a_hundred_at_once_one_succeeds(browser: Browser) -> None:
    code = await browser.code()
    responses = await asyncio.gather(*(browser.redeem(code) for _ in range(100)))
    statuses = [response.status_code for response in responses]
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 400, 503}
    [tokens] = [response.json() for response in responses if response.status_code == 200]
    assert (await browser.userinfo(tokens)).status_code == 401, "99 replays call the one success back"


async def test_codes_lie_hashed(browser: Browser, provider: OpenIdProvider) -> None:
    code = await browser.code()
    row = await provider.pool.fetchrow("SELECT * FROM authorization_codes")
    assert code.encode() not in row["code_index"]


async def test_without_openid_there_is_no_id_token_and_no_userinfo(browser: Browser) -> None:
    code = answered(await browser.log_in(scope="profile"))["code"]
    tokens = (await browser.redeem(code)).json()
    assert "id_token" not in tokens
    assert "refresh_token" not in tokens
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await browser.http.get("/userinfo", headers=headers)).status_code in (401, 403)


async def test_the_access_token_is_for_the_resource_that_was_asked_for(
    browser: Browser, provider: OpenIdProvider
) -> None:
    code = answered(await browser.log_in(resource="department.health", scope=""))["code"]
    token = (await browser.redeem(code)).json()["access_token"]
    keys = provider.signer.verification_keys
    principal = verify(token, keys=keys, issuer="http://identity.test", audience="department.health", now=time.time())
    assert principal.claims["aud"] == "department.health"
    assert principal.id_proof is None, "only the audience with a pairwise key gets a proof"
