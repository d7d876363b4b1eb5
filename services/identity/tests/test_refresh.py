"""Refresh tokens: one lineage per grant, the same successor for whoever repeats, and an end for whoever comes late."""

import asyncio
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from identity.provider import OpenIdProvider
from identity.refresh import GRACE_SECONDS
from identity.testing import Browser, answered, claims_of, patiently, said
from yijian_contracts.events.people import SessionsEnded

pytestmark = pytest.mark.postgres

PORTAL = ("portal", "portal-secret-0123456789abcdef")
OFFLINE = "openid profile offline_access"


async def begin(browser: Browser, **changes: str) -> dict[str, Any]:
    return await browser.tokens(scope=OFFLINE, **changes)


async def pass_time(provider: OpenIdProvider, **lasting: float) -> None:
    """As if everything had happened this much earlier."""
    await provider.pool.execute(
        "UPDATE grants SET rotated_at = rotated_at - $1::interval, used_at = used_at - $1::interval,"
        " expires_at = expires_at - $1::interval",
        timedelta(**lasting),
    )


async def test_who_asks_for_offline_access_gets_a_lineage(browser: Browser) -> None:
    first = await begin(browser)
    answer = await browser.refresh(first)
    second = answer.json()
    assert answer.headers["Cache-Control"] == "no-store"
    assert set(second) == {"access_token", "token_type", "expires_in", "scope", "id_token", "refresh_token"}
    assert second["refresh_token"] != first["refresh_token"]
    assert (await browser.userinfo(second)).status_code == 200
    was, now = claims_of(first["access_token"]), claims_of(second["access_token"])
    for name in ("sub", "aud", "client_id", "auth_time", "grant", "scope", "id_proof"):
        assert was[name] == now[name]
    assert was["jti"] != now["jti"]


async def test_who_does_not_ask_gets_none(browser: Browser) -> None:
    assert "refresh_token" not in await browser.tokens()


async def test_a_lineage_goes_on_step_by_step(browser: Browser) -> None:
    tokens = await begin(browser)
    seen = {tokens["refresh_token"]}
    for _ in range(5):
        tokens = (await browser.refresh(tokens)).json()
        seen.add(tokens["refresh_token"])
    assert len(seen) == 6


async def test_a_hundred_at_once_leave_one_lineage_with_one_successor(
    browser: Browser, provider: OpenIdProvider
) -> None:
    tokens = await begin(browser)
    answers = await asyncio.gather(*(patiently(lambda: browser.refresh(tokens)) for _ in range(100)))
    assert [answer.status_code for answer in answers] == [200] * 100
    [successor] = {answer.json()["refresh_token"] for answer in answers}
    assert await provider.pool.fetchval("SELECT generation FROM grants") == 1
    assert (await browser.refresh({"refresh_token": successor})).status_code == 200
    assert await said(provider, SessionsEnded) == []


async def test_a_hundred_at_once_on_two_replicas_as_well(new_browser: Callable[..., Browser]) -> None:
    here, there = new_browser(), new_browser()
    tokens = await begin(here)
    asking = [partial(replica.refresh, tokens) for _ in range(50) for replica in (here, there)]
    answers = await asyncio.gather(*map(patiently, asking))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


async def test_an_answer_that_was_lost_is_given_again_within_the_grace(
    browser: Browser, provider: OpenIdProvider
) -> None:
    tokens = await begin(browser)
    lost = (await browser.refresh(tokens)).json()
    await pass_time(provider, seconds=GRACE_SECONDS - 10)
    again = (await browser.refresh(tokens)).json()
    assert again["refresh_token"] == lost["refresh_token"]
    assert await provider.pool.fetchval("SELECT generation FROM grants") == 1


async def test_an_old_token_after_the_grace_ends_the_lineage_and_says_so(
    browser: Browser, provider: OpenIdProvider
) -> None:
    tokens = await begin(browser)
    newest = (await browser.refresh(tokens)).json()
    await pass_time(provider, seconds=GRACE_SECONDS + 10)
    assert (await browser.refresh(tokens)).json()["error"] == "invalid_grant"
    assert (await browser.refresh(newest)).json()["error"] == "invalid_grant"
    assert (await browser.userinfo(newest)).status_code == 401
    [ended] = await said(provider, SessionsEnded)
    assert [str(grant) for grant in ended.grants] == [claims_of(newest["access_token"])["grant"]]


async def test_a_token_two_steps_back_ends_the_lineage_even_within_the_grace(
    browser: Browser, provider: OpenIdProvider
) -> None:
    tokens = await begin(browser)
    second = (await browser.refresh(tokens)).json()
    third = (await browser.refresh(second)).json()
    assert (await browser.refresh(tokens)).json()["error"] == "invalid_grant"
    assert (await browser.refresh(third)).json()["error"] == "invalid_grant"
    assert len(await said(provider, SessionsEnded)) == 1


async def test_other_grants_of_the_same_login_go_on(browser: Browser, provider: OpenIdProvider) -> None:
    one = await begin(browser)
    other = (await browser.redeem(answered(await browser.authorize(scope=OFFLINE))["code"])).json()
    await browser.refresh(one)
    await pass_time(provider, seconds=GRACE_SECONDS + 10)
    assert (await browser.refresh(one)).status_code == 400
    assert (await browser.refresh(other)).status_code == 200


