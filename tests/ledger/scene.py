"""A ledger in a real database with its real API, a witness, and somebody who may change every row of it."""

import asyncio
import dataclasses
import io
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import asyncpg
import httpx
import structlog
from data_exchange import ledger
from data_exchange.checkpoints import find_latest, store_cosignature
from data_exchange.main import build
from data_exchange.settings import DataExchangeSettings
from data_exchange.signing import EMPTY, Head, read_head, sign_next
from data_exchange.tree import prove_consistency
from data_exchange.witness_client import WitnessClient
from fastapi import FastAPI
from pydantic import SecretStr
from yijian_common import telemetry
from yijian_common.crypto import new_key_file
from yijian_common.settings import Environment
from yijian_embedded.platform import Platform
from yijian_embedded.postgres_access import connect, drop_database, ensure_database, ensure_ledger
from yijian_ledger.audit import Audit, Memory, Witnessing, audit
from yijian_ledger.keys import KeyKind, PrivateKey, new_key
from yijian_ledger.leaf import Leaf, LeafKind, make_leaf
from yijian_ledger.mirror import FetchError, NotThereError
from yijian_ledger.notes import Signature
from yijian_witness import main as witness_main
from yijian_witness.settings import WitnessSettings

ORIGIN = "yijian.example/ledger"
SERVICE = "data-exchange"
TABLES = ("leaf", "tile", "checkpoint", "cosignature")


def new_leaf(leaf_id: UUID | None = None) -> Leaf:
    return make_leaf(leaf_id or uuid4(), LeafKind.DISCLOSURE, {}, salt=bytes(32))


class OneConnection:
    """A pool that always gives the same connection: whoever reads by it sees what its open transaction changed."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def acquire(self, **_: object) -> asyncpg.Connection:
        return self._connection

    async def release(self, _: object) -> None:
        return None


@dataclass
class Scene:
    """`admin` is a superuser's session in which the ledger's triggers are off."""

    app: FastAPI
    client: httpx.AsyncClient
    witness_client: httpx.AsyncClient
    witness: WitnessClient
    witness_key: PrivateKey
    key: PrivateKey
    admin: asyncpg.Connection
    admin_url: str
    settings: DataExchangeSettings
    head: Head = EMPTY

    @property
    def parts(self) -> Any:
        return self.app.state.parts

    async def append(self, count: int) -> list[Leaf]:
        leaves = [new_leaf() for _ in range(count)]
        async with self.parts.store.transaction() as transaction:
            await ledger.append(transaction.connection, leaves)
        return leaves

    async def sign(self) -> Head:
        async with self.parts.store.transaction() as transaction:
            head = await read_head(transaction.connection, self.key, known=self.head)
            signed = await sign_next(transaction, head, self.key, at=datetime.now(UTC), source=SERVICE)
        assert signed is not None
        self.head = signed
        return signed

    async def cosign(self) -> None:
        """Have the witness see the newest checkpoint."""
        async with self.parts.pool.acquire() as connection:
            latest = await find_latest(connection)
            assert latest is not None
            seen = await self.witness.find_last()
            old = seen.checkpoint.size if seen else 0
            answer = await self.witness.add(old, await prove_consistency(connection, old, latest.size), latest.note)
            assert isinstance(answer, Signature), answer
            await store_cosignature(connection, latest.size, answer.line)

    async def audit(self, *, memory: Memory | None = None, witnessed: bool = True) -> Audit:
        """What somebody finds who has the public keys and asks over HTTP."""
        loop = asyncio.get_running_loop()
        witness = Witnessing(fetch_by(self.witness_client, loop), self.witness_key.public) if witnessed else None
        fetch = fetch_by(self.client, loop)
        return await asyncio.to_thread(audit, fetch, self.key.public, witness=witness, memory=memory)

    @asynccontextmanager
    async def tampered(self) -> AsyncIterator[asyncpg.Connection]:
        """What an administrator changes here is what the API shows, until the block ends: then it never was."""
        kept = self.app.state.parts
        transaction = self.admin.transaction()
        await transaction.start()
        self.app.state.parts = dataclasses.replace(kept, pool=OneConnection(self.admin))
        try:
            yield self.admin
        finally:
            self.app.state.parts = kept
            await transaction.rollback()


def fetch_by(client: httpx.AsyncClient, loop: asyncio.AbstractEventLoop) -> Callable[[str], bytes]:
    """Fetching, for whoever works in another thread than the app."""

    def fetch(path: str) -> bytes:
        answer = asyncio.run_coroutine_threadsafe(client.get(path), loop).result(30)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise NotThereError(f"no {path}")
        if answer.status_code != HTTPStatus.OK:
            raise FetchError(f"{path} answers {answer.status_code}: {answer.text[:200]}")
        return answer.content

    return fetch


def settings_of(database_url: str, folder: Path, **told: object) -> DataExchangeSettings:
    (folder / "keys.json").write_text(new_key_file())
    return DataExchangeSettings.model_validate(
        {
            "service": SERVICE,
            "environment": Environment.DEVELOPMENT,
            "http_port": 0,
            "database_url": SecretStr(database_url),
            "key_file": folder / "keys.json",
            "kafka_bootstrap": "127.0.0.1:1",
            "kafka_password": SecretStr("nobody listens"),
            "identity_issuer": "http://127.0.0.1:8001",
            "api_pool": 8,
            **told,
        }
    )


@asynccontextmanager
async def ledger_database(platform: Platform) -> AsyncIterator[str]:
    """A database of its own with the ledger in it: the address for the service's role."""
    name = f"test_ledger_{uuid4().hex[:12]}"
    with connect(platform.postgres_admin_url) as admin:
        ensure_database(admin, name, owner=SERVICE)
        ensure_ledger(platform.postgres_admin_url, name)
        try:
            yield platform.database_url(SERVICE, database=name)
        finally:
            drop_database(admin, name)


