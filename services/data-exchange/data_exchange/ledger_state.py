"""How the ledger stands: what is written down, signed and witnessed, and what waits for how long."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from yijian_common.database import Connection

from data_exchange.checkpoints import Signed, find_latest, find_latest_cosigned

HELD_AFTER: Final = timedelta(minutes=10)
"""Older than this and uncovered: approval asks no department until it is signed (ARCHITECTURE.md, the ledger)."""


@dataclass(frozen=True, slots=True)
class LedgerState:
    """`oldest_uncovered_at` is when the oldest disclosure that no checkpoint covers went out."""

    leaves: int
    signed: Signed | None
    witnessed: Signed | None
    oldest_uncovered_at: datetime | None

    @property
    def signed_size(self) -> int:
        return self.signed.size if self.signed else 0

    @property
    def witnessed_size(self) -> int:
        return self.witnessed.size if self.witnessed else 0

    def waiting_seconds(self, now: datetime) -> float:
        """For how long the oldest uncovered disclosure has waited."""
        return max((now - self.oldest_uncovered_at).total_seconds(), 0.0) if self.oldest_uncovered_at else 0.0

    def problem(self, now: datetime) -> str | None:
        """Why approval asks no department just now."""
        if self.waiting_seconds(now) <= HELD_AFTER.total_seconds():
            return None
        since = self.oldest_uncovered_at.astimezone(UTC) if self.oldest_uncovered_at else now
        return (
            f"{self.leaves - self.signed_size} leaves wait for a signature, the oldest for what went out at"
            f" {since.isoformat(timespec='seconds')}; approval asks no department until it is signed"
        )


async def read_state(connection: Connection) -> LedgerState:
    leaves: int = await connection.fetchval("SELECT coalesce(max(index) + 1, 0) FROM ledger.leaf")
    signed = await find_latest(connection)
    # The oldest is among the first that wait: they come in the order in which they went out, or nearly.
    oldest = await connection.fetchval(
        """
        SELECT min(d.disclosed_at) FROM
            (SELECT id FROM ledger.leaf WHERE index >= $1 ORDER BY index LIMIT 1000) l
        JOIN disclosure d ON d.id = l.id
        """,
        signed.size if signed else 0,
    )
    return LedgerState(leaves, signed, await find_latest_cosigned(connection), oldest)
