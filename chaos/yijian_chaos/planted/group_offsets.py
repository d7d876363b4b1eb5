"""A consumer that reads on from where its Kafka group stands, as most do, and not from its database.

The offsets in the database are still written, for whoever looks at them; they decide nothing. What remains against
repetition is the inbox.
"""

from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer
from yijian_messaging import kafka
from yijian_messaging.consumer import Consumer
from yijian_messaging.postgres import PostgresTransaction
from yijian_messaging.store import Move

from yijian_chaos.planted.replacing import replace


def believe_the_group(**options: object) -> None:
    """Have every consumer with a group begin where the group stands; `options` go to aiokafka."""

    def built(**careful: Any) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(**careful | (options if careful["group_id"] is not None else {}))

    replace(kafka, "AIOKafkaConsumer", built)
    replace(Consumer, "_place", _place)
    replace(PostgresTransaction, "advance", _advance)


async def _place(self: Consumer[Any, Any], consumer: AIOKafkaConsumer, assignments: Any) -> None:
    partitions = {p for p in assignments.unplaced if p in consumer.assignment()}
    starts = await kafka.answer(consumer.beginning_offsets(partitions)) if partitions else {}
    await self._store.positions(self.name, {(p.topic, p.partition): at for p, at in starts.items()}, self._cluster)
    for partition in partitions & set(consumer.assignment()):
        committed = await kafka.answer(consumer.committed(partition))
        if committed is not None:
            consumer.seek(partition, committed)
        consumer.resume(partition)
    assignments.unplaced -= partitions
    assignments.unplaced &= set(consumer.assignment())


async def _advance(self: PostgresTransaction, consumer: str, moves: Sequence[Move]) -> bool:
    """Note where we are; whoever was there before."""
    await self.connection.executemany(
        "UPDATE consumer_offset SET next_offset = $4, moved_at = now()"
        " WHERE consumer = $1 AND topic = $2 AND partition = $3",
        [(consumer, move.topic, move.partition, move.until) for move in sorted(moves)],
    )
    return True
