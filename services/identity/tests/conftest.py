"""identity with its own real database, a few fictitious people, and a browser to look at it with."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from identity.main import MIGRATIONS, build_app, open_provider
from identity.provider import OpenIdProvider
from identity.settings import IdentitySettings
from identity.testing import Browser, Running
from identity.wallet.testing import City, open_city
from pydantic import SecretStr
from yijian_common import database
from yijian_common.crypto import new_key_file
from yijian_common.sealer import KeyringSealer
from yijian_common.settings import Environment
from yijian_embedded.platform import Platform
from yijian_embedded.postgres_access import connect, drop_database, ensure_database
from yijian_embedded.testing import FreshDatabase
from yijian_messaging.postgres import PLANNER_SETTINGS, PostgresStore

ISSUER = "http://identity.test"
PORTAL_CALLBACK = "https://portal.test/signed-in?from=identity"
NOBODY = "127.0.0.1:1"
"""Kafka's address where Kafka is down: what most tests here need of it."""

MOTHER = {
    "kind": "citizen",
    "account": "mother-0001",
    "name": "王小明",
    "id_no": "990101199202290029",
    "mobile": "13812345678",
    "real_name_level": "L3",
    "password": "correct horse",
}
PEOPLE = [
    MOTHER,
    {**MOTHER, "account": "father-0001", "name": "欧阳锋", "id_no": "99010119880808003X", "real_name_level": "L1"},
    {
        "kind": "official",
        "account": "health-0001",
        "name": "李医生",
        "department": "health",
        "area": "990101000000",
        "matters": ["B1", "B2", "B9"],
        "role": "OFFICER",
        "password": "battery staple",
    },
]
SECRETS = {name: f"{name}-secret-0123456789abcdef" for name in ("portal", "approval", "department.health")}


@pytest.fixture(scope="session")
def settings(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentitySettings]:
    """Settings of an identity whose database is made once, since making one takes longer than most tests."""
    files = tmp_path_factory.mktemp("identity")
    (files / "keys.json").write_text(new_key_file())
    (files / "pairwise.json").write_text(
        json.dumps({audience: b64encode(os.urandom(32)).decode() for audience in ("approval", "data-exchange")})
    )
    (files / "secrets.json").write_text(json.dumps(SECRETS))
    (files / "people.jsonl").write_text("\n".join(json.dumps(person) for person in PEOPLE))
    name = f"test_identity_{uuid4().hex[:12]}"
    with connect(platform.postgres_admin_url) as admin:
        ensure_database(admin, name, owner="identity")
    yield IdentitySettings(
        service="identity",
        http_port=0,
        environment=Environment.DEVELOPMENT,
        identity_issuer=ISSUER,
        database_url=SecretStr(platform.database_url("identity", database=name)),
        key_file=files / "keys.json",
        pairwise_key_file=files / "pairwise.json",
        client_secrets_file=files / "secrets.json",
        accounts_file=files / "people.jsonl",
        portal_redirect_uris=(PORTAL_CALLBACK,),
        kafka_bootstrap=NOBODY,
        kafka_password=SecretStr("nobody listens"),
    )
    with connect(platform.postgres_admin_url) as admin:
        drop_database(admin, name)


@dataclass(frozen=True)
class Opened:
    """What the first start made, to put back before each test."""

    provider: OpenIdProvider
    secret_hashes: list[tuple[str, bytes]]


@pytest.fixture(scope="session")
def opened(settings: IdentitySettings) -> Opened:
    async def start() -> Opened:
        await database.migrate(settings, MIGRATIONS)
        async with database.open_pool(settings) as pool:
            provider = await open_provider(settings, pool)
            rows = await pool.fetch("SELECT client_id, secret_hash FROM client_secrets")
            return Opened(provider, [(row["client_id"], row["secret_hash"]) for row in rows])

    return asyncio.run(start())


@pytest.fixture
async def provider(opened: Opened) -> AsyncIterator[OpenIdProvider]:
    """identity as it is after its first start."""
    async with database.open_pool(opened.provider.settings, planner=PLANNER_SETTINGS) as pool:
        await pool.execute(
            "TRUNCATE authorisation_requests, texts, login_failures, login_sessions, grants, authorization_codes,"
            " loaded_files, client_secrets,"
            " consumer_offset, inbox, outbox, outbox_unsent, dead_letter, incident, idempotency_keys,"
            " holder, case_holder, guardian, document, document_look, presentation, identifier_lookup, erased_person,"
            " erased_message"
        )
        await pool.execute("UPDATE people SET signed_out_at = NULL")
        await pool.execute("DELETE FROM people WHERE account != ALL($1)", [person["account"] for person in PEOPLE])
        await pool.executemany("INSERT INTO client_secrets VALUES ($1, $2)", opened.secret_hashes)
        store = PostgresStore(pool, sealer=KeyringSealer(opened.provider.keyring))
        await store.housekeep()
        yield replace(opened.provider, pool=pool, store=store)


