"""identity and Kafka: people log in whether the broker is there or not, and what is said waits for it."""

from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest
from identity.events import say
from identity.provider import OpenIdProvider
from identity.testing import Running
from yijian_contracts.events import ErasedParts, PersonErased, SessionsEnded

pytestmark = [pytest.mark.postgres]


def test_people_log_in_while_kafka_is_down(running: Running) -> None:
    answer = httpx.post(f"{running.url}/dev/token", json={"account": "mother-0001"})
    ready = httpx.get(f"{running.url}/readyz")

    assert answer.status_code == 200
    assert ready.status_code == 200, "readiness speaks of the service's own database alone"
    # When the test ends the process is told to stop, and the fixture sees it end well and in time.


async def test_what_is_said_is_stored_with_what_it_tells(provider: OpenIdProvider) -> None:
    ended = SessionsEnded(subject=uuid4(), ended_at=datetime.now(UTC))

    with pytest.raises(ZeroDivisionError):
        async with provider.store.transaction() as transaction:
            await say(transaction, ended)
            raise ZeroDivisionError
    assert await unsent(provider) == []

    async with provider.store.transaction() as transaction:
        await say(transaction, ended)
    assert await unsent(provider) == [str(ended.event_id)]


async def test_what_is_personal_lies_sealed_until_it_is_sent(provider: OpenIdProvider) -> None:
    ref = "r" * 43
    erased = PersonErased(
        erasure_id=uuid4(), subject=uuid4(), erased_at=datetime.now(UTC), personal=ErasedParts(refs={"approval": ref})
    )
    async with provider.store.transaction() as transaction:
        await say(transaction, erased)

    stored = await provider.pool.fetchval("SELECT value FROM outbox WHERE event_id = $1", str(erased.event_id))
    assert ref.encode() not in stored
    ((waiting,),) = [[row.message for row in await provider.store.unsent(range(16), 10)]]
    assert ref.encode() in waiting.value


async def unsent(provider: OpenIdProvider) -> list[str]:
    return [row["event_id"] for row in await provider.pool.fetch("SELECT event_id FROM outbox_unsent")]
