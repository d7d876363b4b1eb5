"""The signer: whoever holds the lease signs what was appended, soon when little comes in, once a second under load."""

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

import structlog
from prometheus_client import Counter, Gauge
from yijian_common.database import Connection, Pool
from yijian_ledger.keys import PrivateKey
from yijian_messaging import Store
from yijian_messaging.faultpoints import FaultPoint, reach

from data_exchange import signer_lease
from data_exchange.errors import LedgerBroken
from data_exchange.signer_lease import LeaseLostError
from data_exchange.signing import EMPTY, Head, read_head, require_continuation, sign_next

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 0.1
SETTLE_SECONDS: Final = 0.1
"""What comes in together is signed together."""
INTERVAL_SECONDS: Final = 0.6
"""From one checkpoint to the next under load; with a poll and the signing itself it stays below a second."""
STANDBY_SECONDS: Final = 0.5
"""How often whoever does not sign asks whether to take over."""
ACQUIRE_SECONDS: Final = 2.0
MAX_PAUSE: Final = 5.0
BROKEN_PAUSE: Final = 10.0

CHECKPOINTS = Counter("yijian_ledger_checkpoints_total", "Checkpoints that this process signed")
SIGNED = Gauge("yijian_ledger_signed_leaves", "Leaves that this process's last checkpoint covers")


Objection = Callable[[Connection, int], Awaitable[str | None]]
"""Says why the tree as it is at this size must not be signed on, such as a witness that saw another one."""


class Signer:
    """A component. `objects` is asked whenever this process begins to sign; its own memory is asked always."""

    name = "ledger-signer"

    def __init__(
        self,
        store: Store[Connection],
        pool: Pool,
        key: PrivateKey,
        *,
        source: str,
        instance: str | None = None,
        objects: Objection | None = None,
    ) -> None:
        self._store = store
        self._pool = pool
        self._key = key
        self._source = source
        self._predecessors = f"{instance}/" if instance else None
        self._owner = f"{self._predecessors or ''}{os.getpid()}-{uuid4().hex[:12]}"
        self._objects = objects
        self._epoch: int | None = None
        self._renew_at = 0.0
        self._head: Head | None = None
        self._remembered = EMPTY
        self._waiting_since: float | None = None
        self._signed_at = 0.0
        self._problem: str | None = None

    @property
    def leads(self) -> bool:
        """Whether this process is the one that signs."""
        return self._epoch is not None

    def problem(self) -> str | None:
        return self._problem

    async def run(self, stopping: asyncio.Event) -> None:
        pause = POLL_SECONDS
        try:
            while not stopping.is_set():
                try:
                    await self._turn()
                    self._problem = None
                    pause = POLL_SECONDS
                except LeaseLostError:
                    self._epoch = self._head = None
                    self._renew_at = 0.0
                except LedgerBroken as error:
                    await self._report(error)
                    pause = BROKEN_PAUSE
                except Exception as error:
                    if not self._store.is_transient(error):
                        raise
                    # What became of the last transaction is unknown: the head is read again.
                    self._head = None
                    self._problem = f"nothing is signed: the database does not answer ({type(error).__name__})"
                    log.warning("signer_waits", error=type(error).__name__)
                    pause = min(pause * 2, MAX_PAUSE)
                await _rest(stopping, pause)
        finally:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(2), self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                    await signer_lease.release(connection, self._owner)

    async def _turn(self) -> None:
        await self._renew()
        if self._epoch is None:
            return
        if self._head is None:
            await self._open()
        elif await self._is_due(self._head):
            await self._sign(self._epoch, self._head)

    async def _renew(self) -> None:
        now = time.monotonic()
        if now < self._renew_at:
            return
        async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            epoch = await signer_lease.take(connection, self._owner, predecessors=self._predecessors)
        if epoch != self._epoch:
            self._head = None
        self._epoch, self._predecessors = epoch, None
        self._renew_at = now + (STANDBY_SECONDS if epoch is None else signer_lease.LEASE_SECONDS / 3)

    async def _open(self) -> None:
        """Begin: the tree must have the root that was signed last, and go on from what we and the witness saw."""
        async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            head = await read_head(connection, self._key, known=None)
            await require_continuation(connection, head, self._remembered)
            if self._objects is not None and (objection := await self._objects(connection, head.size)):
                raise LedgerBroken(objection)
        self._head = self._remembered = head
        async with self._store.transaction() as transaction:
            await transaction.close_incident("ledger-broken", self._key.name, "the tables agree again")

    async def _is_due(self, head: Head) -> bool:
        """Whether to sign now. Asks for leaves only while none is known to wait, and when one could soon be due."""
        due = self._signed_at + INTERVAL_SECONDS
        if self._waiting_since is None:
            if time.monotonic() < due - SETTLE_SECONDS or not await self._leaf_waits(head):
                return False
            self._waiting_since = time.monotonic()
        return time.monotonic() >= max(self._waiting_since + SETTLE_SECONDS, due)

    async def _leaf_waits(self, head: Head) -> bool:
        async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            leaves: int = await connection.fetchval("SELECT coalesce(max(index) + 1, 0) FROM ledger.leaf")
        return leaves > head.size

    async def _sign(self, epoch: int, known: Head) -> None:
        began = time.monotonic()
        async with self._store.transaction() as transaction:
            await signer_lease.hold(transaction.connection, self._owner, epoch)
            head = await read_head(transaction.connection, self._key, known=known)
            await require_continuation(transaction.connection, head, self._remembered)
            reach(FaultPoint.SIGN_BEFORE)
            signed = await sign_next(transaction, head, self._key, at=datetime.now(UTC), source=self._source)
            if signed is not None:
                reach(FaultPoint.SIGN_BEFORE_COMMIT)
        self._waiting_since = None
        if signed is not None:
            reach(FaultPoint.SIGN_AFTER_COMMIT)
            self._head = self._remembered = signed
            self._signed_at = began
            CHECKPOINTS.inc()
            SIGNED.set(signed.size)

    async def _report(self, error: LedgerBroken) -> None:
        self._head = None
        self._problem = f"nothing is signed: {error}"
        log.error("ledger_broken", reason=str(error))
        with contextlib.suppress(Exception):
            async with self._store.transaction() as transaction:
                await transaction.open_incident("ledger-broken", self._key.name, str(error))


async def _rest(stopping: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)
