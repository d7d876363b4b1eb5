"""A process that appends and signs, and is killed by the kernel at a database round trip chosen beforehand.

`python tests/ledger/dying.py URL KEY ROUND WHEN` appends two batches and signs twice; `ROUND` counts statements, BEGIN
and COMMIT included, and `WHEN` says whether it dies before the statement is sent or after its answer came. Without
`ROUND` it prints how many there are. Under each line of stdout is what was committed for sure before.
"""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from data_exchange import ledger, signer_lease
from data_exchange.signing import EMPTY, Head, read_head, sign_next
from yijian_common.database import server_settings
from yijian_ledger.keys import PrivateKey, read_private_key
from yijian_ledger.leaf import LeafKind, make_leaf
from yijian_messaging import NoSealer
from yijian_messaging.postgres import PostgresStore

OWNER = "dying"
BATCH = 300


class Rounds:
    """Counts what is sent to the database, and knows when to die."""

    def __init__(self, deadly: int | None, *, after: bool) -> None:
        self.deadly = deadly
        self.after = after
        self.count = 0

    def before_statement(self) -> None:
        self.count += 1
        if self.count == self.deadly and not self.after:
            os.kill(os.getpid(), signal.SIGKILL)

    def after_statement(self) -> None:
        if self.count == self.deadly and self.after:
            os.kill(os.getpid(), signal.SIGKILL)


def counting(rounds: Rounds) -> type[asyncpg.Connection]:
    """A connection whose every round trip is counted; transactions begin and end by `execute`."""

    class Counting(asyncpg.Connection):  # type: ignore[misc] # asyncpg's stubs make it generic
        async def execute(self, *told: Any, **named: Any) -> Any:
            return await self._counted(super().execute(*told, **named))

        async def fetch(self, *told: Any, **named: Any) -> Any:
            return await self._counted(super().fetch(*told, **named))

        async def fetchrow(self, *told: Any, **named: Any) -> Any:
            return await self._counted(super().fetchrow(*told, **named))

        async def fetchval(self, *told: Any, **named: Any) -> Any:
            return await self._counted(super().fetchval(*told, **named))

        async def _counted(self, statement: Any) -> Any:
            rounds.before_statement()
            answer = await statement
            rounds.after_statement()
            return answer

    return Counting


async def work(url: str, key: PrivateKey, rounds: Rounds) -> None:
    pool = await asyncpg.create_pool(
        url, min_size=1, max_size=1, server_settings=server_settings(OWNER), connection_class=counting(rounds)
    )
    store = PostgresStore(pool, sealer=NoSealer())
    epoch = await pool.fetchval("SELECT epoch FROM ledger_signer")
    async with pool.acquire() as connection:
        epoch = await signer_lease.take(connection, OWNER, predecessors=OWNER)
        first = await connection.fetchval("SELECT coalesce(max(index) + 1, 0) FROM ledger.leaf")
    head: Head | None = None
    for batch in range(2):
        leaves = [
            make_leaf(UUID(int=first + batch * BATCH + n + 1), LeafKind.DISCLOSURE, {}, salt=bytes(32))
            for n in range(BATCH)
        ]
        async with store.transaction() as transaction:
            await ledger.append(transaction.connection, leaves)
        _say(f"appended {first + (batch + 1) * BATCH}")
        async with store.transaction() as transaction:
            await signer_lease.hold(transaction.connection, OWNER, epoch)
            head = await read_head(transaction.connection, key, known=head or EMPTY)
            head = await sign_next(transaction, head, key, at=datetime.now(UTC), source="data-exchange")
        _say(f"signed {head.size if head else 0}")
    _say(f"rounds {rounds.count}")
    pool.terminate()


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    address, key_file, *death = sys.argv[1:]
    counted = Rounds(int(death[0]) if death else None, after=death[1:] == ["after"])
    asyncio.run(work(address, read_private_key(Path(key_file)), counted))
