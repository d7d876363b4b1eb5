"""approval with its real database and nobody else: no broker, tokens from an issuer in memory."""

import asyncio
import io
import json
import logging
from base64 import b64encode
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from secrets import token_bytes
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
import structlog
from approval.main import build
from approval.parts import Parts
from approval.settings import ApprovalSettings
from fastapi import FastAPI
from pydantic import SecretStr
from yijian_common import pairwise, telemetry
from yijian_common.crypto import new_key_file
from yijian_common.settings import Environment
from yijian_common.testing import Issuer
from yijian_embedded.platform import Platform
from yijian_embedded.postgres_access import connect, drop_database, ensure_database
from yijian_embedded.testing import FreshDatabase
from yijian_examples.forms import form_of
from yijian_examples.population import family

AUDIENCE = "approval"


@dataclass
class Service:
    """The app in memory, over its database; `client` sees it as a caller does."""

    app: FastAPI
    parts: Parts
    client: httpx.AsyncClient
    issuer: Issuer
    pairwise_key: bytes
    exchange_key: bytes
    database_url: str
    subjects: dict[int, str] = field(default_factory=dict)
    authorisations: dict[tuple[int, str | None], str] = field(default_factory=dict)
    families: Iterator[int] = field(default_factory=lambda: count(101))

    def mother(self, number: int) -> dict[str, str]:
        """The Authorization header of the mother of this family."""
        subject = self.subjects.setdefault(number, str(uuid4()))
        proof = pairwise.id_proof(self.pairwise_key, family(number).mother.id_no)
        return bearer(self.issuer.citizen(AUDIENCE, subject=subject, id_proof=proof))

    def father(self, number: int) -> dict[str, str]:
        """The Authorization header of the father of this family, with an account of his own."""
        proof = pairwise.id_proof(self.pairwise_key, family(number).father.id_no)
        return bearer(self.issuer.citizen(AUDIENCE, subject=str(uuid4()), id_proof=proof))

    def authorisation(self, number: int, *, key: str | None = None, **claims: Any) -> str:
        """What identity signs when this family's father agreed by a one-time code; the same again for the same key."""
        known = self.authorisations.get((number, key))
        if known is None or claims:
            self.mother(number)
            said = {
                "sub": str(uuid4()),
                "act": {"sub": self.subjects[number]},
                "id_proof": pairwise.id_proof(self.pairwise_key, family(number).father.id_no),
            }
            token = self.issuer.authorisation_claims(AUDIENCE, **said | claims)
            known = self.issuer.sign(token, typ="authorisation+jwt")
        if key is not None:
            self.authorisations[number, key] = known
        return known

    async def submit(
        self,
        number: int = 20,
        *,
        form: dict[str, Any] | None = None,
        key: str | None = None,
        authorised: bool = True,
        **members: Any,
    ) -> httpx.Response:
        """The mother hands it in, with the father's word unless he is not `authorised` to give it that way."""
        filled = form_of(family(number)) if form is None else form
        body = {"life_event": "birth", "form": filled, **members}
        if authorised and isinstance(filled, dict) and "father" in filled:
            body = {"authorisations": [self.authorisation(number, key=key)], **body}
        headers = self.mother(number) | {"Idempotency-Key": key or uuid4().hex, "Content-Type": "application/json"}
        return await self.client.post("/v1/applications", content=json.dumps(body), headers=headers)

    async def accepted(self) -> tuple[UUID, dict[str, str]]:
        """An application of a family that has none yet, and its mother's header."""
        number = next(self.families)
        answer = await self.submit(number)
        assert answer.status_code == 202, answer.text
        return UUID(answer.json()["id"]), self.mother(number)

    async def count(self, table: str) -> int:
        found: int = await self.parts.pool.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - our own names
        return found


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def settings_of(database_url: str, folder: Path, **told: object) -> ApprovalSettings:
    """A process's settings, its key files in `folder`; Kafka is where nobody listens, unless it is `told` otherwise."""
    if not (folder / "keys.json").exists():
        (folder / "keys.json").write_text(new_key_file())
        pairwise_keys = {audience: b64encode(token_bytes(32)).decode() for audience in (AUDIENCE, "data-exchange")}
        (folder / "pairwise.json").write_text(json.dumps(pairwise_keys))
    return ApprovalSettings.model_validate(
        {
            "service": "approval",
            "environment": Environment.DEVELOPMENT,
            "http_port": 0,
            "database_url": SecretStr(database_url),
            "key_file": folder / "keys.json",
            "pairwise_key_file": folder / "pairwise.json",
            "kafka_bootstrap": "127.0.0.1:1",
            "kafka_password": SecretStr("nobody listens"),
            "identity_issuer": Issuer().url,
            "api_pool": 4,
            **told,
        }
    )


@asynccontextmanager
async def serving(settings: ApprovalSettings, *, running: Collection[str] = ("intake",)) -> AsyncIterator[Service]:
    """The parts with these names run; by default nothing consumes and nothing is sent."""
    issuer = Issuer()
    stopping = asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.enter_context(_logging_as_in_production(settings))
        app, components = await build(settings, stack)
        app.state.tokens = await issuer.verifier(AUDIENCE)
        app.state.process.started = True
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        client = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://approval.test", timeout=20)
        )
        tasks = [asyncio.create_task(each.run(stopping)) for each in components if each.name in running]
        keys = pairwise.read_keys(settings.pairwise_key_file)
        database_url = settings.database_url.get_secret_value()
        yield Service(app, app.state.parts, client, issuer, keys[AUDIENCE], keys["data-exchange"], database_url)
        stopping.set()
        app.state.process.stopping.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 10)


@contextmanager
def _logging_as_in_production(settings: ApprovalSettings) -> Iterator[None]:
    root = logging.getLogger()
    before = (list(root.handlers), root.level, structlog.get_config())
    telemetry.configure(settings, stream=io.StringIO())
    try:
        yield
    finally:
        root.handlers[:], root.level = before[0], before[1]
        structlog.configure(**before[2])


@pytest.fixture
async def service(fresh_database: FreshDatabase, tmp_path: Path) -> AsyncIterator[Service]:
    """A service with a database of its own."""
    async with serving(settings_of(fresh_database("approval"), tmp_path)) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_service(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """One service for the tests of a module, each of which takes a family of its own."""
    name = f"test_approval_{uuid4().hex[:12]}"
    with connect(platform.postgres_admin_url) as admin:
        ensure_database(admin, name, owner="approval")
        settings = settings_of(platform.database_url("approval", database=name), tmp_path_factory.mktemp("approval"))
        async with serving(settings) as opened:
            yield opened
        drop_database(admin, name)
