"""The second half of an erasure: what the outbox and the dead letters still hold of it, as soon as it was sent."""

import asyncio
import contextlib
from datetime import datetime
from typing import Any

import structlog
from yijian_common.database import Pool
from yijian_common.sealer import KeyringSealer
from yijian_messaging.postgres import PostgresStore
from yijian_messaging.postgres_erasure import erase_letters, erase_sent

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 5.0
LONGEST_PAUSE = 60.0
AT_ONCE = 500


class Forgetting:
    """A component: finishes erasures that began with `erase_people`."""

    name = "forgetting"

    def __init__(self, pool: Pool, store: PostgresStore, sealer: KeyringSealer) -> None:
        self._pool = pool
        self._store = store
        self._sealer = sealer
        self._problem: str | None = None

    def problem(self) -> str | None:
        return self._problem

    async def finish(self) -> bool:
        """Delete what is left of unfinished erasures; whether nothing of them waits any more."""
        rows = await self._pool.fetch(
            "SELECT application_id, since, erased_at FROM erasure_unfinished ORDER BY application_id LIMIT $1", AT_ONCE
        )
        if not rows:
            return True
        ids = [str(row["application_id"]) for row in rows]
        await erase_letters(self._store, self._pool, self._sealer, ids, note="what it was about is erased")
        waiting = await erase_sent(self._pool, ids, since=_first(rows, "since"), until=_last(rows, "erased_at"))
        if waiting:
            return False
        await self._pool.execute(
            "DELETE FROM erasure_unfinished WHERE application_id = ANY($1)", [row["application_id"] for row in rows]
        )
        log.info("erasures_finished", applications=len(rows))
        return len(rows) < AT_ONCE

    async def run(self, stopping: asyncio.Event) -> None:
        pause = PAUSE_SECONDS
        while not stopping.is_set():
            try:
                pause = PAUSE_SECONDS if await self.finish() else min(pause * 2, LONGEST_PAUSE)
                self._problem = None
            except Exception as error:
                if not self._store.is_transient(error):
                    raise
                self._problem = f"the database does not answer ({type(error).__name__}); trying again"
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause)


def _first(rows: list[Any], column: str) -> datetime:
    found: datetime = min(row[column] for row in rows)
    return found


def _last(rows: list[Any], column: str) -> datetime:
    found: datetime = max(row[column] for row in rows)
    return found
