"""What the tests of the shared mechanics stand on: an app in memory and, where it matters, the real Postgres."""

import io
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
import structlog
from fastapi import APIRouter, FastAPI
from pydantic import SecretStr
from yijian_common import database, telemetry
from yijian_common.app import create_app
from yijian_common.crypto import Keyring, new_key_file
from yijian_common.database import Pool
from yijian_common.settings import DatabaseSettings, Environment, ProcessSettings
from yijian_embedded.testing import FreshDatabase

MakeClient = Callable[[FastAPI], httpx.AsyncClient]


async def _always_ready() -> str | None:
    return None


@pytest.fixture
def settings() -> ProcessSettings:
    return ProcessSettings(service="sample", http_port=0, environment=Environment.DEVELOPMENT)


@pytest.fixture
def make_app(settings: ProcessSettings) -> Callable[..., FastAPI]:
    def make(*routers: APIRouter, **members: object) -> FastAPI:
        options = {"settings": settings, "title": "Sample", "ready": _always_ready, **members}
        app = create_app(options.pop("settings"), routers=routers, **options)
        app.state.process.started = True
        return app

    return make


@pytest.fixture
async def client_of() -> AsyncIterator[MakeClient]:
    """A client of an app in memory, as a caller sees it: an error inside is an answer, not an exception."""
    async with AsyncExitStack() as stack:

        def connect(app: FastAPI) -> httpx.AsyncClient:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            client = httpx.AsyncClient(transport=transport, base_url="http://sample.test")
            stack.push_async_callback(client.aclose)
            return client

        yield connect


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.write_text(new_key_file())
    return path


@pytest.fixture
def keyring(key_file: Path) -> Keyring:
    return Keyring.load(key_file)


@pytest.fixture
def database_settings(fresh_database: FreshDatabase, key_file: Path) -> DatabaseSettings:
    return DatabaseSettings(
        service="approval",
        http_port=0,
        environment=Environment.DEVELOPMENT,
        database_url=SecretStr(fresh_database("approval")),
        key_file=key_file,
    )


@pytest.fixture
async def pool(database_settings: DatabaseSettings) -> AsyncIterator[Pool]:
    async with database.open_pool(database_settings, max_size=4) as opened:
        yield opened


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the process would write to stderr."""
    stream = io.StringIO()
    root = logging.getLogger()
    before = (list(root.handlers), root.level, structlog.get_config())
    telemetry.configure(ProcessSettings(service="sample", http_port=0), stream=stream)
    yield stream
    root.handlers[:], root.level = before[0], before[1]
    structlog.configure(**before[2])
