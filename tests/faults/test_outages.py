"""Kafka away, for a moment or for more than a minute: applications are accepted meanwhile, and all of it drains."""

import asyncio
import time
from collections import defaultdict
from datetime import datetime
from uuid import UUID

import pytest
from yijian_contracts.cloudevents import decode
from yijian_contracts.events import DataDisclosed
from yijian_contracts.topics import DISCLOSURES
from yijian_embedded import kafka
from yijian_embedded.platform import Platform

from tests.e2e.broker import read_all
from tests.faults.births import Births

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

STOPPED_WITHIN_S = 15


def in_order(births: Births) -> None:
    """However often something was sent again: what was sent for the first time came in the order in which it arose."""
    seen: dict[str, dict[UUID, datetime]] = defaultdict(dict)
    for record in read_all(births.city.platform.kafka_credentials("data-exchange"), DISCLOSURES):
        event = decode(record.headers, record.value).data
        if isinstance(event, DataDisclosed) and event.application_id in births.accepted:
            seen[event.key].setdefault(event.task_id, event.disclosed_at)
    assert len(seen) == len(births.accepted)
    assert all(len(told) > 1 and list(told.values()) == sorted(told.values()) for told in seen.values())


def restart(platform: Platform, *, hard: bool) -> None:
    process = platform.process(kafka.NAME)
    assert process is not None
    if hard:
        process.kill()
        process.wait()
    else:
        kafka.stop_kafka(platform.home)
    platform.up(services=False)


@pytest.mark.parametrize(
    "hard", [pytest.param(False, id="stopped", marks=pytest.mark.slow), pytest.param(True, id="killed")]
)
async def test_a_broker_restarts_while_the_outbox_drains(births: Births, *, hard: bool):
    await births.apply(2)
    restarting = asyncio.create_task(asyncio.to_thread(restart, births.city.platform, hard=hard))
    await asyncio.sleep(0.5)
    await births.apply(4)
    await restarting
    await births.settled_once()
    in_order(births)


async def away_for(births: Births, seconds: float) -> None:
    platform = births.city.platform
    await births.apply(2)
    process = platform.process(kafka.NAME)
    assert process is not None
    process.kill()
    process.wait()
    began = time.monotonic()
    await births.apply(3)
    assert time.monotonic() - began < 10
    await asyncio.sleep(max(0, seconds - (time.monotonic() - began) - 6))
    await births.apply(1)
    await asyncio.to_thread(platform.up, services=False)
    await births.settled_once()
    in_order(births)


@pytest.mark.slow
async def test_kafka_is_away_for_longer_than_a_producer_survives(births: Births):
    await away_for(births, 75)


async def test_processes_stop_in_time_with_kafka_down(births: Births):
    platform = births.city.platform
    await births.apply(1)
    process = platform.process(kafka.NAME)
    assert process is not None
    process.kill()
    process.wait()
    await births.apply(1)
    for name in ("approval", "health"):
        running = platform.process(name)
        assert running is not None
        began = time.monotonic()
        running.terminate()
        assert await asyncio.to_thread(running.wait, STOPPED_WITHIN_S) == 0
        assert time.monotonic() - began < STOPPED_WITHIN_S
    await asyncio.to_thread(platform.up, services=False)
    births.heal()
    await births.settled_once()
