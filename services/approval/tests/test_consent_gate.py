"""What rests on consents leaves approval only while withdrawals are heard of in time; what rests on law goes anyway."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaProducer
from approval import consent_gate, consumers
from approval.application import TaskState
from approval.consent_gate import FRESH_SECONDS, ConsentGate
from approval.consumers import CONSENTS_GROUP
from pydantic import SecretStr
from yijian_contracts.cloudevents import encode
from yijian_contracts.events import ConsentWithdrawn, GivenConsent, WithdrawalsToldUntil
from yijian_embedded.testing import Credentials, FreshDatabase, FreshTopics
from yijian_messaging import KafkaSettings, Record
from yijian_messaging.gates import GOOD_SECONDS
from yijian_messaging.kafka import build_producer
from yijian_messaging.settings import PRODUCTION
from yijian_messaging.testing import wait_until

from .bureaus import grant, grant_all, state
from .conftest import Service, serving, settings_of

pytestmark = [pytest.mark.postgres, pytest.mark.kafka, pytest.mark.timeout(120)]


class Exchange:
    """data-exchange as approval hears it: a topic of its own with one partition, silent until it is told to speak."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    async def says(self, *events: ConsentWithdrawn | WithdrawalsToldUntil) -> None:
        for event in events:
            encoded = encode(event, source="data-exchange")
            headers = [(name, text.encode()) for name, text in encoded.headers.items()]
            await self._producer.send_and_wait(
                self._topic, encoded.value, key=encoded.key.encode(), headers=headers, partition=0
            )

    async def has_told_everything(self, *, ago: float = 0) -> None:
        await self.says(WithdrawalsToldUntil(as_of=datetime.now(UTC) - timedelta(seconds=ago)))


@pytest.fixture
async def exchange(
    fresh_topics: FreshTopics, kafka_credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Exchange]:
    (topic,) = fresh_topics("consents", writers=("data-exchange",))
    monkeypatch.setattr(consumers, "CONSENTS_WITHDRAWN", topic)
    given = kafka_credentials("data-exchange")
    kafka = KafkaSettings(
        bootstrap=given.bootstrap,
        username=given.username,
        password=given.password,
        security_protocol=given.security_protocol,
    )
    producer: AIOKafkaProducer = build_producer(kafka, PRODUCTION)
    await producer.start()
    yield Exchange(producer, topic)
    await producer.stop()


@pytest.fixture
async def service(
    fresh_database: FreshDatabase,
    tmp_path: Path,
    kafka_credentials: Credentials,
    exchange: Exchange,  # noqa: ARG001 - its topic has to be there before anybody reads
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Service]:
    """approval with its intake, its relay and its reader of withdrawals."""
    group = f"{CONSENTS_GROUP}.{uuid4().hex[:8]}"
    monkeypatch.setattr(consumers, "CONSENTS_GROUP", group)
    given = kafka_credentials("approval")
    settings = settings_of(
        fresh_database("approval"),
        tmp_path,
        kafka_bootstrap=given.bootstrap,
        kafka_username=given.username,
        kafka_password=SecretStr(given.password),
        kafka_security_protocol=given.security_protocol,
    )
    async with serving(settings, running=("intake", "ledger-coverage", "relay", group)) as opened:
        yield opened


async def unsent(service: Service, application: UUID) -> list[str]:
    """The topics of what still waits to be sent of an application."""
    rows = await service.parts.pool.fetch(
        "SELECT o.topic FROM outbox_unsent u JOIN outbox o ON o.id = u.id WHERE o.key = $1 ORDER BY o.topic",
        str(application),
    )
    return [row["topic"] for row in rows]


RESTING_ON_CONSENTS = [f"department.{code}.tasks" for code in ("health", "human-resources", "medical-insurance")]


async def everything_asked(service: Service) -> UUID:
    """An application whose departments were asked everything: three of the four that rest on consents among them."""
    application, _ = await service.accepted()
    for key in ("C1", "B2-1", "B4-1"):
        task = (await state(service, application)).find_task(key)
        assert task is not None
        await grant(service, application, task)
    return application


