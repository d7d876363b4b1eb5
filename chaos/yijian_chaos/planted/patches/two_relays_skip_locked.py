"""Nobody leases shards: each relay locks the next rows that nobody else has locked, and sends them."""

import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from yijian_messaging.postgres import ACQUIRE_SECONDS, Connection, PostgresStore
from yijian_messaging.record import Outgoing
from yijian_messaging.store import SHARDS, Unsent

from yijian_chaos.planted.replacing import replace

AT_A_TIME = 20


@dataclass
class _Claim:
    """The rows that this process is sending, locked by an open transaction."""

    connection: Connection
    ends: AsyncExitStack = field(default_factory=AsyncExitStack)


_claims: list[_Claim] = []


def plant() -> None:
    replace(PostgresStore, "lease_shards", _lease_shards)
    replace(PostgresStore, "unsent", _unsent)
    replace(PostgresStore, "mark_sent", _mark_sent)


async def _lease_shards(_self: PostgresStore, _owner: str, _ttl: float) -> list[int]:
    return list(range(SHARDS))


async def _unsent(
    self: PostgresStore, _shards: Sequence[int], limit: int, *, open_gates: Sequence[str] = ()
) -> list[Unsent]:
    await _let_go()
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(self._pool.acquire(timeout=ACQUIRE_SECONDS))
        await stack.enter_async_context(connection.transaction())
        rows = await connection.fetch(
            """
            SELECT u.id, u.gate, o.event_id, o.topic, o.key, o.headers, o.value, o.personal
            FROM outbox_unsent u JOIN outbox o ON o.day = u.day AND o.id = u.id
            WHERE u.gate = ANY($1) AND NOT EXISTS (SELECT FROM outbox_parked p WHERE p.key = o.key)
            ORDER BY u.id LIMIT $2 FOR UPDATE OF u SKIP LOCKED
            """,
            ["", *open_gates],
            min(limit, AT_A_TIME),
        )
        if rows:
            _claims.append(_Claim(connection, stack.pop_all()))
    return [
        Unsent(
            row=row["id"],
            message=Outgoing(
                id=row["event_id"],
                topic=row["topic"],
                key=row["key"],
                headers=json.loads(row["headers"]),
                value=self._sealer.open(row["value"]) if row["personal"] else row["value"],
                personal=row["personal"],
                gate=row["gate"] or None,
            ),
        )
        for row in rows
    ]


async def _mark_sent(_self: PostgresStore, _owner: str, rows: Sequence[Unsent]) -> None:
    claim = _claims[-1]
    await claim.connection.execute(
        "DELETE FROM outbox_unsent WHERE gate = ANY($2) AND id = ANY($1)",
        [row.row for row in rows],
        sorted({row.message.gate or "" for row in rows}),
    )
    await _let_go()


async def _let_go() -> None:
    """Commit what was marked, and let others have what was not."""
    while _claims:
        await _claims.pop().ends.aclose()
