"""How far the ledger has come: whether every disclosure is written down soon after it happened.

Each process looks once a second, so that no request pays for it. The oldest disclosure that no checkpoint covers says
how far the ledger is behind; where there is none, the moment of looking does. A process that cannot look any more
therefore comes to hold by itself, and what it knows is at most one look old.
"""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import structlog
from prometheus_client import Gauge
from yijian_common.database import Connection
from yijian_messaging import Store, Transaction

log = structlog.get_logger(__name__)

LIMIT = timedelta(minutes=10)
LOOK_SECONDS = 1.0
INCIDENT = "ledger-behind"
SUBJECT = "disclosures"

UNCOVERED_AGE = Gauge(
    "yijian_disclosure_uncovered_age_seconds", "Age of the oldest disclosure that no checkpoint of the ledger covers"
)


class Coverage:
    """A component; `behind` is for whoever is about to request tasks."""

    name = "ledger-coverage"

    def __init__(self, store: Store[Connection], *, limit: timedelta = LIMIT) -> None:
        self._store = store
        self._limit = limit
        self._covered_until: datetime | None = None
        self._told: bool | None = None

    def behind(self, at: datetime) -> bool:
        """Whether the oldest disclosure that is not covered is older than the limit, so that nothing may be added."""
        return self._covered_until is None or at - self._covered_until > self._limit

    def problem(self) -> str | None:
        # That the ledger is behind is no trouble of this process, which a new start would mend: the incident says it.
        return None

    async def look(self) -> None:
        """Read how far the ledger has come, and open or close the incident that says so."""
        async with self._store.transaction() as transaction:
            now = datetime.now(UTC)
            oldest = await transaction.connection.fetchval(
                "SELECT disclosed_at FROM disclosure_uncovered WHERE disclosed_at <= $1 ORDER BY disclosed_at LIMIT 1",
                now,
            )
            self._covered_until = oldest or now
            behind = self.behind(now)
            if behind is not self._told:
                await self._tell(transaction, behind=behind)
        self._told = behind
        UNCOVERED_AGE.set(max(0.0, (now - self._covered_until).total_seconds()))

    async def _tell(self, transaction: Transaction[Connection], *, behind: bool) -> None:
        if behind:
            log.error("ledger_behind", covered_until=str(self._covered_until))
            summary = f"no checkpoint covers what was disclosed at {self._covered_until:%Y-%m-%d %H:%M:%S} UTC"
            await transaction.open_incident(INCIDENT, SUBJECT, f"{summary}; no further task is requested")
        else:
            await transaction.close_incident(INCIDENT, SUBJECT, "the ledger has caught up; held tasks go on")

    async def run(self, stopping: asyncio.Event) -> None:
        pause = min(LOOK_SECONDS, self._limit.total_seconds() / 10)
        while not stopping.is_set():
            try:
                await self.look()
            except Exception as error:
                if not self._store.is_transient(error):
                    raise
                log.warning("coverage_unknown", error=type(error).__name__)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause)
