"""Signed out here, refused everywhere within seconds: what identity says of ended sessions reaches every service."""

from typing import Any

import httpx
import pytest
from identity.testing import Browser, answered, bearer, hidden_fields
from yijian_messaging.testing import wait_until

from tests.e2e.city import City

pytestmark = pytest.mark.e2e

SECONDS = 60  # a broker that has just started on a busy machine takes its time for the first message
DOORS = {
    "approval": "/v1/applications",
    "data-exchange": "/v1/consents",
    "rating": "/v1/invitations",
    "identity": "/v1/sessions",
}


async def opened(city: City, tokens: dict[str, str]) -> dict[str, int]:
    """What each service answers to its token."""
    answers = {}
    for service, token in tokens.items():
        answer = await city.http.get(f"{city.platform.url(service)}{DOORS[service]}", headers=bearer(token))
        answers[service] = answer.status_code
    return answers


async def wait_until_refused(city: City, tokens: dict[str, str]) -> None:
    answers: dict[str, int] = {}

    async def everywhere() -> bool:
        answers.update(await opened(city, tokens))
        return set(answers.values()) == {401}

    try:
        await wait_until(everywhere, what="every service to refuse the ended session", within=SECONDS)
    except TimeoutError:
        pytest.fail(f"not everyone refuses the ended session: {answers}")


class Device:
    """A phone on which somebody signed in, and its refresh tokens by service."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.browser = Browser(http)
        self.given: dict[str, dict[str, Any]] = {}

    @property
    def tokens(self) -> dict[str, str]:
        return {service: given["access_token"] for service, given in self.given.items()}

    async def sign_in(self, account: str) -> None:
        page = await self.browser.authorize(scope="openid")
        form = {**hidden_fields(page), "account": account}
        assert "code" in answered(await self.browser.http.post("/dev/login", data=form))
        for service in DOORS:
            code = answered(await self.browser.authorize(scope="openid offline_access", resource=service))["code"]
            self.given[service] = (await self.browser.redeem(code)).json()


async def test_a_lost_phone_is_signed_out_and_the_other_device_goes_on(city: City) -> None:
    account = city.families.take().account
    url = city.platform.url("identity")
    async with httpx.AsyncClient(base_url=url) as one, httpx.AsyncClient(base_url=url) as another:
        phone, desk = Device(one), Device(another)
        await phone.sign_in(account)
        await desk.sign_in(account)
        for device in (phone, desk):
            assert await opened(city, device.tokens) == dict.fromkeys(DOORS, 200)
        own = bearer(desk.tokens["identity"])
        listed = (await desk.browser.http.get("/v1/sessions", headers=own)).json()["sessions"]
        [lost] = [session["id"] for session in listed if not session["current"]]
        assert (await desk.browser.http.delete(f"/v1/sessions/{lost}", headers=own)).status_code == 204

        await wait_until_refused(city, phone.tokens)
        for given in phone.given.values():
            assert (await phone.browser.refresh(given)).json()["error"] == "invalid_grant"
        assert await opened(city, desk.tokens) == dict.fromkeys(DOORS, 200)


async def test_signed_out_everywhere_a_new_login_works_at_once(city: City) -> None:
    account = city.families.take().account
    async with httpx.AsyncClient(base_url=city.platform.url("identity")) as http:
        phone = Device(http)
        await phone.sign_in(account)
        before = phone.tokens
        assert (await http.delete("/v1/sessions", headers=bearer(before["identity"]))).status_code == 204
        await phone.sign_in(account)
        await wait_until_refused(city, before)
        assert await opened(city, phone.tokens) == dict.fromkeys(DOORS, 200)


async def test_a_stolen_refresh_token_ends_what_was_given_everywhere(city: City) -> None:
    account = city.families.take().account
    async with httpx.AsyncClient(base_url=city.platform.url("identity")) as http:
        phone = Device(http)
        await phone.sign_in(account)
        stolen = phone.given["approval"]
        second = (await phone.browser.refresh(stolen)).json()
        third = (await phone.browser.refresh(second)).json()
        assert (await phone.browser.refresh(stolen)).json()["error"] == "invalid_grant"
        await wait_until_refused(city, {"approval": third["access_token"]})
        assert (await phone.browser.refresh(third)).json()["error"] == "invalid_grant"
        others = {service: token for service, token in phone.tokens.items() if service != "approval"}
        assert await opened(city, others) == dict.fromkeys(others, 200)