async def test_while_nothing_is_heard_what_rests_on_consents_waits_and_what_rests_on_law_goes(
    service: Service, exchange: Exchange
):
    application = await everything_asked(service)

    async def only_consents_wait() -> bool:
        return await unsent(service, application) == RESTING_ON_CONSENTS

    await wait_until(only_consents_wait, what="what rests on law to be sent")

    # A word that is older than the gate allows opens nothing.
    await exchange.has_told_everything(ago=FRESH_SECONDS + 5)
    await wait_until(lambda: _told(service), what="the old word to be read")
    assert await only_consents_wait()

    await exchange.has_told_everything()

    async def all_sent() -> bool:
        return await unsent(service, application) == []

    await wait_until(all_sent, what="what rests on consents to be sent")
    done = await grant_all(service, application)
    assert {task.state for task in done.tasks} == {TaskState.CLOSED}


async def test_a_withdrawal_that_was_not_heard_of_is_carried_out_before_anything_is_sent(
    service: Service, exchange: Exchange
):
    application = await everything_asked(service)
    await exchange.says(
        ConsentWithdrawn(
            application_id=application,
            consent_id=GivenConsent.id_for(application, "parenting-guidance", "FATHER"),
            basis="parenting-guidance",
            giver="FATHER",
            withdrawn_at=datetime.now(UTC),
        )
    )
    await exchange.has_told_everything()

    async def all_sent() -> bool:
        return await unsent(service, application) == [] and await _told(service)

    await wait_until(all_sent, what="what may be sent to be sent")
    sent = await service.parts.pool.fetch(
        "SELECT headers FROM outbox WHERE key = $1 AND topic = 'department.health.tasks'", str(application)
    )
    assert len(sent) == 4, "two requests by law, the one that was taken back, and its cancellation"
    after = (await state(service, application)).find_task("B9-1")
    assert after is not None
    assert after.state is TaskState.WITHDRAWN


async def test_when_nothing_more_is_heard_it_closes_again(
    service: Service, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(consent_gate, "FRESH_SECONDS", 3)
    await exchange.has_told_everything()
    await wait_until(ConsentGate(service.parts.pool), what="the gate to open")

    async def closed() -> bool:
        return not await ConsentGate(service.parts.pool)()

    await wait_until(closed, what="the gate to close")
    # Until then the relay may go by what the gate said before.
    await asyncio.sleep(GOOD_SECONDS)
    application = await everything_asked(service)

    async def only_consents_wait() -> bool:
        return await unsent(service, application) == RESTING_ON_CONSENTS

    await wait_until(only_consents_wait, what="what rests on law to be sent")


async def test_an_old_word_that_comes_again_takes_nothing_back_and_a_fast_clock_gives_nothing(
    service: Service, exchange: Exchange
):
    gate = ConsentGate(service.parts.pool)
    await exchange.says(WithdrawalsToldUntil(as_of=datetime.now(UTC) + timedelta(days=1)))
    await wait_until(gate, what="the gate to open")
    stored = await service.parts.pool.fetchval("SELECT as_of FROM withdrawals_told")
    assert stored <= datetime.now(UTC)
    await exchange.has_told_everything(ago=3600)
    await exchange.has_told_everything()

    async def heard() -> bool:
        return bool(await service.parts.pool.fetchval("SELECT as_of > $1 FROM withdrawals_told", stored))

    await wait_until(heard, what="the latest word to be read")
    assert await gate()


async def test_a_withdrawal_that_waits_for_a_person_keeps_the_gate_closed(service: Service, exchange: Exchange):
    gate = ConsentGate(service.parts.pool)
    await exchange.has_told_everything()
    await wait_until(gate, what="the gate to open")
    store = service.parts.store
    async with store.transaction() as transaction:
        await transaction.bury("approval.consents", [(Record("t", 0, 0, b"k", b"v", (), 0), "ValueError")])
    assert not await gate()
    (letter,) = await store.letters()
    assert await store.discard(letter.id, note="seen")
    await exchange.has_told_everything()
    await wait_until(gate, what="the gate to open again")


async def _told(service: Service) -> bool:
    return bool(await service.parts.pool.fetchval("SELECT as_of > '-infinity' FROM withdrawals_told"))
