"""Signing keys change with overlap: at no moment is a good token refused, whichever replica signs or is asked."""

import asyncio
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from identity.key_rotation import (
    KEPT,
    PUBLISHED_AHEAD,
    KeyRotation,
    KeyState,
    rotate,
    stored_keys,
    withdraw_others,
)
from identity.main import MIGRATIONS
from identity.settings import IdentitySettings
from identity.signing import AUTHORISATION_SECONDS, RELOAD_SECONDS, Signer, load_signer
from pydantic import SecretStr
from yijian_common import auth, database
from yijian_common.auth import TokenVerifier
from yijian_common.crypto import Keyring
from yijian_common.database import Pool
from yijian_common.testing import InMemoryKeySetStore
from yijian_common.tokens import LEEWAY_SECONDS, TokenRefusedError, verify
from yijian_embedded.testing import FreshDatabase

pytestmark = pytest.mark.postgres

ISSUER = "http://identity.test"
CLAIMS = {"sub": "approval", "aud": "approval", "client_id": "approval", "kind": "SERVICE"}
NINETY_DAYS = timedelta(days=90)


@pytest.fixture
def keyring(settings: IdentitySettings) -> Keyring:
    return Keyring.load(settings.key_file)


@pytest.fixture
async def keys(settings: IdentitySettings, fresh_database: FreshDatabase) -> AsyncIterator[Pool]:
    """A database of its own: keys are for ever in that of the other tests."""
    own = settings.model_copy(update={"database_url": SecretStr(fresh_database("identity"))})
    await database.migrate(own, MIGRATIONS)
    async with database.open_pool(own) as pool:
        yield pool


async def signer(keys: Pool, keyring: Keyring) -> Signer:
    return await load_signer(keys, keyring, issuer=ISSUER)


async def turn(keys: Pool, keyring: Keyring, *, ahead: timedelta = PUBLISHED_AHEAD) -> bool:
    async with database.transaction(keys) as held:
        return await rotate(held, keyring, ahead=ahead)


async def pass_time(keys: Pool, lasting: timedelta) -> None:
    await keys.execute("UPDATE signing_keys SET signs_from = signs_from - $1::interval", lasting)


async def states(keys: Pool) -> list[KeyState]:
    async with database.connection(keys) as held:
        return [key.state for key in await stored_keys(held)]


def good(token: str, at: Signer) -> bool:
    try:
        verify(token, keys=at.verification_keys, issuer=ISSUER, audience="approval", now=time.time())
    except TokenRefusedError:
        return False
    return True


def kids(at: Signer) -> list[str]:
    return [key["kid"] for key in json.loads(at.key_set)["keys"]]


def test_the_overlap_is_longer_than_tokens_and_caches_last() -> None:
    assert PUBLISHED_AHEAD.total_seconds() > auth.REFRESH_SECONDS + 300 + RELOAD_SECONDS
    assert KEPT.total_seconds() >= AUTHORISATION_SECONDS + LEEWAY_SECONDS + auth.REFRESH_SECONDS


async def test_the_next_key_is_published_before_it_signs_and_the_old_one_stays(keys: Pool, keyring: Keyring) -> None:
    at = await signer(keys, keyring)
    first, old_token = at.key.kid, at.access_token(CLAIMS)
    assert await turn(keys, keyring)
    await at.reload()
    assert at.key.kid == first
    assert len(kids(at)) == 2
    assert await states(keys) == [KeyState.SIGNS, KeyState.NEXT]

    await pass_time(keys, PUBLISHED_AHEAD + timedelta(seconds=1))
    await at.reload()
    assert at.key.kid != first
    assert good(old_token, at)
    assert good(at.access_token(CLAIMS), at)
    assert await states(keys) == [KeyState.OLD, KeyState.SIGNS]

    rotation = KeyRotation(keys, keyring, age=NINETY_DAYS)
    await rotation.look()
    await at.reload()
    assert good(old_token, at)
    await pass_time(keys, KEPT)
    await rotation.look()
    await at.reload()
    assert not good(old_token, at)
    assert kids(at) == [at.key.kid]


async def test_the_private_part_goes_when_a_key_signs_no_more(keys: Pool, keyring: Keyring) -> None:
    await signer(keys, keyring)
    await turn(keys, keyring)
    await pass_time(keys, PUBLISHED_AHEAD + timedelta(minutes=3))
    await KeyRotation(keys, keyring, age=NINETY_DAYS).look()
    rows = await keys.fetch("SELECT sealed IS NULL AS gone FROM signing_keys ORDER BY signs_from")
    assert [row["gone"] for row in rows] == [True, False]
    assert (await signer(keys, keyring)).access_token(CLAIMS)


