"""Verifying callers: the issuer may be down, keys rotate, and each door opens for whom it is meant."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI
from yijian_common import auth
from yijian_common.auth import (
    FileKeySetStore,
    PostgresKeySetStore,
    Principal,
    RealNameLevel,
    TokenVerifier,
    require_citizen,
    require_level,
    require_official,
    require_principal,
    require_service,
)
from yijian_common.database import Pool
from yijian_common.errors import Unauthenticated
from yijian_common.key_sets import CREATE_TABLE
from yijian_common.testing import InMemoryKeySetStore, Issuer
from yijian_common.tokens import Kind, Post, TokenRefusedError

AUDIENCE = "approval"


class Provider:
    """identity's two documents over HTTP, with a switch and a counter."""

    def __init__(self) -> None:
        self.issuers = [Issuer("http://identity.test")]
        self.up = True
        self.fetched = 0
        self.discovery: dict[str, str] = {
            "issuer": "http://identity.test",
            "jwks_uri": "http://identity.test/jwks",
        }

    def answer(self, request: httpx.Request) -> httpx.Response:
        if not self.up:
            raise httpx.ConnectError("refused")
        if request.url.path == "/jwks":
            self.fetched += 1
            keys = [issuer.key.as_dict(private=False) for issuer in self.issuers]
            return httpx.Response(200, json={"keys": keys})
        return httpx.Response(200, json=self.discovery)

    def verifier(self, store: auth.KeySetStore) -> TokenVerifier:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        return TokenVerifier(issuer="http://identity.test", audience=AUDIENCE, http=http, store=store)


@pytest.fixture
def provider() -> Provider:
    return Provider()


async def run_until(verifier: TokenVerifier, reached: Callable[[], bool]) -> None:
    stopping = asyncio.Event()
    task = asyncio.create_task(verifier.run(stopping))
    async with asyncio.timeout(5):
        while not reached():  # noqa: ASYNC110 - what is waited for is another task's effect, not an event
            await asyncio.sleep(0.01)
    stopping.set()
    await task


async def test_keys_fetched_once_serve_while_identity_is_down(provider: Provider, tmp_path: Path) -> None:
    store = FileKeySetStore(tmp_path / "state" / "keys.json")
    first = provider.verifier(store)
    await first.load_stored_keys()
    assert first.problem() is not None
    await run_until(first, lambda: first.problem() is None)

    provider.up = False
    restarted = provider.verifier(store)
    await restarted.load_stored_keys()
    assert restarted.problem() is None
    assert (await restarted.verify(provider.issuers[0].token(AUDIENCE))).kind is Kind.CITIZEN


@pytest.mark.postgres
async def test_the_key_set_is_kept_in_the_services_own_database(provider: Provider, pool: Pool) -> None:
    await pool.execute(CREATE_TABLE)
    store = PostgresKeySetStore(pool, issuer="http://identity.test")
    assert await store.load() is None
    verifier = provider.verifier(store)
    await run_until(verifier, lambda: verifier.problem() is None)
    again = provider.verifier(PostgresKeySetStore(pool, issuer="http://identity.test"))
    provider.up = False
    await again.load_stored_keys()
    await again.verify(provider.issuers[0].token(AUDIENCE))
    assert await PostgresKeySetStore(pool, issuer="http://other.test").load() is None


async def test_a_key_newer_than_ours_is_fetched_and_strangers_cannot_make_us_fetch_more(provider: Provider) -> None:
    verifier = provider.verifier(InMemoryKeySetStore(provider.issuers[0].key_set))
    await verifier.load_stored_keys()
    rotated = Issuer("http://identity.test")
    provider.issuers.insert(0, rotated)

    await verifier.verify(rotated.token(AUDIENCE))
    await verifier.verify(provider.issuers[1].token(AUDIENCE))
    assert provider.fetched == 1

    strangers = [Issuer("http://identity.test").token(AUDIENCE) for _ in range(20)]
    refused = await asyncio.gather(*(verifier.verify(token) for token in strangers), return_exceptions=True)
    assert all(isinstance(error, Unauthenticated) for error in refused)
    assert provider.fetched == 1


async def test_a_withdrawn_key_takes_its_tokens_with_it(provider: Provider) -> None:
    verifier = provider.verifier(InMemoryKeySetStore(provider.issuers[0].key_set))
    await verifier.load_stored_keys()
    token = provider.issuers[0].token(AUDIENCE)
    await verifier.verify(token)
    provider.issuers = [Issuer("http://identity.test")]
    await run_until(verifier, lambda: provider.fetched > 0)
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)


