"""Both stores, on the real thing each."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from yijian_embedded.testing import FreshDatabase
from yijian_messaging import KafkaSettings
from yijian_messaging.postgres import PLANNER_SETTINGS, SCHEMA_V1, PostgresStore
from yijian_messaging.sqlite import SqliteStore
from yijian_messaging.store import Store

from .line import Line


class Xor:
    """Seals visibly, so that a test can tell what was sealed from what was not."""

    def seal(self, plain: bytes) -> bytes:
        return bytes(byte ^ 0x5A for byte in plain)

    open = seal


class Bench:
    """A store with a table of effects, and how to look into either kind with one text of SQL."""

    def __init__(self, store: Store[Any], pool: "asyncpg.Pool[asyncpg.Record] | None") -> None:
        self.store = store
        self._pool = pool

    async def effect(self, transaction: Any, text: str) -> None:
        if self._pool is not None:
            await transaction.connection.execute("INSERT INTO effect (text) VALUES ($1)", text)
        else:
            transaction.connection.execute("INSERT INTO effect (text) VALUES (?)", (text,))

    async def query(self, sql: str) -> list[tuple[Any, ...]]:
        if self._pool is not None:
            return [tuple(row) for row in await self._pool.fetch(sql)]
        return [tuple(row) for row in self.store._db.execute(sql)]  # type: ignore[attr-defined]

    async def effects(self) -> list[str]:
        return [text for (text,) in await self.query("SELECT text FROM effect ORDER BY text")]


async def postgres_bench(url: str) -> tuple[Bench, "asyncpg.Pool[asyncpg.Record]"]:
    pool = await asyncpg.create_pool(url, min_size=1, max_size=6, server_settings=PLANNER_SETTINGS)
    async with pool.acquire() as connection:
        if not await connection.fetchval("SELECT to_regclass('outbox')"):
            await connection.execute(SCHEMA_V1)
            await connection.execute("CREATE TABLE effect (text text)")
    store = PostgresStore(pool, sealer=Xor())
    await store.housekeep()
    return Bench(store, pool), pool


@pytest.fixture(params=["postgres", "sqlite"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "postgres":
        fresh: FreshDatabase = request.getfixturevalue("fresh_database")
        found, pool = await postgres_bench(fresh("approval"))
        yield found
        await pool.close()
    else:
        schema = "CREATE TABLE IF NOT EXISTS effect (text TEXT);"
        store = await SqliteStore.open(tmp_path / "store.db", sealer=Xor(), schema=schema)
        yield Bench(store, None)
        await store.close()


@pytest.fixture
def line(bench, fresh_topics, kafka_credentials) -> Line:
    (topic,) = fresh_topics("line", partitions=3)
    given = kafka_credentials("approval")
    kafka = KafkaSettings(
        bootstrap=given.bootstrap,
        security_protocol=given.security_protocol,
        username=given.username,
        password=given.password,
    )
    return Line(bench, topic, kafka)
