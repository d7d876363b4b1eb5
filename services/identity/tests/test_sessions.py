"""A person sees where they are logged in and ends it; what has ended is dead at once, and everyone is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from identity.devices import device_of
from identity.passwords import hash_password
from identity.provider import OpenIdProvider
from identity.testing import Browser, answered, bearer, claims_of, hidden_fields, said
from yijian_contracts.events.people import SessionsEnded

pytestmark = pytest.mark.postgres

NewBrowser = Callable[..., Browser]
OFFLINE = "openid profile offline_access"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 MicroMessenger/8.0.50"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0"


class Device:
    """Someone with a device of their own, logged in by the app: tokens for approval, and for identity itself."""

    def __init__(self, browser: Browser, user_agent: str) -> None:
        self.browser = browser
        self.browser.http.headers["User-Agent"] = user_agent
        self.tokens: dict[str, Any] = {}
        self.own: dict[str, Any] = {}

    async def log_in(self, account: str = "mother-0001") -> "Device":
        page = await self.browser.authorize(scope=OFFLINE)
        entered = await self.browser.http.post("/dev/login", data={**hidden_fields(page), "account": account})
        code = answered(entered)["code"]
        self.tokens = (await self.browser.redeem(code)).json()
        again = answered(await self.browser.authorize(scope=OFFLINE, resource="identity"))
        self.own = (await self.browser.redeem(again["code"])).json()
        return self

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return await self.browser.http.request(method, path, headers=bearer(self.own["access_token"]), **more)

    async def sessions(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = (await self.ask("GET", "/v1/sessions")).json()["sessions"]
        return listed

    async def works(self) -> bool:
        """Whether userinfo, identity's own API, both refresh tokens and the cookie work, or none of them does."""
        answers = {
            (await self.browser.userinfo(self.tokens)).status_code == 200,
            (await self.ask("GET", "/v1/sessions")).status_code == 200,
            (await self.browser.refresh(self.tokens)).status_code == 200,
            (await self.browser.refresh(self.own)).status_code == 200,
            (await self.browser.authorize(prompt="none")).headers["Location"].count("code=") == 1,
        }
        assert len(answers) == 1, "half of it works"
        return answers.pop()

    @property
    def grants(self) -> set[str]:
        return {claims_of(tokens["access_token"])["grant"] for tokens in (self.tokens, self.own)}


@pytest.fixture
def phone(new_browser: NewBrowser) -> Device:
    return Device(new_browser(address="192.0.2.21"), IPHONE)


@pytest.fixture
def desk(new_browser: NewBrowser) -> Device:
    return Device(new_browser(address="192.0.2.22"), WINDOWS)


@pytest.fixture
async def mothers_password(provider: OpenIdProvider) -> AsyncIterator[None]:
    """Whatever it becomes, it is as it was afterwards."""
    yield
    await provider.pool.execute(
        "UPDATE people SET password_hash = $1 WHERE account = 'mother-0001'", await hash_password("correct horse")
    )


async def test_a_person_sees_where_they_are_logged_in(phone: Device, desk: Device) -> None:
    await phone.log_in()
    await desk.log_in()
    here, there = await desk.sessions()
    assert (here["device"], here["current"], here["applications"]) == (
        "Windows 电脑 · Edge 浏览器",
        True,
        ["一件事办理"],
    )
    assert (there["device"], there["current"]) == ("iPhone · 微信", False)
    assert there["last_used"] >= there["since"]
    await phone.browser.refresh(phone.tokens)
    assert [session["device"] for session in await desk.sessions()] == [there["device"], here["device"]]


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (IPHONE, "iPhone · 微信"),
        (WINDOWS, "Windows 电脑 · Edge 浏览器"),
        (
            "Mozilla/5.0 (Linux; Android 15; X) AppleWebKit/537.36 Chrome/130 Mobile Safari/537.36",
            "安卓设备 · Chrome 浏览器",
        ),
        ("python-httpx/0.28", "其他设备"),
        ("", "其他设备"),
        ("<script>alert(1)</script>" * 100, "其他设备"),
    ],
)
def test_a_device_is_told_in_coarse_words(user_agent: str, device: str) -> None:
    assert device_of(user_agent) == device


