"""How far withdrawals were told is never said too far: not with one under way, not with one unsent."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from data_exchange.actions.consenting import withdraw_consent
from data_exchange.people import person_index
from data_exchange.withdrawals_told import WithdrawalsTold, tell
from yijian_contracts.cloudevents import decode
from yijian_contracts.events import ConsentWithdrawn, Event, WithdrawalsToldUntil
from yijian_contracts.topics import CONSENTS_WITHDRAWN
from yijian_embedded.testing import Credentials
from yijian_messaging import Component, KafkaSettings, Relay
from yijian_messaging.kafka import build_tail

from .conftest import Service
from .consent_story import MOTHER, OneConsent, bearer, consent, register, unsent

pytestmark = pytest.mark.postgres


async def told(service: Service) -> datetime | None:
    """One beat of the heart, whenever the last one was."""
    async with service.parts.store.transaction() as transaction:
        return await tell(transaction, pause=0)


async def send_everything(service: Service) -> list[Event]:
    """What the relay does, with a Kafka that acknowledges at once."""
    said: list[Event] = list(await unsent(service))
    await service.parts.store.lease_shards("relay", 30)
    await service.parts.store.mark_sent("relay", await service.parts.store.unsent(list(range(16)), 1000))
    return said


async def given(service: Service) -> OneConsent:
    one = consent()
    await register(service, one)
    return one


async def withdraw(service: Service, one: OneConsent) -> None:
    """As a client does, which comes back when it is told to."""
    path = f"/v1/consents/{one.consent_id}/withdrawal"
    async with asyncio.timeout(60):
        answer = await service.client.post(path, headers=bearer(service, MOTHER))
        while answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            await asyncio.sleep(0.2)
            answer = await service.client.post(path, headers=bearer(service, MOTHER))
    assert answer.status_code == httpx.codes.OK, answer.text


async def test_with_nothing_waiting_it_is_told_until_now(service: Service):
    before = datetime.now(UTC)
    as_of = await told(service)
    assert as_of is not None
    assert before - timedelta(seconds=1) <= as_of <= datetime.now(UTC) + timedelta(seconds=1)
    assert await unsent(service) == [WithdrawalsToldUntil(as_of=as_of)]


async def test_while_a_withdrawal_waits_to_be_sent_it_is_told_until_before_that_one(service: Service):
    first, second = await given(service), await given(service)
    before = datetime.now(UTC)
    await withdraw(service, first)
    after = datetime.now(UTC)
    await withdraw(service, second)
    as_of = await told(service)
    assert as_of is not None
    assert before - timedelta(seconds=1) <= as_of <= after
    assert await told(service) == as_of
    await send_everything(service)
    later = await told(service)
    assert later is not None
    assert later > after


async def test_a_withdrawal_under_way_is_waited_for(service: Service):
    """The transaction is open and its row is there for nobody to see: nothing may be said that leaves it out."""
    one = await given(service)
    giver = person_index(service.parts.keyring, MOTHER)
    async with service.parts.store.transaction() as transaction:
        began = await transaction.connection.fetchval("SELECT now()")
        await withdraw_consent(transaction, one.consent_id, giver=giver, keyring=service.parts.keyring)
        beat = asyncio.create_task(told(service))
        await asyncio.sleep(0.3)
        assert not beat.done()
    as_of = await asyncio.wait_for(beat, 10)
    assert as_of == began
    withdrawn, word = await unsent(service)
    assert isinstance(withdrawn, ConsentWithdrawn)
    assert word == WithdrawalsToldUntil(as_of=began)


async def test_a_withdrawal_that_hangs_silences_the_word_and_nothing_wrong_is_said(service: Service):
    one = await given(service)
    giver = person_index(service.parts.keyring, MOTHER)
    async with service.parts.store.transaction() as transaction:
        await withdraw_consent(transaction, one.consent_id, giver=giver, keyring=service.parts.keyring)
        with pytest.raises(asyncpg.LockNotAvailableError):
            await told(service)
        heart = WithdrawalsTold(service.parts.store, pause=0.1)
        async with running(heart):
            async with asyncio.timeout(10):
                while heart.problem() is None:  # noqa: ASYNC110 - what is waited for is another task's effect
                    await asyncio.sleep(0.05)
        assert "approval is not told" in (heart.problem() or "")
    assert [type(event) for event in await unsent(service)] == [ConsentWithdrawn]


async def test_a_withdrawal_that_begins_while_it_is_said_commits_after_it(service: Service):
    one = await given(service)
    async with service.parts.store.transaction() as transaction:
        as_of = await tell(transaction, pause=0)
        assert as_of is not None
        late = asyncio.create_task(withdraw(service, one))
        await asyncio.sleep(0.3)
        assert not late.done()
    await asyncio.wait_for(late, 10)
    row = await service.parts.pool.fetchrow("SELECT withdrawn_at FROM consent")
    assert row is not None
    assert row["withdrawn_at"] > as_of


async def test_several_workers_say_it_once_in_a_while(service: Service):
    hearts = [WithdrawalsTold(service.parts.store) for _ in range(3)]
    async with running(*hearts):
        await asyncio.sleep(1.0)
    assert len(await unsent(service)) == 1


async def test_words_do_not_pile_up_while_kafka_is_away(service: Service):
    one = await given(service)
    for _ in range(5):
        await told(service)
    await withdraw(service, one)
    for _ in range(5):
        await told(service)
    assert [type(event) for event in await unsent(service)] == [ConsentWithdrawn, WithdrawalsToldUntil]


@pytest.mark.kafka
@pytest.mark.timeout(120)
async def test_over_a_real_broker_no_word_runs_ahead_of_a_withdrawal(service: Service, kafka_credentials: Credentials):
    """Sixty consents are taken back while words are said all the time: each stands before every word that covers it."""
    many = [consent() for _ in range(60)]
    await register(service, *many)
    credentials = kafka_credentials("data-exchange")
    ours = KafkaSettings(bootstrap=credentials.bootstrap, username="data-exchange", password=credentials.password)
    theirs = kafka_credentials("approval")
    tail = build_tail(KafkaSettings(bootstrap=theirs.bootstrap, username="approval", password=theirs.password))
    await tail.start()
    tail.subscribe([CONSENTS_WITHDRAWN])
    async with asyncio.timeout(15):
        while not tail.assignment():  # noqa: ASYNC110 - the client has no event for it
            await asyncio.sleep(0.02)
    (partition,) = tail.assignment()
    assert await tail.position(partition) >= 0
    committed: dict[str, datetime] = {}

    async def take_back(one: OneConsent, number: int) -> None:
        await asyncio.sleep(number * 0.05)
        await withdraw(service, one)
        committed[str(one.consent_id)] = await service.parts.pool.fetchval("SELECT clock_timestamp()")

    try:
        heart = WithdrawalsTold(service.parts.store, pause=0.1)
        async with running(heart, Relay(store=service.parts.store, kafka=ours)):
            await asyncio.gather(*(take_back(one, number) for number, one in enumerate(many)))
            read = await _read_until(tail, service, after=max(committed.values()))
    finally:
        await tail.stop()

    seen: set[str] = set()
    words = 0
    for event in read:
        if isinstance(event, ConsentWithdrawn):
            seen.add(str(event.consent_id))
        elif isinstance(event, WithdrawalsToldUntil):
            words += 1
            assert {one for one, at in committed.items() if at < event.as_of} <= seen
    assert seen >= set(committed)
    assert words >= 2


async def _read_until(tail: AIOKafkaConsumer, service: Service, *, after: datetime) -> list[Event]:
    """What this service said, of a topic that others' tests use too, until a word covers everything."""
    read: dict[str, Event] = {}
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for records in (await tail.getmany(timeout_ms=200)).values():
            for record in records:
                event = decode(record.headers, record.value).data
                read.setdefault(str(event.event_id), event)
        ours = {row["event_id"] for row in await service.parts.pool.fetch("SELECT event_id FROM outbox")}
        said = [event for identity, event in read.items() if identity in ours]
        if any(isinstance(event, WithdrawalsToldUntil) and event.as_of > after for event in said):
            return said
    raise TimeoutError("no word covered everything")


@asynccontextmanager
async def running(*components: Component) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    tasks = [asyncio.create_task(component.run(stopping)) for component in components]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        stopping.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 15)
