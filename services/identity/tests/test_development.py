"""The development login is marked as such, gives what a login gives, and does not exist in production."""

import time
from collections.abc import Callable

import pytest
from identity.provider import OpenIdProvider
from identity.testing import Browser, answered, hidden_fields
from yijian_common.pairwise import proves
from yijian_common.settings import Environment
from yijian_common.tokens import Kind, verify, verify_authorisation

pytestmark = pytest.mark.postgres


async def test_a_fictitious_person_is_chosen_from_a_list(browser: Browser) -> None:
    page = await browser.authorize()
    assert "仅限开发环境" in page.text
    assert "father-0001" in page.text
    response = await browser.http.post("/dev/login", data={**hidden_fields(page), "account": "father-0001"})
    assert "code" in answered(response)


async def test_the_list_needs_our_own_form(browser: Browser) -> None:
    page = await browser.authorize()
    fields = {**hidden_fields(page), "account": "father-0001", "form": "forged"}
    assert (await browser.http.post("/dev/login", data=fields)).status_code == 403
    unknown = {**hidden_fields(page), "account": "nobody"}
    assert (await browser.http.post("/dev/login", data=unknown)).status_code == 404


@pytest.mark.parametrize(("account", "kind"), [("mother-0001", Kind.CITIZEN), ("health-0001", Kind.OFFICIAL)])
async def test_a_tool_gets_a_token_without_a_browser(
    browser: Browser, provider: OpenIdProvider, account: str, kind: Kind
) -> None:
    response = await browser.http.post("/dev/token", json={"account": account, "audience": "approval"})
    principal = verify(
        response.json()["access_token"],
        keys=provider.signer.verification_keys,
        issuer="http://identity.test",
        audience="approval",
        now=time.time(),
    )
    assert principal.kind is kind
    assert (principal.id_proof is not None) is (kind is Kind.CITIZEN)


@pytest.mark.parametrize("by", ["account", "subject"])
async def test_a_tool_gets_an_authorisation_without_a_code(browser: Browser, provider: OpenIdProvider, by: str) -> None:
    mother = await provider.pool.fetchval("SELECT id FROM people WHERE account = 'mother-0001'")
    asked = {"account": "father-0001", "actor": "mother-0001" if by == "account" else str(mother)}
    answer = await browser.http.post("/dev/authorisation", json={**asked, "life_event": "birth"})
    said = verify_authorisation(
        answer.json()["authorisation"],
        keys=provider.signer.verification_keys,
        issuer="http://identity.test",
        audience="approval",
        now=time.time(),
    )
    assert (said.actor, said.life_event) == (str(mother), "birth")
    assert proves(said.id_proof, key=provider.pairwise["approval"], id_no="99010119880808003X")
    official = {"account": "health-0001", "actor": "mother-0001", "life_event": "birth"}
    assert (await browser.http.post("/dev/authorisation", json=official)).status_code == 422


async def test_accounts_are_listed_for_tools(browser: Browser) -> None:
    listed = (await browser.http.get("/dev/accounts", params={"kind": "OFFICIAL"})).json()
    assert listed == [{"account": "health-0001", "kind": "OFFICIAL", "name": "李医生", "department": "health"}]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"account": "nobody"}, 404),
        ({"account": "mother-0001", "audience": "nowhere"}, 422),
        ({"account": ""}, 422),
        ({}, 422),
        ({"account": "mother-0001", "scope": "admin"}, 422),
    ],
)
async def test_odd_wishes_are_refused(browser: Browser, body: dict[str, str], status: int) -> None:
    assert (await browser.http.post("/dev/token", json=body)).status_code == status


async def test_in_production_none_of_it_exists(new_browser: Callable[..., Browser]) -> None:
    browser = new_browser(environment=Environment.PRODUCTION)
    page = await browser.authorize()
    assert "仅限开发环境" not in page.text
    assert "father-0001" not in page.text
    for method, path in (
        ("POST", "/dev/token"),
        ("POST", "/dev/authorisation"),
        ("POST", "/dev/login"),
        ("GET", "/dev/accounts"),
        ("GET", "/docs"),
    ):
        response = await browser.http.request(
            method, path, json={"account": "mother-0001"} if method == "POST" else None
        )
        assert response.status_code == 404