@asynccontextmanager
async def staged(platform: Platform, folder: Path, *, kind: KeyKind = KeyKind.ED25519) -> AsyncIterator[Scene]:
    """An empty ledger and a witness that has seen nothing."""
    key, witness_key = new_key(ORIGIN, kind), new_key("yijian.example/witness", KeyKind.COSIGNATURE)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(ledger_database(platform))
        settings = settings_of(url, folder)
        before = (list(logging.getLogger().handlers), logging.getLogger().level, structlog.get_config())
        telemetry.configure(settings, stream=io.StringIO())
        stack.callback(_restore_logging, *before)
        app, _ = await build(settings, stack)
        app.state.process.started = True
        watching, _ = await witness_main.build(_witness_settings(folder, key, witness_key), stack)
        watching.state.process.started = True
        client = await stack.enter_async_context(_client(app, "http://ledger.test"))
        witness_client = await stack.enter_async_context(_client(watching, "http://witness.test"))
        admin_url = urlunsplit(urlsplit(platform.postgres_admin_url)._replace(path=urlsplit(url).path))
        admin = await asyncpg.connect(admin_url)
        stack.push_async_callback(admin.close)
        for table in TABLES:
            await admin.execute(f"ALTER TABLE ledger.{table} DISABLE TRIGGER ALL")
        witness = WitnessClient(witness_client, "", witness=witness_key.public, log=key.public)
        yield Scene(app, client, witness_client, witness, witness_key, key, admin, admin_url, settings)


def _restore_logging(handlers: list[logging.Handler], level: int, config: dict[str, Any]) -> None:
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)
    structlog.configure(**config)


def _client(app: FastAPI, url: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=url, timeout=30)


def _witness_settings(folder: Path, key: PrivateKey, witness_key: PrivateKey) -> WitnessSettings:
    (folder / "witness.json").write_text(witness_key.as_text())
    (folder / "ledger.pub").write_text(key.public.vkey)
    return WitnessSettings(
        service="witness",
        environment=Environment.DEVELOPMENT,
        http_port=0,
        witness_key_file=folder / "witness.json",
        witness_store=folder / "witness.db",
        ledger_public_key_file=folder / "ledger.pub",
    )