@pytest.mark.parametrize(
    ("account", "password", "lasts"),
    [("mother-0001", "correct horse", timedelta(days=30)), ("health-0001", "battery staple", timedelta(hours=8))],
)
async def test_a_lineage_ends_however_often_it_is_refreshed(
    browser: Browser, provider: OpenIdProvider, account: str, password: str, lasts: timedelta
) -> None:
    code = answered(await browser.log_in(account, password, scope=OFFLINE))["code"]
    tokens = (await browser.redeem(code)).json()
    await provider.pool.execute(
        "UPDATE grants SET expires_at = expires_at - $1::interval", lasts - timedelta(minutes=1)
    )
    tokens = (await browser.refresh(tokens)).json()
    await provider.pool.execute("UPDATE grants SET expires_at = expires_at - interval '61 s'")
    assert (await browser.refresh(tokens)).json()["error"] == "invalid_grant"


async def test_the_scope_shrinks_and_never_grows(browser: Browser) -> None:
    tokens = await browser.tokens(scope="openid offline_access")
    for beyond in ("openid profile", "admin", "openid offline_access profile"):
        assert (await browser.refresh(tokens, scope=beyond)).json()["error"] == "invalid_scope"
    less = (await browser.refresh(tokens, scope="offline_access")).json()
    assert (less["scope"], "id_token" in less) == ("offline_access", False)
    assert claims_of(less["access_token"])["scope"] == "offline_access"
    again = (await browser.refresh(less)).json()
    assert again["scope"] == "openid offline_access", "what was granted stays granted (RFC 6749 §6)"


async def test_a_wish_beyond_the_grant_does_not_use_the_token_up(browser: Browser, provider: OpenIdProvider) -> None:
    tokens = await begin(browser)
    assert (await browser.refresh(tokens, scope="admin")).status_code == 400
    assert (await browser.refresh(tokens, resource="department.health")).json()["error"] == "invalid_target"
    assert await provider.pool.fetchval("SELECT generation FROM grants") == 0
    assert (await browser.refresh(tokens, resource="approval")).status_code == 200


async def test_it_is_bound_to_its_client_and_another_cannot_spoil_it(
    browser: Browser, provider: OpenIdProvider
) -> None:
    tokens = await begin(browser)
    stolen = await browser.refresh(tokens, auth=PORTAL, client_id=None)
    assert stolen.json()["error"] == "invalid_grant"
    assert (await browser.refresh(tokens, auth=PORTAL, client_id="yijian-app")).json()["error"] == "invalid_request"
    assert (await browser.refresh(tokens)).status_code == 200
    await pass_time(provider, seconds=GRACE_SECONDS + 10)
    assert (await browser.refresh(tokens, auth=PORTAL, client_id=None)).status_code == 400
    assert await said(provider, SessionsEnded) == [], "not even an old one ends anything in foreign hands"


async def test_a_confidential_client_refreshes_with_its_secret_only(browser: Browser) -> None:
    callback = "https://portal.test/signed-in?from=identity"
    code = await browser.code(client_id="portal", redirect_uri=callback, scope=OFFLINE)
    tokens = (await browser.redeem(code, auth=PORTAL, client_id=None, redirect_uri=callback)).json()
    assert (await browser.refresh(tokens, client_id="portal")).status_code == 401
    assert (await browser.refresh(tokens, auth=("portal", "wrong"), client_id=None)).status_code == 401
    assert (await browser.refresh(tokens, auth=PORTAL, client_id=None)).status_code == 200


async def test_a_made_up_token_ends_nothing(browser: Browser) -> None:
    """Services see the grant in access tokens: knowing it must not be enough to end it."""
    tokens = await begin(browser)
    right = urlsafe_b64decode(tokens["refresh_token"] + "==")
    grant, mac = right[:16], right[20:]
    forged = [
        "",
        "x",
        "x" * 70,
        "é" * 70,
        tokens["access_token"],
        tokens["refresh_token"] + "=",
        tokens["refresh_token"][:-1],
        *(
            urlsafe_b64encode(grant + struct.pack(">I", generation) + wrong).rstrip(b"=").decode()
            for generation, wrong in ((0, bytes(32)), (0, mac[::-1]), (1, mac), (7, mac), (2**32 - 1, mac))
        ),
    ]
    for token in forged:
        assert (await browser.refresh({"refresh_token": token})).json()["error"] == "invalid_grant"
    assert (await browser.refresh(tokens)).status_code == 200


async def test_the_tokens_lie_nowhere(browser: Browser, provider: OpenIdProvider) -> None:
    tokens = await begin(browser)
    row = await provider.pool.fetchrow("SELECT * FROM grants")
    mac = urlsafe_b64decode(tokens["refresh_token"] + "==")[20:]
    assert mac not in row["secret"]
    assert tokens["refresh_token"] not in str(dict(row))


async def test_what_a_person_may_do_is_looked_up_again(browser: Browser, provider: OpenIdProvider) -> None:
    tokens = await begin(browser)
    await provider.pool.execute("UPDATE people SET real_name_level = 'L2' WHERE account = 'mother-0001'")
    try:
        refreshed = (await browser.refresh(tokens)).json()
    finally:
        await provider.pool.execute("UPDATE people SET real_name_level = 'L3' WHERE account = 'mother-0001'")
    assert claims_of(refreshed["access_token"])["real_name_level"] == "L2"