async def test_one_session_is_ended_and_the_other_goes_on(
    phone: Device, desk: Device, provider: OpenIdProvider
) -> None:
    await phone.log_in()
    await desk.log_in()
    [lost] = [session for session in await desk.sessions() if not session["current"]]
    assert (await desk.ask("DELETE", f"/v1/sessions/{lost['id']}")).status_code == 204
    assert not await phone.works()
    assert await desk.works()
    [ended] = await said(provider, SessionsEnded)
    assert {str(grant) for grant in ended.grants} == phone.grants
    assert str(ended.subject) == claims_of(phone.tokens["access_token"])["sub"]
    assert len(await desk.sessions()) == 1
    assert (await desk.ask("DELETE", f"/v1/sessions/{lost['id']}")).status_code == 404


async def test_signing_out_everywhere_ends_everything(phone: Device, desk: Device, provider: OpenIdProvider) -> None:
    await phone.log_in()
    await desk.log_in()
    tool = (await desk.browser.http.post("/dev/token", json={"account": "mother-0001", "audience": "identity"})).json()
    assert (await desk.ask("DELETE", "/v1/sessions")).status_code == 204
    assert not await phone.works()
    assert not await desk.works()
    by_tool = await desk.browser.http.get("/v1/sessions", headers=bearer(tool["access_token"]))
    assert by_tool.status_code == 401, "also tokens that no session is kept of"
    [ended] = await said(provider, SessionsEnded)
    assert ended.grants == ()
    for tokens in (phone.tokens, desk.tokens, tool):
        assert claims_of(tokens["access_token"])["auth_time"] <= ended.ended_at.timestamp()


async def test_whoever_logs_in_right_after_it_is_in(phone: Device, desk: Device, provider: OpenIdProvider) -> None:
    await phone.log_in()
    await phone.ask("DELETE", "/v1/sessions")
    await desk.log_in()
    [ended] = await said(provider, SessionsEnded)
    assert claims_of(desk.tokens["access_token"])["auth_time"] > ended.ended_at.timestamp()
    assert await desk.works()


async def test_a_code_on_its_way_dies_with_its_session(phone: Device, desk: Device) -> None:
    await phone.log_in()
    code = answered(await phone.browser.authorize(scope=OFFLINE))["code"]
    await desk.log_in()
    await desk.ask("DELETE", "/v1/sessions")
    assert (await phone.browser.redeem(code)).json()["error"] == "invalid_grant"


async def test_ending_and_refreshing_at_once_leaves_nothing_alive(phone: Device, desk: Device) -> None:
    await phone.log_in()
    await desk.log_in()
    [lost] = [session for session in await desk.sessions() if not session["current"]]
    refreshes = [phone.browser.refresh(phone.tokens) for _ in range(20)]
    answers = await asyncio.gather(*refreshes[:10], desk.ask("DELETE", f"/v1/sessions/{lost['id']}"), *refreshes[10:])
    for answer in answers:
        if answer.status_code == 200:
            assert (await phone.browser.refresh(answer.json())).status_code == 400
            assert (await phone.browser.userinfo(answer.json())).status_code == 401


async def test_nobody_ends_anothers_session(phone: Device, desk: Device, provider: OpenIdProvider) -> None:
    await phone.log_in()
    await desk.log_in("health-0001")
    [hers] = await phone.sessions()
    assert (await desk.ask("DELETE", f"/v1/sessions/{hers['id']}")).status_code == 404
    assert (await desk.ask("DELETE", f"/v1/sessions/{uuid4()}")).status_code == 404
    assert (await desk.ask("DELETE", "/v1/sessions/all")).status_code == 422
    assert await phone.works()
    assert await said(provider, SessionsEnded) == []


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/sessions"), ("DELETE", "/v1/sessions"), ("PUT", "/v1/password")]
)
async def test_only_the_person_may_with_a_token_for_identity(
    browser: Browser, phone: Device, method: str, path: str
) -> None:
    await phone.log_in()
    service = ("approval", "approval-secret-0123456789abcdef")
    form = {"grant_type": "client_credentials", "resource": "identity"}
    of_service = (await browser.http.post("/token", data=form, auth=service)).json()["access_token"]
    body = {"current": "correct horse", "new": "a new password"} if method == "PUT" else None
    for token, status in ((of_service, 403), (phone.tokens["access_token"], 401), (phone.own["refresh_token"], 401)):
        assert (await browser.http.request(method, path, json=body, headers=bearer(token))).status_code == status
    assert (await browser.http.request(method, path, json=body)).status_code == 401
    assert await phone.works()


