"""Over a real broker, with every loop running: told by approval and identity, signed, shown, taken back, forgotten."""

import asyncio
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from data_exchange.main import build
from pydantic import SecretStr
from yijian_common.auth import TokenVerifier
from yijian_common.testing import Issuer
from yijian_contracts.cloudevents import decode, encode
from yijian_contracts.events import ConsentWithdrawn, Event, SessionsEnded
from yijian_contracts.topics import CONSENTS_WITHDRAWN
from yijian_embedded.testing import Credentials, FreshDatabase
from yijian_ledger.keys import PrivateKey, new_key
from yijian_messaging import PRODUCTION, KafkaSettings
from yijian_messaging.kafka import build_producer, build_tail, discard_consumer, header_list
from yijian_messaging.testing import wait_until

from .conftest import AUDIENCE, settings_of
from .consent_story import consent
from .disclosure_story import disclosed, shown
from .ledger_story import ORIGIN
from .test_erasures import erased

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.timeout(180)]

YIJIAN = Path(sys.executable).with_name("yijian")


@dataclass
class Running:
    """data-exchange with all its loops, a person nobody else knows, and everybody else's credentials."""

    client: httpx.AsyncClient
    issuer: Issuer
    key: PrivateKey
    credentials: Credentials
    ref: str
    subject: str

    @property
    def headers(self) -> dict[str, str]:
        token = self.issuer.citizen(AUDIENCE, subject=self.subject, id_proof=self.ref)
        return {"Authorization": f"Bearer {token}"}

    def kafka(self, principal: str) -> KafkaSettings:
        given = self.credentials(principal)
        return KafkaSettings(
            bootstrap=given.bootstrap,
            security_protocol=given.security_protocol,
            username=given.username,
            password=given.password,
        )

    async def say(self, principal: str, *events: Event) -> None:
        """Publish events as the one writer of their topics does."""
        producer = build_producer(self.kafka(principal), PRODUCTION)
        await producer.start()
        try:
            for event in events:
                said = encode(event, source=principal)
                await producer.send_and_wait(
                    said.topic, said.value, key=said.key.encode(), headers=header_list(said.headers)
                )
        finally:
            await producer.stop()

    async def items(self, path: str) -> list[Any]:
        answer = await self.client.get(path, headers=self.headers)
        assert answer.status_code == 200, answer.text
        found: list[Any] = answer.json()["items"]
        return found


@pytest.fixture
async def running(
    fresh_database: FreshDatabase, kafka_credentials: Credentials, tmp_path: Path
) -> AsyncIterator[Running]:
    issuer, key, given = Issuer(), new_key(ORIGIN), kafka_credentials(AUDIENCE)
    (tmp_path / "ledger.json").write_text(key.as_text())
    settings = settings_of(
        fresh_database(AUDIENCE),
        tmp_path,
        kafka_bootstrap=given.bootstrap,
        kafka_username=given.username,
        kafka_password=SecretStr(given.password),
        ledger_key_file=tmp_path / "ledger.json",
    )
    stopping = asyncio.Event()
    async with AsyncExitStack() as stack:
        app, components = await build(settings, stack)
        verifier = app.state.tokens
        assert isinstance(verifier, TokenVerifier)
        await verifier._store.save(issuer.key_set)
        await verifier.load_stored_keys()
        client = await stack.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://data-exchange.test")
        )
        tasks = [asyncio.create_task(component.run(stopping)) for component in components]
        yield Running(client, issuer, key, kafka_credentials, secrets.token_urlsafe(32), str(uuid4()))
        stopping.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 30)


async def reached(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    await wait_until(condition, what=what, within=60)


async def test_from_what_others_say_to_what_a_person_sees_takes_back_and_has_forgotten(
    running: Running, tmp_path: Path
):
    application = uuid4()
    given = consent(ref=running.ref, application=application)
    gave = disclosed(application, people=[{"role": "MOTHER", "ref": running.ref}])
    tail = build_tail(running.kafka("approval"))
    await tail.start()
    tail.subscribe([CONSENTS_WITHDRAWN])
    await tail.getmany(timeout_ms=2000)
    try:
        await running.say("approval", given, gave)
        await running.say("identity", shown(running.ref))

        async def both_are_signed() -> bool:
            return [item["covered"] for item in await running.items("/v1/disclosures")] == [True, True]

        await reached(both_are_signed, "two disclosures under a checkpoint")
        evidence_holds(
            await running.client.get(f"/v1/applications/{application}/evidence", headers=running.headers),
            running,
            tmp_path,
        )

        async def consent_is_there() -> bool:
            return len(await running.items("/v1/consents")) == 1

        await reached(consent_is_there, "the consent")
        path = f"/v1/consents/{given.consent_id}/withdrawal"
        assert (await running.client.post(path, headers=running.headers)).json()["state"] == "WITHDRAWN"
        assert (await heard(tail, given.consent_id)).application_id == application
    finally:
        await discard_consumer(tail)

    forget = erased(running.ref, subject=running.subject, personal={"refs": {AUDIENCE: running.ref}})
    await running.say("identity", forget)

    async def nothing_is_left() -> bool:
        return not await running.items("/v1/disclosures") and not await running.items("/v1/consents")

    await reached(nothing_is_left, "the person to be forgotten")
    answer = await running.client.get("/v1/ledger/inclusion", params={"id": str(forget.erasure_id)})
    assert answer.status_code in (200, 409), answer.text

    ended = SessionsEnded(subject=forget.subject, ended_at=datetime.now(UTC) + timedelta(seconds=1))
    await running.say("identity", ended)

    async def is_signed_out() -> bool:
        return (await running.client.get("/v1/disclosures", headers=running.headers)).status_code == 401

    await reached(is_signed_out, "the token to be refused")


def evidence_holds(answer: httpx.Response, running: Running, folder: Path) -> None:
    """A third party's look at it: the file, the public key and a command, with nothing to reach."""
    assert answer.status_code == 200, answer.text
    (folder / "evidence.json").write_bytes(answer.content)
    (folder / "ledger.pub").write_text(running.key.public.vkey)
    done = subprocess.run(  # noqa: S603 - our own command
        [YIJIAN, "ledger", "evidence", folder / "evidence.json", "--key", folder / "ledger.pub", "--without-witness"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "出生登记" in done.stdout


async def heard(tail: Any, consent_id: Any) -> ConsentWithdrawn:
    """What approval hears of the withdrawal."""
    async with asyncio.timeout(30):
        while True:
            for records in (await tail.getmany(timeout_ms=200)).values():
                for record in records:
                    event = decode(record.headers, record.value).data
                    if isinstance(event, ConsentWithdrawn) and event.consent_id == consent_id:
                        return event
