"""Time passing: applications whose time to be looked at has come are looked at, by whichever process is first."""

import asyncio
import contextlib
from functools import partial

import structlog
from yijian_common.database import Connection
from yijian_messaging import Store

from approval.actions.changes import look_after
from approval.actions.coverage import proceed
from approval.actions.erasures import look_again
from approval.actions.rectifications import resend_rectifications
from approval.effects import Effects
from approval.keys import Keys

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 1.0
SWEEP_BATCH = 100


class Sweeper:
    """A component: has unanswered tasks asked again, what waited for the ledger go on, erasures looked after."""

    name = "sweeper"

    def __init__(self, store: Store[Connection], effects: Effects, keys: Keys) -> None:
        self._store = store
        self._effects = effects
        self._sweeps = (look_after, proceed, resend_rectifications, partial(look_again, keys=keys))
        self._problem: str | None = None

    def problem(self) -> str | None:
        return self._problem

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            looked = 0
            try:
                for sweep in self._sweeps:
                    async with self._store.transaction() as transaction:
                        looked = max(looked, await sweep(transaction, effects=self._effects, limit=SWEEP_BATCH))
                self._problem = None
            except Exception as error:
                if not self._store.is_transient(error):
                    raise
                self._problem = f"the database does not answer ({type(error).__name__}); trying again"
            if looked < SWEEP_BATCH:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), PAUSE_SECONDS)
