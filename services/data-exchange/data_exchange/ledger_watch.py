"""Watching that what is written down is also signed: figures for operators, an incident when it takes too long."""

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Final

from prometheus_client import Gauge
from yijian_common.database import Connection, Pool
from yijian_messaging import Store

from data_exchange.ledger_state import LedgerState, read_state

PAUSE_SECONDS: Final = 5.0
ACQUIRE_SECONDS: Final = 2.0
SUBJECT: Final = "ledger"

LEAVES = Gauge("yijian_ledger_leaves", "Leaves of the ledger")
UNSIGNED = Gauge("yijian_ledger_unsigned_leaves", "Leaves that no checkpoint covers yet")
UNSIGNED_AGE = Gauge("yijian_ledger_unsigned_age_seconds", "Time since the oldest uncovered disclosure went out")
UNWITNESSED = Gauge("yijian_ledger_unwitnessed_leaves", "Signed leaves that no witness has cosigned yet")


class LedgerWatch:
    """A component of every worker, whether it signs or not: that nobody signs is what it has to notice."""

    name = "ledger-watch"

    def __init__(self, store: Store[Connection], pool: Pool) -> None:
        self._store = store
        self._pool = pool
        self._problem: str | None = None
        self._told: bool | None = None

    def problem(self) -> str | None:
        return self._problem

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                    state = await read_state(connection)
                await self._tell(state, datetime.now(UTC))
            except Exception as error:
                if not self._store.is_transient(error):
                    raise
                self._problem = f"the database does not answer ({type(error).__name__}); trying again"
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), PAUSE_SECONDS)

    async def _tell(self, state: LedgerState, now: datetime) -> None:
        LEAVES.set(state.leaves)
        UNSIGNED.set(state.leaves - state.signed_size)
        UNSIGNED_AGE.set(state.waiting_seconds(now))
        UNWITNESSED.set(state.signed_size - state.witnessed_size)
        self._problem = state.problem(now)
        late = self._problem is not None
        if late == self._told:
            return
        async with self._store.transaction() as transaction:
            if self._problem is not None:
                await transaction.open_incident("ledger-unsigned", SUBJECT, self._problem)
            else:
                await transaction.close_incident("ledger-unsigned", SUBJECT, "everything is signed again")
        self._told = late
