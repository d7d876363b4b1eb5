"""data-exchange with its real database and nobody else: no broker, tokens from an issuer in memory."""

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest
import structlog
from data_exchange.main import build
from data_exchange.parts import Parts
from data_exchange.settings import DataExchangeSettings
from fastapi import FastAPI
from pydantic import SecretStr
from yijian_common import telemetry
from yijian_common.crypto import new_key_file
from yijian_common.settings import Environment
from yijian_common.testing import Issuer
from yijian_embedded.platform import Platform
from yijian_embedded.testing import FreshDatabase

AUDIENCE = "data-exchange"


@dataclass
class Service:
    """The app in memory, over its database; `client` sees it as a caller does."""

    app: FastAPI
    parts: Parts
    client: httpx.AsyncClient
    issuer: Issuer
    settings: DataExchangeSettings

    async def count(self, table: str) -> int:
        found: int = await self.parts.pool.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - our own names
        return found


def settings_of(database_url: str, folder: Path, **told: object) -> DataExchangeSettings:
    """A process's settings, its key file in `folder`; Kafka is where nobody listens."""
    (folder / "keys.json").write_text(new_key_file())
    return DataExchangeSettings.model_validate(
        {
            "service": AUDIENCE,
            "environment": Environment.DEVELOPMENT,
            "http_port": 0,
            "database_url": SecretStr(database_url),
            "key_file": folder / "keys.json",
            "kafka_bootstrap": "127.0.0.1:1",
            "kafka_password": SecretStr("nobody listens"),
            "identity_issuer": Issuer().url,
            "api_pool": 4,
            **told,
        }
    )


@asynccontextmanager
async def serving(settings: DataExchangeSettings) -> AsyncIterator[Service]:
    """What plays the API's part; nothing consumes and nothing is sent."""
    issuer = Issuer()
    async with AsyncExitStack() as stack:
        stack.enter_context(_logging_as_in_production(settings))
        app, _ = await build(settings, stack)
        app.state.tokens = await issuer.verifier(AUDIENCE)
        app.state.process.started = True
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        client = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://data-exchange.test", timeout=20)
        )
        yield Service(app, app.state.parts, client, issuer, settings)
        app.state.process.stopping.set()
        await asyncio.sleep(0)


@contextmanager
def _logging_as_in_production(settings: DataExchangeSettings) -> Iterator[None]:
    root = logging.getLogger()
    before = (list(root.handlers), root.level, structlog.get_config())
    telemetry.configure(settings, stream=io.StringIO())
    try:
        yield
    finally:
        root.handlers[:], root.level = before[0], before[1]
        structlog.configure(**before[2])


@pytest.fixture
def superuser(platform: Platform, service: Service) -> str:
    """The address of the service's database for the server's administrator."""
    name = urlsplit(service.settings.database_url.get_secret_value()).path
    return urlunsplit(urlsplit(platform.postgres_admin_url)._replace(path=name))


@pytest.fixture
async def service(fresh_database: FreshDatabase, tmp_path: Path) -> AsyncIterator[Service]:
    """A service with a database of its own, the ledger in it."""
    async with serving(settings_of(fresh_database(AUDIENCE), tmp_path)) as opened:
        yield opened
