"""When what was disclosed stays unsigned too long, it is said: in the ledger's state, in an incident, in /readyz."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from data_exchange.ledger_state import HELD_AFTER, read_state
from data_exchange.ledger_watch import UNSIGNED, UNSIGNED_AGE, LedgerWatch
from yijian_ledger.keys import PrivateKey, new_key
from yijian_messaging.testing import wait_until

from .conftest import Service
from .disclosure_story import disclosed, record
from .ledger_story import ORIGIN, sign

pytestmark = pytest.mark.postgres


@pytest.fixture
def key() -> PrivateKey:
    return new_key(ORIGIN)


async def watched(service: Service, watch: LedgerWatch, *, problem: bool) -> None:
    """Run the watch until it says so."""
    stopping = asyncio.Event()
    running = asyncio.create_task(watch.run(stopping))

    async def said() -> bool:
        opened = [incident.kind for incident in await service.parts.store.incidents()]
        return (watch.problem() is not None) is problem and ("ledger-unsigned" in opened) is problem

    await wait_until(said, what="the watch")
    stopping.set()
    await asyncio.wait_for(running, 10)


async def test_a_disclosure_that_waits_for_ten_minutes_is_an_incident_until_it_is_signed(
    service: Service, key: PrivateKey
):
    long_ago = datetime.now(UTC) - HELD_AFTER - timedelta(seconds=5)
    await record(service, disclosed(disclosed_at=long_ago), disclosed(disclosed_at=datetime.now(UTC)))
    watch = LedgerWatch(service.parts.store, service.parts.pool)
    await watched(service, watch, problem=True)
    assert "2 leaves wait for a signature" in (watch.problem() or "")
    assert UNSIGNED._value.get() == 2
    assert UNSIGNED_AGE._value.get() > HELD_AFTER.total_seconds()
    told = (await service.client.get("/v1/ledger")).json()
    assert told["problem"] is not None
    assert datetime.fromisoformat(told["oldest_uncovered_at"]) == long_ago

    await sign(service, key)
    await watched(service, LedgerWatch(service.parts.store, service.parts.pool), problem=False)
    assert (await service.client.get("/v1/ledger")).json()["problem"] is None


async def test_what_has_just_come_in_is_no_problem(service: Service):
    await record(service, disclosed(disclosed_at=datetime.now(UTC) - timedelta(minutes=9)))
    async with service.parts.pool.acquire() as connection:
        state = await read_state(connection)
    assert state.problem(datetime.now(UTC)) is None
    assert state.problem(datetime.now(UTC) + timedelta(minutes=2)) is not None
