"""What a 202 means: stored, once, whatever the database does meanwhile."""

import asyncio
import time
from uuid import uuid4

import httpx
import pytest
from yijian_embedded.platform import Platform
from yijian_embedded.postgres_access import connect

from .conftest import Service

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(60)]

FAILING_COMMIT = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$;
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON application
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
"""


def come_back(answer: httpx.Response) -> None:
    """A 503 that says when to try again."""
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert 0 < int(answer.headers["retry-after"]) <= 5


@pytest.mark.parametrize(("code", "status"), [("P0001", 500), ("40001", 503), ("53100", 503)])
async def test_when_commit_fails_nothing_is_accepted_and_nothing_is_stored(service: Service, code: str, status: int):
    await service.parts.pool.execute(FAILING_COMMIT.format(code=code))
    answers = await asyncio.gather(*(service.submit(number) for number in (101, 102, 103)))
    assert {answer.status_code for answer in answers} == {status}
    for table in ("application", "outbox", "outbox_unsent", "idempotency_keys", "claim"):
        assert await service.count(table) == 0

    await service.parts.pool.execute("DROP TRIGGER at_commit ON application")
    answers = await asyncio.gather(*(service.submit(number) for number in (101, 102, 103)))
    assert {answer.status_code for answer in answers} == {202}


async def test_one_that_cannot_be_stored_does_not_cost_its_neighbours_their_answer(service: Service):
    parts = service.parts
    await parts.pool.execute(
        "ALTER TABLE application_party ADD CONSTRAINT odd CHECK (get_byte(party, 0) % 2 = 0) NOT VALID"
    )
    numbers = range(101, 125)
    answers = await asyncio.gather(*(service.submit(number) for number in numbers))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {202, 500}
    assert await service.count("application") == statuses.count(202)


async def test_the_same_key_at_the_same_time_is_one_application(service: Service):
    key = uuid4().hex
    answers = await asyncio.gather(*(service.submit(101, key=key) for _ in range(12)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await service.count("application") == 1


async def test_the_same_child_at_the_same_time_is_one_application(service: Service):
    answers = await asyncio.gather(*(service.submit(101) for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 11
    assert await service.count("application") == 1


async def test_a_repeat_in_the_same_breath_is_refused_with_what_it_repeats(service: Service):
    """Both arrive while a transaction is under way and share the next; what was taken back was never accepted."""
    await service.submit(101)
    key = uuid4().hex
    async with service.parts.pool.acquire() as connection, connection.transaction():
        # The first submission waits for this lock, the others gather behind it.
        await connection.execute("LOCK TABLE idempotency_keys IN ACCESS EXCLUSIVE MODE")
        first = asyncio.create_task(service.submit(102))
        await asyncio.sleep(0.2)
        others = [asyncio.create_task(service.submit(101, key=key)) for _ in range(3)]
        await asyncio.sleep(0.2)
    assert (await first).status_code == 202
    assert [(await other).status_code for other in others] == [409, 409, 409]
    assert await service.count("idempotency_keys") == 2


async def test_a_busy_pool_is_told_to_come_back_soon_and_recovers(service: Service):
    application, mother = await service.accepted()
    pool = service.parts.pool
    held = [await pool.acquire() for _ in range(pool.get_max_size())]
    began = time.monotonic()
    answers = await asyncio.gather(
        service.submit(150),
        service.client.get("/v1/applications", headers=mother),
        service.client.post(f"/v1/applications/{application}/withdrawal", headers=mother),
    )
    assert time.monotonic() - began < 3.5
    for answer in answers:
        come_back(answer)
    for connection in held:
        await pool.release(connection)
    assert (await service.submit(150)).status_code == 202
    assert (await service.client.get("/v1/applications", headers=mother)).status_code == 200


async def test_a_lock_that_is_held_is_told_to_come_back_soon(service: Service):
    application, mother = await service.accepted()
    async with service.parts.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM application FOR UPDATE")
        began = time.monotonic()
        come_back(await service.client.post(f"/v1/applications/{application}/withdrawal", headers=mother))
        assert time.monotonic() - began < 3.5
    answer = await service.client.post(f"/v1/applications/{application}/withdrawal", headers=mother)
    assert answer.json()["status"] == "WITHDRAWN"


async def test_who_waits_too_long_is_told_to_come_back_and_leaves_nothing_behind(service: Service):
    """The transaction under way is stuck; whoever gathers behind it is not kept, and is not stored later either."""
    async with service.parts.pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE idempotency_keys IN ACCESS EXCLUSIVE MODE")
        stuck = asyncio.create_task(service.submit(101))
        await asyncio.sleep(0.1)
        began = time.monotonic()
        waiting = [asyncio.create_task(service.submit(number)) for number in range(102, 110)]
        come_back(await stuck)
        for each in waiting:
            come_back(await each)
        assert time.monotonic() - began < 6
    assert await service.count("application") == 0
    assert (await service.submit(101)).status_code == 202


async def test_a_database_that_ends_every_connection_is_found_again(service: Service, platform: Platform):
    _, mother = await service.accepted()
    name = await service.parts.pool.fetchval("SELECT current_database()")
    with connect(platform.postgres_admin_url) as admin:
        admin.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT 0')  # type: ignore[arg-type]
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            [name],
        )
        began = time.monotonic()
        come_back(await service.submit(150))
        come_back(await service.client.get("/v1/applications", headers=mother))
        assert (await service.client.get("/readyz")).status_code == 503
        assert (await service.client.get("/livez")).status_code == 200
        assert time.monotonic() - began < 6
        admin.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT -1')  # type: ignore[arg-type]
    assert (await service.client.get("/v1/applications", headers=mother)).status_code == 200
    assert (await service.submit(150)).status_code == 202
