"""Logging in: five tries, one answer for every failure, a form and a session that are this browser's own."""

import asyncio
import statistics
import time
from collections.abc import Callable

import pytest
from identity.provider import OpenIdProvider
from identity.testing import Browser, answered, hidden_fields

pytestmark = pytest.mark.postgres

NewBrowser = Callable[..., Browser]


async def test_five_failures_lock_the_account_wherever_they_come_from(new_browser: NewBrowser) -> None:
    for place in range(5):
        stranger = new_browser(address=f"192.0.2.{place + 10}")
        assert (await stranger.log_in(password="guess")).status_code == 401
    assert (await new_browser(address="192.0.2.99").log_in()).status_code == 401, "the right password comes too late"
    other = new_browser(address="192.0.2.98")
    assert (await other.log_in("health-0001", "battery staple")).status_code == 303


async def test_five_failures_lock_the_source_whatever_the_account(new_browser: NewBrowser) -> None:
    for place in range(5):
        await new_browser(address="192.0.2.1").log_in(f"nobody-{place}", "guess")
    assert (await new_browser(address="192.0.2.1").log_in()).status_code == 401
    assert (await new_browser(address="192.0.2.2").log_in()).status_code == 303


async def test_the_lock_ends_after_a_quarter_of_an_hour(browser: Browser, provider: OpenIdProvider) -> None:
    for _ in range(7):
        await browser.log_in(password="guess")
    await provider.pool.execute("UPDATE login_failures SET since = since - interval '14 min'")
    assert (await browser.log_in()).status_code == 401
    await provider.pool.execute("UPDATE login_failures SET since = since - interval '2 min'")
    assert (await browser.log_in()).status_code == 303


async def test_a_success_forgets_the_accounts_failures_before_it(new_browser: NewBrowser) -> None:
    for place in range(3):
        browser = new_browser(address=f"192.0.2.{place}")
        for _ in range(4):
            await browser.log_in(password="guess")
        assert (await browser.log_in(prompt="login")).status_code == 303


async def test_an_account_of_ones_own_hides_no_guesses_at_others(new_browser: NewBrowser) -> None:
    attacker = new_browser()
    for place in range(5):
        assert (await attacker.log_in("health-0001", "battery staple", prompt="login")).status_code == 303
        assert (await attacker.log_in(f"nobody-{place}", "guess", prompt="login")).status_code == 401
    assert (await attacker.log_in("health-0001", "battery staple", prompt="login")).status_code == 401


async def test_successes_count_against_no_source_and_prolong_nothing(
    new_browser: NewBrowser, provider: OpenIdProvider
) -> None:
    browser = new_browser()
    for _ in range(8):
        assert (await browser.log_in(prompt="login")).status_code == 303
    for _ in range(3):
        await browser.log_in("nobody", "guess", prompt="login")
        await provider.pool.execute("UPDATE login_failures SET since = since - interval '14 min'")
        assert (await browser.log_in(prompt="login")).status_code == 303
        await provider.pool.execute("UPDATE login_failures SET since = since - interval '2 min'")
    assert await provider.pool.fetchval("SELECT max(failures) FROM login_failures") == 1


async def test_many_guesses_at_once_are_no_more_than_five(new_browser: NewBrowser, provider: OpenIdProvider) -> None:
    browser = new_browser()
    page = await browser.authorize()
    guesses = [browser.send(page, account="mother-0001", password=f"guess {n}") for n in range(20)]
    answers = await asyncio.gather(*guesses, browser.send(page, account="mother-0001", password="correct horse"))
    assert {answer.status_code for answer in answers} == {401}
    assert await provider.pool.fetchval("SELECT max(failures) FROM login_failures") == 21


async def test_every_failure_reads_the_same(new_browser: NewBrowser) -> None:
    tries = [("mother-0001", "wrong"), ("nobody", "wrong"), ("", ""), ("mother-0001", "x" * 300), ("' OR 1=1 --", "x")]
    pages = []
    for place, (account, password) in enumerate(tries):
        answer = await new_browser(address=f"198.51.100.{place}").log_in(account, password)
        pages.append((answer.status_code, answer.text.partition('role="alert"')[2].partition("</p>")[0]))
    assert set(pages) == {(401, pages[0][1])}
    assert "账号或密码不正确" in pages[0][1]


async def test_an_unknown_account_takes_as_long_as_a_wrong_password(new_browser: NewBrowser) -> None:
    async def median(account: str) -> float:
        taken = []
        for place in range(5):
            browser = new_browser(address=f"203.0.113.{place}", login_failures_per_account=10)
            page = await browser.authorize()
            began = time.perf_counter()
            await browser.send(page, account=account, password="guess")
            taken.append(time.perf_counter() - began)
        return statistics.median(taken)

    known, unknown = await median("mother-0001"), await median("nobody-0001")
    assert abs(known - unknown) < max(known, unknown) / 2, "one of them skips the password hash"


async def test_a_form_from_elsewhere_logs_nobody_in(browser: Browser, new_browser: NewBrowser) -> None:
    attacker = new_browser()
    fields = hidden_fields(await attacker.authorize())
    await browser.authorize()
    right = {"account": "mother-0001", "password": "correct horse"}
    for forged in ({**fields, **right}, {**fields, **right, "form": ""}, {**fields, **right, "form": "é"}):
        response = await browser.http.post("/login", data=forged)
        assert response.status_code == 403
        assert "yijian-session" not in response.headers.get("Set-Cookie", "")


async def test_a_session_begins_fresh_and_a_planted_cookie_is_worth_nothing(browser: Browser) -> None:
    browser.http.cookies.set("yijian-session", "planted", domain="identity.test")
    assert (await browser.authorize()).status_code == 200
    response = await browser.log_in()
    assert "yijian-session=planted" not in response.headers["Set-Cookie"]


async def test_a_session_ends_after_eight_hours(browser: Browser, provider: OpenIdProvider) -> None:
    await browser.log_in()
    await provider.pool.execute("UPDATE login_sessions SET expires_at = expires_at - interval '8 hours'")
    assert (await browser.authorize()).status_code == 200


async def test_over_https_cookies_belong_to_this_host_alone(new_browser: NewBrowser) -> None:
    browser = new_browser(identity_issuer="https://identity.test")
    response = await browser.log_in()
    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith("__Host-yijian-session=")
    for flag in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"):
        assert flag in cookie
    assert "Domain" not in cookie


@pytest.mark.parametrize("body", [b"", b"form=a&form=b", b"%ff=%ff", b"a=%00", b"form=" + b"x" * 100_000])
async def test_an_odd_form_is_a_clear_4xx(browser: Browser, body: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await browser.http.post("/login", content=body, headers=headers)).status_code == 400
    assert (await browser.http.post("/login", json={})).status_code == 400


async def test_an_official_logs_in_the_same_way(browser: Browser) -> None:
    assert "code" in answered(await browser.log_in("health-0001", "battery staple"))
