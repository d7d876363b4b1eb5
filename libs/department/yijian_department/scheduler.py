"""The loop that does what has become due: retries, scripted delays, looks that handlers asked for.

What is due stands in the store, so a crash loses nothing; this loop only sleeps until the next time.
"""

import asyncio
import contextlib
from typing import Any

import structlog
from yijian_messaging.sqlite import SqliteStore

from yijian_department.handling import Handling

log = structlog.get_logger(__name__)

LONGEST_SLEEP = 1.0
SHORTEST_SLEEP = 0.02  # what becomes due within it shares one transaction
PAUSE_WHEN_AWAY = 1.0


class Scheduler:
    """A component of the process; `wake` makes it look at once, safe to call before the waking change is committed."""

    name = "scheduler"

    def __init__(self, store: SqliteStore, handling: Handling[Any]) -> None:
        self._store = store
        self._handling = handling
        self._woken = asyncio.Event()
        self._problem: str | None = None

    def problem(self) -> str | None:
        return self._problem

    def wake(self) -> None:
        self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        stopped = asyncio.ensure_future(stopping.wait())
        try:
            while not stopping.is_set():
                self._woken.clear()
                sleep = await self._look()
                woken = asyncio.ensure_future(self._woken.wait())
                await asyncio.wait({woken, stopped}, timeout=sleep, return_when=asyncio.FIRST_COMPLETED)
                woken.cancel()
        finally:
            stopped.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await stopped

    async def _look(self) -> float:
        """Do what is due and return how long to sleep, in seconds."""
        try:
            async with self._store.transaction() as tx:
                due_in = await self._handling.look_again(tx)
        except Exception as error:
            if not self._store.is_transient(error):
                raise
            self._problem = f"the store does not answer ({type(error).__name__}); waiting"
            log.warning("store away", error=type(error).__name__)
            return PAUSE_WHEN_AWAY
        self._problem = None
        return min(max(SHORTEST_SLEEP, due_in if due_in is not None else LONGEST_SLEEP), LONGEST_SLEEP)
