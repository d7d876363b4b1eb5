"""The same request again gets the same answer; its effect happens once."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

import asyncpg
import httpx
import pytest
from fastapi import APIRouter, FastAPI
from yijian_common.crypto import Keyring
from yijian_common.database import Pool, transaction
from yijian_common.idempotency import (
    CREATE_TABLE,
    IdempotencyKey,
    KeyInFlight,
    KeyReused,
    StoredResponse,
    find_response,
    purge,
    remember,
)
from yijian_common.idempotency import request_digest as digest_of

pytestmark = pytest.mark.postgres

CREATED = StoredResponse(201, b'{"id":"1"}', {"Location": "/things/1"})


@pytest.fixture
async def table(pool: Pool) -> Pool:
    await pool.execute(CREATE_TABLE)
    await pool.execute("CREATE TABLE effects (at timestamptz DEFAULT now())")
    return pool


async def submit(
    pool: Pool, keyring: Keyring, *, key: str = "key-00001", body: str = "{}", scope: str = "me", hold: float = 0
) -> StoredResponse | None:
    digest = digest_of(keyring, "submit", body)
    async with transaction(pool) as held:
        earlier = await remember(held, keyring=keyring, scope=scope, key=key, request_digest=digest, response=CREATED)
        if earlier is None:
            await held.execute("INSERT INTO effects DEFAULT VALUES")
        await asyncio.sleep(hold)
    return earlier


async def effects(pool: Pool) -> int:
    count: int = await pool.fetchval("SELECT count(*) FROM effects")
    return count


async def test_a_repeat_gets_the_first_answer_byte_by_byte(table: Pool, keyring: Keyring) -> None:
    assert await submit(table, keyring) is None
    assert await submit(table, keyring) == CREATED
    assert await effects(table) == 1


async def test_the_same_key_for_another_content_is_refused(table: Pool, keyring: Keyring) -> None:
    await submit(table, keyring)
    with pytest.raises(KeyReused) as refusal:
        await submit(table, keyring, body='{"other": 1}')
    assert refusal.value.status == 422
    assert await effects(table) == 1


async def test_keys_of_different_people_do_not_meet(table: Pool, keyring: Keyring) -> None:
    assert await submit(table, keyring, scope="me") is None
    assert await submit(table, keyring, scope="you") is None


async def test_of_many_at_once_one_has_the_effect_and_all_get_its_answer(table: Pool, keyring: Keyring) -> None:
    answers = await asyncio.gather(*(submit(table, keyring, hold=0.05) for _ in range(4)))
    assert sorted(answer is None for answer in answers) == [False, False, False, True]
    assert await effects(table) == 1


async def test_while_the_first_is_long_at_work_the_second_is_told_to_wait(table: Pool, keyring: Keyring) -> None:
    first = asyncio.create_task(submit(table, keyring, hold=3))
    await asyncio.sleep(0.2)
    with pytest.raises(KeyInFlight) as refusal:
        await submit(table, keyring)
    assert refusal.value.status == 409
    assert "Retry-After" in refusal.value.headers
    await first


async def test_what_was_rolled_back_was_never_claimed(table: Pool, keyring: Keyring) -> None:
    await table.execute("ALTER TABLE effects ADD CHECK (at < '2000-01-01') NOT VALID")
    with pytest.raises(asyncpg.CheckViolationError):
        await submit(table, keyring)
    await table.execute("ALTER TABLE effects DROP CONSTRAINT effects_at_check")
    assert await submit(table, keyring) is None


async def test_answers_lie_sealed_and_keys_hashed(table: Pool, keyring: Keyring) -> None:
    secret = "990101199001010019"
    digest = digest_of(keyring, secret)
    async with transaction(table) as held:
        await remember(
            held,
            keyring=keyring,
            scope=secret,
            key=secret,
            request_digest=digest,
            response=StoredResponse(200, secret.encode()),
            about=uuid4(),
        )
        row = await held.fetchrow("SELECT * FROM idempotency_keys")
        assert await find_response(held, keyring=keyring, scope=secret, key=secret, request_digest=digest) is not None
    assert row is not None
    assert secret.encode() not in b"".join((row["key_index"], row["request_digest"], row["response"]))


async def test_old_keys_are_forgotten_and_young_ones_kept(table: Pool, keyring: Keyring) -> None:
    await submit(table, keyring, key="old-key-1")
    await table.execute("UPDATE idempotency_keys SET created_at = now() - interval '33 days'")
    await submit(table, keyring, key="new-key-1")
    async with transaction(table) as held:
        assert await purge(held) == 1
        assert await purge(held) == 0
    assert await submit(table, keyring, key="new-key-1") == CREATED


@pytest.mark.parametrize("key", [None, "", "short", "with space", "x" * 129, "汉字汉字汉字汉字"])
async def test_a_missing_or_odd_key_is_a_400(
    key: str | None, make_app: Callable[..., FastAPI], client_of: Callable[[FastAPI], httpx.AsyncClient]
) -> None:
    router = APIRouter()

    @router.post("/things")
    async def create(key: IdempotencyKey) -> str:
        return key

    client = client_of(make_app(router))
    headers = {} if key is None else {"Idempotency-Key": key.encode()}
    refused = await client.post("/things", headers=headers)
    accepted = await client.post("/things", headers={"Idempotency-Key": str(uuid4())})
    assert (refused.status_code, refused.json()["type"]) == (400, "/problems/idempotency-key-missing")
    assert accepted.status_code == 200