async def test_it_comes_by_age_and_once_whoever_looks(keys: Pool, keyring: Keyring) -> None:
    await signer(keys, keyring)
    replicas = [KeyRotation(keys, keyring, age=NINETY_DAYS) for _ in range(5)]
    await asyncio.gather(*(replica.look() for replica in replicas))
    assert await states(keys) == [KeyState.SIGNS]
    await pass_time(keys, NINETY_DAYS)
    for _ in range(2):
        await asyncio.gather(*(replica.look() for replica in replicas))
        assert await states(keys) == [KeyState.SIGNS, KeyState.NEXT]


async def test_asked_for_twice_it_happens_once(keys: Pool, keyring: Keyring) -> None:
    await signer(keys, keyring)
    made = await asyncio.gather(*(turn(keys, keyring) for _ in range(5)))
    assert sorted(made) == [False, False, False, False, True]
    assert len(await states(keys)) == 2
    assert await turn(keys, keyring, ahead=timedelta(seconds=1)), "in a hurry the waiting one gives way"
    assert len(await states(keys)) == 2


async def test_no_token_is_refused_while_two_replicas_change_over(keys: Pool, keyring: Keyring) -> None:
    """The replicas look at the database at different moments; a verifier holds the key set of either."""
    here, there = await signer(keys, keyring), await signer(keys, keyring)
    first = here.key.kid
    await turn(keys, keyring, ahead=timedelta(seconds=2))
    await here.reload()
    held: list[str] = []
    signed_by: set[str] = set()
    until = time.monotonic() + 4
    while time.monotonic() < until:
        for replica in (here, there):
            held.append(replica.access_token(CLAIMS))
            signed_by.add(replica.key.kid)
        assert all(good(token, here) for token in held[-200:])
        await asyncio.sleep(0.1)
        if len(held) == 10:
            await there.reload()
    assert here.key.kid == there.key.kid != first
    assert signed_by == {first, here.key.kid}
    assert all(good(token, at) for token in held for at in (here, there))


async def test_a_withdrawn_key_takes_its_tokens_with_it(keys: Pool, keyring: Keyring) -> None:
    at = await signer(keys, keyring)
    stolen = at.access_token(CLAIMS)
    await turn(keys, keyring)
    async with database.transaction(keys) as held:
        await withdraw_others(held, keyring)
    await at.reload()
    assert len(kids(at)) == 1
    assert not good(stolen, at)
    assert good(at.access_token(CLAIMS), at)


async def test_two_processes_change_over_while_one_is_killed(
    replicas: Any, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "REFRESH_SECONDS", 2)  # all of it takes seconds here, not minutes
    here, there = await asyncio.to_thread(replicas.start), await asyncio.to_thread(replicas.start)
    form = {"grant_type": "client_credentials", "resource": "approval"}
    async with httpx.AsyncClient() as http, asyncpg.create_pool(replicas.database_url, min_size=1) as keys:
        verifier = TokenVerifier(issuer=here.url, audience="approval", http=http, store=InMemoryKeySetStore())
        stopping = asyncio.Event()
        fetching = asyncio.create_task(verifier.run(stopping))

        async def tokens() -> list[str]:
            """One of each replica, which the verifier takes."""
            auth = ("approval", "approval-secret-0123456789abcdef")
            answers = [await http.post(f"{replica.url}/token", data=form, auth=auth) for replica in (here, there)]
            signed = [str(answer.json()["access_token"]) for answer in answers]
            for token in signed:
                await verifier.verify(token)
            return signed

        before = await tokens()
        assert await turn(keys, keyring, ahead=timedelta(seconds=RELOAD_SECONDS + 5))
        replicas.kill(there)
        there = await asyncio.to_thread(replicas.start, again=there)
        signed = before
        async with asyncio.timeout(60):
            while key_of(signed[0]) == key_of(before[0]) or key_of(signed[0]) != key_of(signed[1]):
                signed = await tokens()
                await asyncio.sleep(0.5)
        fresh = TokenVerifier(issuer=here.url, audience="approval", http=http, store=InMemoryKeySetStore())
        for token in (*before, *signed):
            await fresh.verify(token)
        stopping.set()
        await fetching


def key_of(token: str) -> str:
    return str(json.loads(urlsafe_b64decode(token.partition(".")[0] + "=="))["kid"])
