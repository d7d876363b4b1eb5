"""Waiting for a Kafka client, which may not stop when it is told to."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")

STOPPING_SECONDS = 1.0


async def within(seconds: float, asked: Awaitable[T]) -> T:
    """What it comes to. Raises TimeoutError when it takes longer, at the latest a second after that.

    `asyncio.wait_for` waits without end for whoever swallows its cancellation, as aiokafka's coordinator does while the
    broker is away, and who waited so would never read again. Here whoever does not stop is left to itself.
    """
    task = asyncio.ensure_future(asked)
    task.add_done_callback(_hear)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()
    await asyncio.wait({task}, timeout=STOPPING_SECONDS)
    if not task.done() or task.cancelled():
        raise TimeoutError
    return task.result()


def _hear(task: "asyncio.Future[Any]") -> None:
    """Take note of an error that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
