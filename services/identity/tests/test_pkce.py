"""PKCE cannot be talked down: each row is how one tries, at the authorization endpoint or at the token endpoint."""

from datetime import timedelta

import pytest
from identity.provider import OpenIdProvider
from identity.testing import CHALLENGE, VERIFIER, Browser, answered

pytestmark = pytest.mark.postgres

PORTAL = ("portal", "portal-secret-0123456789abcdef")
PORTAL_CALLBACK = "https://portal.test/signed-in?from=identity"

ASKED = {
    "no challenge": {"code_challenge": None, "code_challenge_method": None},
    "no challenge, a method": {"code_challenge": None},
    "a challenge without a method, which would mean plain": {"code_challenge_method": None},
    "plain": {"code_challenge": VERIFIER, "code_challenge_method": "plain"},
    "plain over an S256 challenge": {"code_challenge_method": "plain"},
    "PLAIN": {"code_challenge_method": "PLAIN"},
    "a method of another hash": {"code_challenge_method": "S512"},
    "a method in lower case": {"code_challenge_method": "s256"},
    "an empty challenge": {"code_challenge": ""},
    "a challenge too short to be a hash": {"code_challenge": CHALLENGE[:-1]},
    "a padded challenge": {"code_challenge": CHALLENGE + "="},
}
REDEEMED = {
    "no verifier": {"code_verifier": None},
    "an empty verifier": {"code_verifier": ""},
    "the challenge for a verifier": {"code_verifier": CHALLENGE},
    "another verifier": {"code_verifier": VERIFIER[::-1]},
    "the verifier and more": {"code_verifier": VERIFIER + "x"},
    "the verifier cut short": {"code_verifier": VERIFIER[:-1]},
    "the verifier in other letters": {"code_verifier": VERIFIER.swapcase()},
    "no verifier, but a method": {"code_verifier": None, "code_challenge_method": "plain"},
}


@pytest.mark.parametrize("how", ASKED)
async def test_no_code_is_given_for_less(browser: Browser, how: str) -> None:
    told = answered(await browser.authorize(**ASKED[how]))
    assert told["error"] == "invalid_request"
    assert "code" not in told


@pytest.mark.parametrize("how", REDEEMED)
async def test_no_token_is_given_for_less(browser: Browser, how: str) -> None:
    answer = await browser.redeem(await browser.code(), **REDEEMED[how])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("verifier", [VERIFIER, "x" * 43, None, ""])
async def test_a_verifier_proves_nothing_where_no_challenge_was(
    browser: Browser, provider: OpenIdProvider, verifier: str | None
) -> None:
    """RFC 9700 §2.1.1: were there ever a code without a challenge, a verifier sent with it must not pass."""
    code = await browser.code()
    await provider.pool.execute("UPDATE authorization_codes SET code_challenge = ''")
    assert (await browser.redeem(code, code_verifier=verifier)).json()["error"] == "invalid_grant"


async def test_a_confidential_client_needs_it_as_well(browser: Browser) -> None:
    code = await browser.code(client_id="portal", redirect_uri=PORTAL_CALLBACK)
    form = {"client_id": None, "redirect_uri": PORTAL_CALLBACK}
    assert (await browser.redeem(code, auth=PORTAL, code_verifier=None, **form)).json()["error"] == "invalid_grant"


async def test_another_clients_code_is_worth_nothing_even_with_its_verifier(browser: Browser) -> None:
    apps = await browser.code()
    stolen = await browser.redeem(apps, auth=PORTAL, client_id=None)
    assert stolen.json()["error"] == "invalid_grant"
    portals = answered(await browser.authorize(client_id="portal", redirect_uri=PORTAL_CALLBACK))["code"]
    assert (await browser.redeem(portals, redirect_uri=PORTAL_CALLBACK)).json()["error"] == "invalid_grant"
    assert (await browser.redeem(apps)).status_code == 200


async def test_two_codes_of_one_person_do_not_share_their_verifiers(browser: Browser) -> None:
    first = await browser.code()
    second = answered(await browser.authorize(code_challenge=CHALLENGE[::-1]))["code"]
    assert (await browser.redeem(second)).json()["error"] == "invalid_grant"
    assert (await browser.redeem(first)).status_code == 200


@pytest.mark.parametrize("seconds", [0, 1, 30, 62, 3600])
async def test_a_code_used_again_ends_what_it_gave_however_late(
    browser: Browser, provider: OpenIdProvider, seconds: int
) -> None:
    code = await browser.code(scope="openid offline_access")
    tokens = (await browser.redeem(code)).json()
    later = timedelta(seconds=seconds)
    await provider.pool.execute(
        "UPDATE authorization_codes SET used_at = used_at - $1::interval, expires_at = expires_at - $1::interval", later
    )
    assert (await browser.redeem(code)).json()["error"] == "invalid_grant"
    for _ in range(2):
        assert (await browser.userinfo(tokens)).status_code == 401
        assert (await browser.refresh(tokens)).json()["error"] == "invalid_grant"
