"""Over a real broker: completed applications come in, orders go out, and whoever signed out is nobody any more."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr
from rating.main import build
from yijian_common.auth import TokenVerifier
from yijian_common.testing import Issuer
from yijian_contracts.cloudevents import decode, encode
from yijian_contracts.events import Event, RectificationRequested, SessionsEnded
from yijian_contracts.topics import RECTIFICATIONS_REQUESTED
from yijian_embedded.testing import Credentials, FreshDatabase
from yijian_messaging import PRODUCTION, KafkaSettings
from yijian_messaging.kafka import build_producer, build_tail, discard_consumer, header_list
from yijian_messaging.testing import wait_until

from .conftest import AUDIENCE, bearer, completed, handling, settings_of

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.timeout(120)]


class Running:
    """rating with all its loops, and everybody else's credentials."""

    def __init__(self, client: httpx.AsyncClient, issuer: Issuer, credentials: Credentials) -> None:
        self.client = client
        self.issuer = issuer
        self._credentials = credentials

    def kafka(self, principal: str) -> KafkaSettings:
        given = self._credentials(principal)
        return KafkaSettings(
            bootstrap=given.bootstrap,
            security_protocol=given.security_protocol,
            username=given.username,
            password=given.password,
        )

    async def say(self, principal: str, event: Event) -> None:
        """Publish an event as the one writer of its topic does."""
        producer: AIOKafkaProducer = build_producer(self.kafka(principal), PRODUCTION)
        encoded = encode(event, source=f"/{principal}")
        await producer.start()
        try:
            await producer.send_and_wait(
                encoded.topic, encoded.value, key=encoded.key.encode(), headers=header_list(encoded.headers)
            )
        finally:
            await producer.stop()

    async def invitations(self, token: str) -> list[Any]:
        answer = await self.client.get("/v1/invitations", headers=bearer(token))
        found: list[Any] = answer.json()["items"] if answer.status_code == httpx.codes.OK else []
        return found


@pytest.fixture
async def running(
    fresh_database: FreshDatabase, kafka_credentials: Credentials, tmp_path: Path
) -> AsyncIterator[Running]:
    issuer = Issuer()
    given = kafka_credentials("rating")
    settings = settings_of(fresh_database("rating"), tmp_path).model_copy(
        update={
            "kafka_bootstrap": given.bootstrap,
            "kafka_username": given.username,
            "kafka_password": SecretStr(given.password),
        }
    )
    stopping = asyncio.Event()
    async with AsyncExitStack() as stack:
        app, components = await build(settings, stack)
        verifier = app.state.tokens
        assert isinstance(verifier, TokenVerifier)
        await verifier._store.save(issuer.key_set)
        await verifier.load_stored_keys()
        client = await stack.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://rating.test")
        )
        tasks = [asyncio.create_task(component.run(stopping)) for component in components]
        yield Running(client, issuer, kafka_credentials)
        stopping.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 30)


async def test_from_a_completed_application_to_the_departments_order(running: Running):
    subject = str(uuid4())
    token = running.issuer.citizen(AUDIENCE, subject=subject)
    tail = build_tail(running.kafka("approval"))
    await tail.start()
    tail.subscribe([RECTIFICATIONS_REQUESTED])
    try:
        await tail.getmany(timeout_ms=2000)
        await running.say("approval", completed(subject, handling()))

        async def invited() -> bool:
            return bool(await running.invitations(token))

        await wait_until(invited, what="the invitation", within=60)
        (invitation,) = await running.invitations(token)
        body = {"handling": invitation["handlings"][0]["id"], "level": "VERY_DISSATISFIED", "options": ["115"]}
        headers = bearer(token) | {"Idempotency-Key": uuid4().hex}
        order = (await running.client.post("/v1/reviews", json=body, headers=headers)).json()["order"]
        asked = await heard(tail, order)
    finally:
        await discard_consumer(tail)
    assert (asked.department, asked.round, asked.personal.options) == ("health", 1, ("服务态度差效率低",))


async def heard(tail: Any, order: str) -> RectificationRequested:
    """What approval hears about this order."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for records in (await tail.getmany(timeout_ms=500)).values():
            for record in records:
                event = decode(record.headers, record.value).data
                if isinstance(event, RectificationRequested) and event.order_id == UUID(order):
                    return event
    raise AssertionError("approval heard nothing of the order")


async def test_whoever_signed_out_everywhere_is_refused_here_too(running: Running):
    subject = str(uuid4())
    token = running.issuer.token(AUDIENCE, sub=subject, auth_time=int(time.time()) - 60, grant=str(uuid4()))
    headers = bearer(token)
    assert (await running.client.get("/v1/invitations", headers=headers)).status_code == 200
    await running.say("identity", SessionsEnded(subject=UUID(subject), ended_at=datetime.now(UTC)))

    async def refused() -> bool:
        return (await running.client.get("/v1/invitations", headers=headers)).status_code == 401

    await wait_until(refused, what="the token to be refused", within=60)
