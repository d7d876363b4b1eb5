"""Feeding the witness: each new checkpoint, the latest one if several came since, and its cosignature kept."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import structlog
from prometheus_client import Gauge
from yijian_common.database import Connection, Pool
from yijian_ledger.notes import NoteError, Signature
from yijian_messaging import Store
from yijian_messaging.faultpoints import FaultPoint, reach

from data_exchange.checkpoints import Signed, find_latest, find_latest_cosigned, store_cosignature
from data_exchange.errors import LedgerBroken
from data_exchange.tree import prove_consistency, root_at
from data_exchange.witness_client import Elsewhere, WitnessAwayError, WitnessClient, WitnessRefusesError

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 0.2
ACQUIRE_SECONDS: Final = 2.0
AWAY_PAUSE: Final = 2.0
MOST_PAUSE: Final = 15.0

WITNESSED = Gauge("yijian_ledger_witnessed_leaves", "Leaves that the last cosigned checkpoint covers")


class Feeder:
    """A component; it works where `leads` says that the signer works, so that the witness has one who asks."""

    name = "ledger-witness"

    def __init__(
        self, store: Store[Connection], pool: Pool, witness: WitnessClient, *, leads: Callable[[], bool]
    ) -> None:
        self._store = store
        self._pool = pool
        self._witness = witness
        self._leads = leads
        self._size: int | None = None
        self._refused = False
        self._problem: str | None = None

    def problem(self) -> str | None:
        return self._problem

    async def run(self, stopping: asyncio.Event) -> None:
        pause = AWAY_PAUSE
        while not stopping.is_set():
            rest = POLL_SECONDS
            try:
                if self._leads():
                    await self._feed()
                self._problem = None
                pause = AWAY_PAUSE
            except (WitnessRefusesError, LedgerBroken, NoteError) as error:
                await self._report(error)
                rest = MOST_PAUSE
            except WitnessAwayError as error:
                self._size = None
                self._problem = f"the witness does not answer ({error}); trying again"
                log.warning("witness_away", reason=str(error))
                rest = pause
                pause = min(pause * 2, MOST_PAUSE)
            except Exception as error:
                if not self._store.is_transient(error):
                    raise
                self._problem = f"the database does not answer ({type(error).__name__}); trying again"
                rest = AWAY_PAUSE
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), rest)

    async def _feed(self) -> None:
        """Send the latest checkpoint unless the witness has it."""
        async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            latest = await find_latest(connection)
            if self._size is None:
                cosigned = await find_latest_cosigned(connection)
                self._size = cosigned.size if cosigned else 0
        if latest is None or latest.size == self._size:
            return
        answer = await self._ask(latest, old=self._size)
        if isinstance(answer, Elsewhere):
            self._size = answer.size
            answer = await self._ask(latest, old=answer.size)
            if isinstance(answer, Elsewhere):
                raise WitnessAwayError("its size changes while we ask")
        reach(FaultPoint.COSIGNATURE_BEFORE_COMMIT)
        async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            await store_cosignature(connection, latest.size, answer.line)
        reach(FaultPoint.COSIGNATURE_AFTER_COMMIT)
        self._size = latest.size
        WITNESSED.set(latest.size)
        if self._refused:
            await self._make_up()

    async def _ask(self, latest: Signed, *, old: int) -> Signature | Elsewhere:
        if old > latest.size:
            raise WitnessRefusesError(f"it has seen {old} leaves and we have signed {latest.size}")
        async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            proof = await prove_consistency(connection, old, latest.size)
        return await self._witness.add(old, proof, latest.note)

    async def _report(self, error: Exception) -> None:
        self._size, self._refused = None, True
        self._problem = f"the witness does not cosign: {error}"
        log.error("witness_refuses", reason=str(error))
        with contextlib.suppress(Exception):
            async with self._store.transaction() as transaction:
                await transaction.open_incident("witness-refuses", self._witness.key.name, str(error))

    async def _make_up(self) -> None:
        async with self._store.transaction() as transaction:
            await transaction.close_incident("witness-refuses", self._witness.key.name, "it cosigned again")
        self._refused = False


async def witness_objects(connection: Connection, size: int, *, witness: WitnessClient) -> str | None:
    """Why the tree at this size must not be signed on, by what the witness saw; a witness that is away has no say."""
    try:
        seen = await witness.find_last()
    except WitnessAwayError as error:
        log.warning("witness_not_asked", reason=str(error))
        return None
    if seen is None:
        return None
    if seen.checkpoint.size > size:
        return f"the witness saw {seen.checkpoint.size} leaves signed and the tables know of {size}"
    if await root_at(connection, seen.checkpoint.size, size) != seen.checkpoint.root:
        return f"the witness saw another root at size {seen.checkpoint.size}"
    return None
