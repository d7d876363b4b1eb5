"""From approval's topic into wallets, and from wallets to the ledger's topic, over the real broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from confluent_kafka import Producer
from identity.provider import OpenIdProvider
from identity.wallet.consumers import documents_consumer
from identity.wallet.testing import City, message
from yijian_contracts.events import Event
from yijian_embedded.testing import Credentials
from yijian_messaging import Component, KafkaSettings, Relay
from yijian_messaging.testing import wait_until

pytestmark = [pytest.mark.postgres, pytest.mark.kafka]


@asynccontextmanager
async def at_work(*components: Component) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    running = [asyncio.create_task(component.run(stopping)) for component in components]
    try:
        yield
    finally:
        stopping.set()
        await asyncio.wait_for(asyncio.gather(*running), 20)


def consumer_and_relay(provider: OpenIdProvider, credentials: Credentials) -> tuple[Component, Component]:
    known = credentials("identity")
    kafka = KafkaSettings(bootstrap=known.bootstrap, username=known.username, password=known.password)
    return (
        documents_consumer(provider.store, keyring=provider.keyring, kafka=kafka),
        Relay(store=provider.store, kafka=kafka),
    )


def tell(credentials: Credentials, *events: Event) -> None:
    """Publish as approval does."""
    producer = Producer(credentials("approval").client_config())
    for event in events:
        record = message(event).record
        producer.produce(record.topic, record.value, key=record.key, headers=list(record.headers))
    assert producer.flush(10) == 0


async def test_documents_come_in_and_showings_go_out(city: City, kafka_credentials: Credentials) -> None:
    certificate = city.case.document(number="Z991234567")
    tell(kafka_credentials, certificate, city.case.relation(), certificate)

    async with at_work(*consumer_and_relay(city.provider, kafka_credentials)):

        async def is_registered() -> bool:
            return bool((await city.call("mother-0002", "GET", "/v1/relations")).json())

        await wait_until(is_registered, what="the relation", within=60)
        (listed,) = await city.documents("mother-0002")
        link = (await city.present("mother-0002", listed["id"])).json()["link"]
        assert (await city.http.get(link, headers={"Accept": "application/json"})).json()["valid"] is True

        async def is_sent() -> bool:
            return not await city.provider.pool.fetchval("SELECT EXISTS (SELECT FROM outbox_unsent)")

        await wait_until(is_sent, what="the disclosure to be sent", within=30)
    assert await city.provider.pool.fetchval("SELECT count(*) FROM outbox WHERE topic = 'identity.disclosures'") == 1
