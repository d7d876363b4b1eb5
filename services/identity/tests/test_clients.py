"""Services speak for themselves with a secret; everyone else is turned away the same way."""

import asyncio
import json
import stat
import time
from functools import partial
from pathlib import Path

import pytest
from identity.client_secrets import register_secrets
from identity.provider import OpenIdProvider
from identity.testing import Browser, patiently
from yijian_common.process import StartError
from yijian_common.tokens import Kind, verify

pytestmark = pytest.mark.postgres

APPROVAL = ("approval", "approval-secret-0123456789abcdef")
HEALTH = ("department.health", "department.health-secret-0123456789abcdef")
ITSELF = {"grant_type": "client_credentials"}


@pytest.mark.parametrize(
    ("client", "kind", "audience"), [(APPROVAL, Kind.SERVICE, "approval"), (HEALTH, Kind.DEPARTMENT, "approval")]
)
@pytest.mark.parametrize("way", ["basic", "post"])
async def test_a_service_gets_a_token_for_itself(
    browser: Browser, provider: OpenIdProvider, client: tuple[str, str], kind: Kind, audience: str, way: str
) -> None:
    posted = {"client_id": client[0], "client_secret": client[1]} if way == "post" else {}
    response = await browser.http.post(
        "/token", data={**ITSELF, **posted}, **({"auth": client} if way == "basic" else {})
    )
    principal = verify(
        response.json()["access_token"],
        keys=provider.signer.verification_keys,
        issuer="http://identity.test",
        audience=audience,
        now=time.time(),
    )
    assert (principal.subject, principal.client_id, principal.kind) == (client[0], client[0], kind)
    assert response.json()["expires_in"] <= 300


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({}, {}),
        ({}, {"client_id": "approval"}),
        ({}, {"client_id": "approval", "client_secret": "wrong"}),
        ({}, {"client_id": "unknown", "client_secret": "wrong"}),
        ({}, {"client_id": "identity", "client_secret": "no secret was ever set"}),
        ({}, {"client_id": "yijian-app", "client_secret": "public clients have none"}),
        ({"Authorization": "Basic !!!"}, {}),
        ({"Authorization": "Basic YXBwcm92YWw="}, {}),
        ({"Authorization": "Bearer abc"}, {}),
        ({"Authorization": "Basic"}, {}),
    ],
)
async def test_a_client_that_cannot_prove_itself_is_turned_away(
    browser: Browser, headers: dict[str, str], fields: dict[str, str]
) -> None:
    response = await browser.http.post("/token", data={**ITSELF, **fields}, headers=headers)
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert response.headers["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "invalid_grant"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
        ({**ITSELF, "resource": "nowhere"}, "invalid_target"),
        ({**ITSELF, "client_id": "department.health"}, "invalid_request"),
        ({**ITSELF, "client_secret": "also here"}, "invalid_request"),
    ],
)
async def test_what_a_proven_client_may_not_do(browser: Browser, fields: dict[str, str], error: str) -> None:
    response = await browser.http.post("/token", data=fields, auth=APPROVAL)
    assert (response.status_code, response.json()["error"]) == (400, error)


async def test_people_clients_do_not_speak_for_themselves(browser: Browser) -> None:
    portal = ("portal", "portal-secret-0123456789abcdef")
    assert (await browser.http.post("/token", data=ITSELF, auth=portal)).json()["error"] == "unauthorized_client"
    public = await browser.http.post("/token", data={**ITSELF, "client_id": "yijian-app"})
    assert public.json()["error"] == "unauthorized_client"


async def test_secrets_lie_hashed_and_a_new_one_replaces_the_old(
    browser: Browser, provider: OpenIdProvider, tmp_path: Path
) -> None:
    hashes = await provider.pool.fetch("SELECT secret_hash FROM client_secrets")
    assert {len(row["secret_hash"]) for row in hashes} == {32}
    assert not any(APPROVAL[1].encode() in row["secret_hash"] for row in hashes)
    path = tmp_path / "new.json"
    path.write_text(json.dumps({"approval": "another-secret-0123456789"}))
    await register_secrets(provider.pool, provider.keyring, provider.clients, path)
    assert (await browser.http.post("/token", data=ITSELF, auth=APPROVAL)).status_code == 401
    new = ("approval", "another-secret-0123456789")
    assert (await browser.http.post("/token", data=ITSELF, auth=new)).status_code == 200


async def test_wrong_secrets_cost_next_to_nothing(browser: Browser) -> None:
    """Passwords are hashed slowly, in few threads: whoever could fill those would keep everybody from logging in."""
    wrong = ("approval", "x" * 43)
    began = time.process_time()
    asking = partial(browser.http.post, "/token", data=ITSELF, auth=wrong)
    answers = await asyncio.gather(*(patiently(asking) for _ in range(50)))
    assert time.process_time() - began < 50 * 0.02
    assert {answer.status_code for answer in answers} == {401}


async def test_the_secret_of_another_client_opens_nothing(browser: Browser) -> None:
    assert (await browser.http.post("/token", data=ITSELF, auth=("identity", APPROVAL[1]))).status_code == 401
    assert (await browser.http.post("/token", data=ITSELF, auth=(HEALTH[0], APPROVAL[1]))).status_code == 401


async def test_missing_secrets_are_made_for_their_owner_alone(provider: OpenIdProvider, tmp_path: Path) -> None:
    path = tmp_path / "made" / "secrets.json"
    await register_secrets(provider.pool, provider.keyring, provider.clients, path)
    made = json.loads(path.read_text())
    assert set(made) == {client.id for client in provider.clients.values() if client.confidential}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(set(made.values())) == len(made)


@pytest.mark.parametrize(
    "document",
    [
        "[]",
        "nope",
        '{"unknown": "0123456789012345678901234"}',
        '{"approval": "short"}',
        '{"yijian-app": "0123456789012345678901234"}',
        '{"approval": 1}',
    ],
)
async def test_an_odd_secrets_file_stops_the_start(provider: OpenIdProvider, tmp_path: Path, document: str) -> None:
    path = tmp_path / "odd.json"
    path.write_text(document)
    with pytest.raises(StartError, match="client secrets file"):
        await register_secrets(provider.pool, provider.keyring, provider.clients, path)