async def test_an_authorisation_is_read_with_the_same_keys_also_new_ones(provider: Provider) -> None:
    verifier = provider.verifier(InMemoryKeySetStore(provider.issuers[0].key_set))
    await verifier.load_stored_keys()
    rotated = Issuer("http://identity.test")
    provider.issuers.insert(0, rotated)
    said = {"subject": "father", "actor": "mother", "id_proof": "p" * 43, "life_event": "birth"}
    assert (await verifier.verify_authorisation(rotated.authorisation(AUDIENCE, **said))).actor == "mother"
    with pytest.raises(TokenRefusedError):
        await verifier.verify_authorisation(rotated.authorisation("other", **said))
    with pytest.raises(TokenRefusedError):
        await verifier.verify_authorisation(rotated.token(AUDIENCE))


async def test_a_remembered_token_ends_all_the_same(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = await provider.issuers[0].verifier(AUDIENCE)
    token = provider.issuers[0].token(AUDIENCE)
    await verifier.verify(token)
    late = time.time() + 400
    monkeypatch.setattr(auth.time, "time", lambda: late)
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)


@pytest.mark.parametrize(
    "discovery",
    [{"issuer": "http://other.test", "jwks_uri": "http://identity.test/jwks"}, {"issuer": "http://identity.test"}, {}],
)
async def test_an_odd_discovery_document_changes_nothing(provider: Provider, discovery: dict[str, str]) -> None:
    provider.discovery = discovery
    verifier = provider.verifier(InMemoryKeySetStore(provider.issuers[0].key_set))
    await verifier.load_stored_keys()
    with pytest.raises(Unauthenticated):
        await verifier.verify(Issuer("http://identity.test").token(AUDIENCE))
    await verifier.verify(provider.issuers[0].token(AUDIENCE))


async def test_a_damaged_stored_key_set_counts_as_none(provider: Provider) -> None:
    verifier = provider.verifier(InMemoryKeySetStore(b'{"keys": ['))
    await verifier.load_stored_keys()
    assert verifier.problem() is not None


ISSUER = Issuer()
HEALTH = Post("health", "990101000000", ("B1",), "OFFICER")
TAXATION = Post("taxation", "990101000000", (), "OFFICER")
# Made when they are needed: a token lasts five minutes, and a whole run of the tests takes longer.
TOKENS: dict[str, Callable[[], str | None]] = {
    "nobody": lambda: None,
    "citizen": lambda: ISSUER.citizen(AUDIENCE, subject="c"),
    "weak citizen": lambda: ISSUER.token(AUDIENCE, real_name_level="L1"),
    "health": lambda: ISSUER.official(AUDIENCE, HEALTH, subject="h"),
    "taxation": lambda: ISSUER.official(AUDIENCE, TAXATION, subject="t"),
    "approval": lambda: ISSUER.service(AUDIENCE, "approval"),
    "other service": lambda: ISSUER.service(AUDIENCE, "rating"),
    "garbage": lambda: "garbage",
}
DOORS = {
    "/anyone": require_principal,
    "/citizen": require_citizen,
    "/level": require_level(RealNameLevel.L3),
    "/official": require_official(),
    "/health": require_official(department="health"),
    "/head": require_official(department="health", roles=frozenset({"HEAD"})),
    "/service": require_service("approval"),
    "/scoped": require_service("approval", scope="admin"),
}
OPEN = {
    "/anyone": {"citizen", "weak citizen", "health", "taxation", "approval", "other service"},
    "/citizen": {"citizen", "weak citizen"},
    "/level": {"citizen"},
    "/official": {"health", "taxation"},
    "/health": {"health"},
    "/head": set(),
    "/service": {"approval"},
    "/scoped": set(),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("caller", TOKENS)
async def test_each_door_opens_for_whom_it_is_meant(
    door: str, caller: str, make_app: Callable[..., FastAPI], client_of: Callable[[FastAPI], httpx.AsyncClient]
) -> None:
    router = APIRouter()

    @router.get(door)
    async def enter(principal: Annotated[Principal, Depends(DOORS[door])]) -> str:
        return principal.subject

    app = make_app(router)
    app.state.tokens = await ISSUER.verifier(AUDIENCE)
    token = TOKENS[caller]()
    answer = await client_of(app).get(door, headers={} if token is None else {"Authorization": f"Bearer {token}"})

    if caller in OPEN[door]:
        assert answer.status_code == 200
    elif caller in ("nobody", "garbage"):
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    else:
        assert answer.status_code == 403
    assert "garbage" not in answer.text
    assert json.dumps(answer.json())