@pytest.mark.usefixtures("mothers_password")
async def test_a_new_password_ends_the_other_sessions(phone: Device, desk: Device, provider: OpenIdProvider) -> None:
    await phone.log_in()
    await desk.log_in()
    body = {"current": "correct horse", "new": "battery horse staple"}
    assert (await desk.ask("PUT", "/v1/password", json=body)).status_code == 204
    assert not await phone.works()
    assert await desk.works()
    [ended] = await said(provider, SessionsEnded)
    assert {str(grant) for grant in ended.grants} == phone.grants
    assert (await phone.browser.log_in(prompt="login")).status_code == 401
    assert (await phone.browser.log_in(password="battery horse staple", prompt="login")).status_code == 303


@pytest.mark.parametrize(
    "body",
    [
        {"current": "wrong", "new": "battery horse staple"},
        {"current": "correct horse", "new": "short"},
        {"current": "correct horse", "new": "correct horse"},
        {"current": "correct horse", "new": "my Mother-0001 password"},
        {"current": "correct horse"},
        {"current": "correct horse", "new": "x" * 257},
    ],
)
async def test_an_odd_password_changes_nothing(
    phone: Device, desk: Device, provider: OpenIdProvider, body: dict[str, str]
) -> None:
    await phone.log_in()
    await desk.log_in()
    answer = await desk.ask("PUT", "/v1/password", json=body)
    assert answer.status_code == 422
    assert "battery" not in answer.text
    assert await phone.works()
    assert await said(provider, SessionsEnded) == []


async def test_guessing_the_current_password_locks_like_a_login(desk: Device) -> None:
    await desk.log_in()
    body = {"current": "guess", "new": "battery horse staple"}
    answers = [await desk.ask("PUT", "/v1/password", json=body) for _ in range(5)]
    right = await desk.ask("PUT", "/v1/password", json={**body, "current": "correct horse"})
    assert {answer.status_code for answer in (*answers, right)} == {422}


async def test_the_page_shows_it_in_chinese_and_signs_out(phone: Device, desk: Device) -> None:
    await phone.log_in()
    await desk.log_in()
    page = await desk.browser.http.get("/account")
    for shown in ("我的登录", "iPhone · 微信", "Windows 电脑 · Edge 浏览器（当前设备）", "一件事办理"):
        assert shown in page.text
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    form = {"form": hidden_fields(page)["form"], "session": (await desk.sessions())[1]["id"]}
    assert (await desk.browser.http.post("/account/sign-out", data=form)).status_code == 303
    assert not await phone.works()
    everywhere = await desk.browser.http.post("/account/sign-out", data={**form, "session": "all"})
    assert "您已在所有设备上退出" in everywhere.text
    assert not await desk.works()
    assert "还没有登录" in (await desk.browser.http.get("/account")).text


@pytest.mark.usefixtures("mothers_password")
async def test_the_page_changes_the_password(phone: Device, desk: Device) -> None:
    await phone.log_in()
    await desk.log_in()
    form = {"form": hidden_fields(await desk.browser.http.get("/account"))["form"], "new": "battery horse staple"}
    wrong = await desk.browser.http.post("/account/password", data={**form, "current": "guess"})
    assert (wrong.status_code, "当前密码不正确" in wrong.text) == (422, True)
    assert await phone.works()
    done = await desk.browser.http.post("/account/password", data={**form, "current": "correct horse"})
    assert "密码已修改" in done.text
    assert not await phone.works()
    assert await desk.works()


async def test_a_form_from_elsewhere_signs_nobody_out(phone: Device, new_browser: NewBrowser) -> None:
    await phone.log_in()
    await phone.browser.http.get("/account")
    foreign = hidden_fields(await new_browser().authorize())["form"]
    for form in ({"session": "all"}, {"session": "all", "form": foreign}, {"session": "all", "form": "é"}):
        assert (await phone.browser.http.post("/account/sign-out", data=form)).status_code == 403
        assert (await phone.browser.http.post("/account/password", data={**form, "new": "x" * 9})).status_code == 403
    right = hidden_fields(await phone.browser.http.get("/account"))["form"]
    odd = await phone.browser.http.post("/account/sign-out", data={"session": "'; --", "form": right})
    assert odd.status_code == 400
    assert await phone.works()