@pytest.fixture
async def new_browser(provider: OpenIdProvider) -> AsyncIterator[Callable[..., Browser]]:
    """Browsers at this identity; `address` is where they come from, `changes` are settings."""
    async with AsyncExitStack() as stack:

        def make(*, address: str = "192.0.2.1", **changes: object) -> Browser:
            settings = provider.settings.model_copy(update=changes)
            app = build_app(replace(provider, settings=settings))
            transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 1234))
            http = httpx.AsyncClient(transport=transport, base_url=settings.issuer)
            stack.push_async_callback(http.aclose)
            return Browser(http)

        yield make


@pytest.fixture
def browser(new_browser: Callable[..., Browser]) -> Browser:
    return new_browser()


@pytest.fixture
async def city(provider: OpenIdProvider, browser: Browser, tmp_path: Path) -> City:
    """identity with a family, a stranger and officials."""
    return await open_city(provider, browser.http, tmp_path)


def environment(settings: IdentitySettings, url: str, *, database_url: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "YIJIAN_SERVICE": "identity",
        "YIJIAN_ENVIRONMENT": "development",
        "YIJIAN_HTTP_PORT": str(urlsplit(url).port),
        "YIJIAN_IDENTITY_ISSUER": url,
        "YIJIAN_DATABASE_URL": database_url,
        "YIJIAN_KEY_FILE": str(settings.key_file),
        "YIJIAN_PAIRWISE_KEY_FILE": str(settings.pairwise_key_file),
        "YIJIAN_ACCOUNTS_FILE": str(settings.accounts_file),
        "YIJIAN_CLIENT_SECRETS_FILE": str(settings.client_secrets_file),
        "YIJIAN_PORTAL_REDIRECT_URIS": "http://portal.test/callback",
        "YIJIAN_KAFKA_BOOTSTRAP": NOBODY,
        "YIJIAN_KAFKA_PASSWORD": "nobody listens",
    }


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def start(settings: IdentitySettings, url: str, *, database_url: str, **changes: str) -> Running:
    """`python -m identity`, ready."""
    log = settings.key_file.with_name(f"identity-{urlsplit(url).port}.log")
    with log.open("a") as file:  # a pipe that nobody reads would be full one day, and stop the process
        process = subprocess.Popen(
            [sys.executable, "-m", "identity"],
            env={**environment(settings, url, database_url=database_url), **changes},
            stderr=file,
            text=True,
        )
    running = Running(url, process, log)
    wait_until_ready(running)
    return running


@pytest.fixture
def running(settings: IdentitySettings, fresh_database: FreshDatabase) -> Iterator[Running]:
    running = start(settings, free_address(), database_url=fresh_database("identity"))
    try:
        yield running
    finally:
        running.process.terminate()
        running.process.wait(timeout=20)
    assert running.process.returncode == 0


@dataclass
class Replicas:
    """Processes of one identity: one database, one issuer address, which the first one started has for its own."""

    settings: IdentitySettings
    database_url: str
    issuer: str
    started: list[Running] = field(default_factory=list)

    def start(self, *, again: Running | None = None) -> Running:
        """One more, or one in the place of a process that was killed."""
        url = again.url if again else free_address() if self.started else self.issuer
        changes = {"YIJIAN_IDENTITY_ISSUER": self.issuer, "YIJIAN_HTTP_PORT": str(urlsplit(url).port)}
        replica = start(self.settings, url, database_url=self.database_url, **changes)
        self.started.append(replica)
        return replica

    def kill(self, replica: Running) -> None:
        replica.process.kill()
        replica.process.wait(timeout=20)


@pytest.fixture
def replicas(settings: IdentitySettings, fresh_database: FreshDatabase) -> Iterator[Replicas]:
    replicas = Replicas(settings, fresh_database("identity"), free_address())
    yield replicas
    for replica in replicas.started:
        if replica.process.returncode is None:
            replicas.kill(replica)


def wait_until_ready(running: Running) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and running.process.poll() is None:
        try:
            if httpx.get(f"{running.url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    running.process.kill()
    running.process.wait()
    raise AssertionError(running.log.read_text())
