"""The offset is stored in a transaction of its own, before the one with the effect."""

from collections.abc import Sequence
from typing import Any, cast
from weakref import WeakKeyDictionary

from yijian_messaging import consumer
from yijian_messaging.consumer import Consumer, OffsetMovedError
from yijian_messaging.postgres import PostgresTransaction
from yijian_messaging.store import Move

from yijian_chaos.planted.replacing import replace

Places = dict[tuple[str, int], int]


def plant() -> None:
    advance = PostgresTransaction.advance
    commit = Consumer._commit  # noqa: SLF001 - it is taken apart here
    moved: WeakKeyDictionary[Consumer[Any, Any], Places] = WeakKeyDictionary()

    async def commit_in_two(self: Consumer[Any, Any], batch: Sequence[Any]) -> None:
        places = moved.setdefault(self, {})
        moves = consumer._moves(batch)  # noqa: SLF001 - a bug is planted where no door is
        # What is tried again in halves was counted as read the first time.
        if any(places.get((move.topic, move.partition), -1) < move.until for move in moves):
            async with self._store.transaction() as transaction:
                if not await advance(cast("PostgresTransaction", transaction), self.name, moves):
                    raise OffsetMovedError
            places.update({(move.topic, move.partition): move.until for move in moves})
        await commit(self, batch)

    async def is_stored_already(_self: PostgresTransaction, _consumer: str, _moves: Sequence[Move]) -> bool:
        return True

    replace(PostgresTransaction, "advance", is_stored_already)
    replace(Consumer, "_commit", commit_in_two)
