"""Time passing: what is due is done by whichever process looks first. Nothing is scanned: `next_look_at` is indexed."""

import asyncio
import contextlib
from datetime import UTC, datetime

import structlog
from yijian_common.database import Connection
from yijian_messaging import Store

from rating.actions.orders import BATCH, look_at_due, reckon_again
from rating.order_effects import Carrier

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 2.0


class Clock:
    """A component: closes invitations and moves orders whose time has come."""

    name = "clock"

    def __init__(self, store: Store[Connection], carrier: Carrier) -> None:
        self._store = store
        self._carrier = carrier
        self._reckoned = False
        self._problem: str | None = None

    def problem(self) -> str | None:
        return self._problem

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            looked = 0
            try:
                looked = await self._look()
                self._problem = None
            except Exception as error:
                if not self._store.is_transient(error):
                    raise
                self._problem = f"the database does not answer ({type(error).__name__}); trying again"
            if looked < BATCH:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), PAUSE_SECONDS)

    async def _look(self) -> int:
        """Do what is due by now. A calendar that came with this release is believed before anything is."""
        async with self._store.transaction() as transaction:
            if not self._reckoned:
                log.info("deadlines reckoned", changed=await reckon_again(transaction))
            looked = await look_at_due(transaction, carrier=self._carrier, at=datetime.now(UTC))
        self._reckoned = True
        return looked
