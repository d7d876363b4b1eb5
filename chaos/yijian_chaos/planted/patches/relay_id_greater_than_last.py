"""The relay remembers the last row that it sent and asks for those with a greater number."""

from collections import defaultdict
from collections.abc import Sequence

from yijian_messaging.postgres import PostgresStore
from yijian_messaging.shards import shard_of
from yijian_messaging.store import Unsent

from yijian_chaos.planted.replacing import replace


def plant() -> None:
    unsent = PostgresStore.unsent
    mark_sent = PostgresStore.mark_sent
    last: defaultdict[tuple[str | None, int], int] = defaultdict(int)

    def place(row: Unsent) -> tuple[str | None, int]:
        return row.message.gate, shard_of(row.message.key)

    async def newer(
        self: PostgresStore, shards: Sequence[int], limit: int, *, open_gates: Sequence[str] = ()
    ) -> list[Unsent]:
        rows = await unsent(self, shards, limit, open_gates=open_gates)
        return [row for row in rows if row.row > last[place(row)]]

    async def mark_and_remember(self: PostgresStore, owner: str, rows: Sequence[Unsent]) -> None:
        await mark_sent(self, owner, rows)
        for row in rows:
            last[place(row)] = max(last[place(row)], row.row)

    replace(PostgresStore, "unsent", newer)
    replace(PostgresStore, "mark_sent", mark_and_remember)
