"""What was given survives the process that gave it: killed between the use of a token and the answer, restarted."""

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest
from identity.testing import Browser

pytestmark = pytest.mark.postgres


def at(url: str) -> Browser:
    return Browser(httpx.AsyncClient(base_url=url, timeout=30))


async def until_rotated(database: asyncpg.Connection) -> None:
    async with asyncio.timeout(20):
        while await database.fetchval("SELECT generation FROM grants") == 0:  # noqa: ASYNC110 - another process's effect
            await asyncio.sleep(0.005)


async def test_killed_between_use_and_answer_the_successor_is_the_same(replicas: Any) -> None:
    first = await asyncio.to_thread(replicas.start)
    browser = at(first.url)
    tokens = await browser.tokens(scope="openid offline_access")
    database = await asyncpg.connect(replicas.database_url)
    locked = database.transaction()
    await locked.start()
    await database.execute("LOCK TABLE people IN ACCESS EXCLUSIVE MODE")  # the answer needs it, the rotation does not
    lost = asyncio.create_task(browser.refresh(tokens))
    watching = await asyncpg.connect(replicas.database_url)
    await until_rotated(watching)
    await asyncio.to_thread(replicas.kill, first)
    with pytest.raises(httpx.TransportError):
        await lost
    await locked.rollback()

    restarted = at((await asyncio.to_thread(replicas.start, again=first)).url)
    again = (await restarted.refresh(tokens)).json()
    assert await watching.fetchval("SELECT generation FROM grants") == 1
    assert (await restarted.userinfo(again)).status_code == 200
    assert (await restarted.refresh(again)).status_code == 200
    await database.close()
    await watching.close()


async def test_what_was_ended_stays_ended(replicas: Any) -> None:
    first = await asyncio.to_thread(replicas.start)
    browser = at(first.url)
    gone, kept = (
        await browser.tokens(scope="openid offline_access"),
        await at(first.url).tokens(scope="openid offline_access"),
    )
    form = {"token": gone["refresh_token"], "client_id": "yijian-app"}
    assert (await browser.http.post("/revoke", data=form)).status_code == 200
    await asyncio.to_thread(replicas.kill, first)
    restarted = at((await asyncio.to_thread(replicas.start, again=first)).url)
    assert (await restarted.refresh(gone)).status_code == 400
    assert (await restarted.userinfo(gone)).status_code == 401
    assert (await restarted.refresh(kept)).status_code == 200
