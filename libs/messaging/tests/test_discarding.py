"""A client that cannot be stopped is left to itself: whoever reads on must not wait for it."""

import asyncio
import time
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from yijian_messaging.kafka import discard_consumer


class Stubborn:
    """As aiokafka's consumer is while its coordinator is away: it goes on waiting when it is told not to."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()

    async def stop(self) -> None:
        while not self.may_end.is_set():
            try:
                await self.may_end.wait()
            except asyncio.CancelledError:
                continue


class Failing:
    def __init__(self, error: Exception) -> None:
        self._error = error

    async def stop(self) -> None:
        raise self._error


async def test_a_consumer_that_ignores_its_cancellation_holds_up_nobody():
    stubborn: Any = Stubborn()
    began = time.monotonic()
    await asyncio.wait_for(asyncio.shield(discard_consumer(stubborn, seconds=0.1)), 20)
    assert time.monotonic() - began < 15
    stubborn.may_end.set()


async def test_what_kafka_says_while_a_consumer_stops_is_no_failure_of_ours():
    failing: Any = Failing(KafkaConnectionError("gone"))
    await discard_consumer(failing)


async def test_a_mistake_of_ours_is_not_hidden():
    failing: Any = Failing(ValueError("a mistake"))
    with pytest.raises(ValueError, match="a mistake"):
        await discard_consumer(failing)


async def test_whoever_gives_up_waiting_gives_up_at_once():
    stubborn: Any = Stubborn()
    waiting = asyncio.create_task(discard_consumer(stubborn, seconds=60))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    stubborn.may_end.set()
