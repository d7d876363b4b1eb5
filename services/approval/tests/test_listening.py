"""What rating and identity say reaches approval through the broker, and what does not belong there changes nothing."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaProducer
from approval import consumers
from approval.application import ApplicationStatus
from pydantic import SecretStr
from yijian_common import pairwise
from yijian_contracts.cloudevents import encode
from yijian_contracts.events import (
    RECTIFICATION,
    ComplaintParts,
    ErasedParts,
    Event,
    PersonErased,
    RectificationRequested,
    TaskRequested,
)
from yijian_embedded.testing import Credentials, FreshDatabase, FreshTopics
from yijian_examples.population import family
from yijian_messaging import KafkaSettings
from yijian_messaging.kafka import build_producer
from yijian_messaging.settings import PRODUCTION
from yijian_messaging.testing import wait_until

from .bureaus import said, state
from .conftest import Service, serving, settings_of

pytestmark = [pytest.mark.postgres, pytest.mark.kafka, pytest.mark.timeout(90)]

GROUPS = ("RECTIFICATIONS_GROUP", "ERASURES_GROUP")


@pytest.fixture
def topics(fresh_topics: FreshTopics, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Where rating and identity speak in this test, and groups of its own."""
    (orders,) = fresh_topics("orders", writers=("rating",))
    (erasures,) = fresh_topics("erasures", writers=("identity",))
    monkeypatch.setattr(consumers, "RECTIFICATIONS_REQUESTED", orders)
    monkeypatch.setattr(consumers, "ERASURES", erasures)
    for name in GROUPS:
        monkeypatch.setattr(consumers, name, f"{getattr(consumers, name)}.{uuid4().hex[:8]}")
    return {"rating": orders, "identity": erasures}


@pytest.fixture
async def service(
    fresh_database: FreshDatabase, tmp_path: Path, kafka_credentials: Credentials, topics: dict[str, str]
) -> AsyncIterator[Service]:
    assert topics
    given = kafka_credentials("approval")
    settings = settings_of(
        fresh_database("approval"),
        tmp_path,
        kafka_bootstrap=given.bootstrap,
        kafka_username=given.username,
        kafka_password=SecretStr(given.password),
        kafka_security_protocol=given.security_protocol,
    )
    async with serving(settings, running=("intake", *(getattr(consumers, name) for name in GROUPS))) as opened:
        yield opened


async def say(credentials: Credentials, principal: str, topic: str, event: Event) -> None:
    given = credentials(principal)
    kafka = KafkaSettings(given.bootstrap, given.security_protocol, given.username, given.password)
    producer: AIOKafkaProducer = build_producer(kafka, PRODUCTION)
    await producer.start()
    try:
        encoded = encode(event, source=principal)
        headers = [(name, text.encode()) for name, text in encoded.headers.items()]
        await producer.send_and_wait(topic, encoded.value, key=encoded.key.encode(), headers=headers)
    finally:
        await producer.stop()


def order(department: str = "health") -> RectificationRequested:
    now = datetime.now(UTC)
    return RectificationRequested(
        order_id=uuid4(),
        round=1,
        department=department,
        matter="B2",
        matter_name="出生医学证明签发（首签）",
        requested_at=now,
        due_at=now + timedelta(days=3),
        personal=ComplaintParts(level=2, comment="跑了三趟"),
    )


async def test_an_order_of_ratings_becomes_a_task(
    service: Service, topics: dict[str, str], kafka_credentials: Credentials
):
    complaint = order()
    await say(kafka_credentials, "rating", topics["rating"], complaint)

    async def asked() -> bool:
        return [e.matter for e in await said(service, complaint.order_id, TaskRequested)] == [RECTIFICATION]

    await wait_until(asked, what="the task")


async def test_somebody_whom_identity_forgot_is_forgotten(
    service: Service, topics: dict[str, str], kafka_credentials: Credentials
):
    application_id, _ = await service.accepted()
    refs = {"approval": pairwise.id_proof(service.pairwise_key, family(101).mother.id_no)}
    erased = PersonErased(
        erasure_id=uuid4(),
        subject=UUID(service.subjects[101]),
        erased_at=datetime.now(UTC),
        personal=ErasedParts(refs=refs),
    )
    await say(kafka_credentials, "identity", topics["identity"], erased)

    async def forgotten() -> bool:
        return await service.count("application_form") == 0

    await wait_until(forgotten, what="the erasure")
    assert (await state(service, application_id)).status is ApplicationStatus.WITHDRAWN


async def test_what_does_not_belong_there_is_a_dead_letter(
    service: Service, topics: dict[str, str], kafka_credentials: Credentials
):
    await say(kafka_credentials, "rating", topics["rating"], order("weather"))
    await say(kafka_credentials, "identity", topics["identity"], order())

    async def buried() -> bool:
        return await service.count("dead_letter") == 2

    await wait_until(buried, what="two dead letters")
    errors = {letter.error for letter in await service.parts.store.letters()}
    assert errors == {
        "UndecodableError: the order is for a department that does not exist",
        "UndecodableError: RectificationRequested does not belong on this topic",
    }
    assert await service.count("rectification") == 0
