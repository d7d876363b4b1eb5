"""Rows of an outbox as Kafka takes them fastest: a batch for each partition, built at once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidTopicError, MessageSizeTooLargeError, TopicAuthorizationFailedError
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from yijian_messaging import kafka
from yijian_messaging.store import Unsent


@dataclass(slots=True)
class Packed:
    """Rows for one partition, in their order."""

    topic: str
    partition: int
    builder: Any
    rows: list[Unsent] = field(default_factory=list)
    gates: set[str | None] = field(default_factory=set)

    def add(self, row: Unsent, *, key: bytes) -> bool:
        """Whether there was room for it; the first row has room whatever its size."""
        message = row.message
        headers = kafka.header_list(message.headers)
        if self.builder.append(timestamp=None, key=key, value=message.value, headers=headers) is None:
            return False
        self.rows.append(row)
        self.gates.add(message.gate)
        return True

    async def send(self, producer: AIOKafkaProducer) -> "asyncio.Future[Any]":
        """Hand it over; what comes of it is the future's."""
        sent: asyncio.Future[Any] = await producer.send_batch(self.builder, self.topic, partition=self.partition)
        return sent


@dataclass(slots=True)
class Parcel:
    """Batches in the order in which they are to be handed over, and rows that Kafka would refuse for good, with why."""

    batches: list[Packed] = field(default_factory=list)
    refused: list[tuple[Unsent, str]] = field(default_factory=list)


async def pack(producer: AIOKafkaProducer, rows: Sequence[Unsent]) -> Parcel:
    """Batches of these rows. A row that is refused holds up what comes after it under its key, and nothing else."""
    parcel = Parcel()
    partitions = {topic: await _partitions_of(producer, topic) for topic in {row.message.topic for row in rows}}
    filling: dict[tuple[str, int], Packed] = {}
    held_up: set[str] = set()
    for row in rows:
        if row.message.key in held_up:
            continue
        key = row.message.key.encode()
        every = partitions[row.message.topic]
        why = every if isinstance(every, str) else _refusal(key, row)
        if isinstance(every, str) or why:
            held_up.add(row.message.key)
            parcel.refused.append((row, why))
            continue
        place = (row.message.topic, kafka.partition_of(key, every))
        batch = filling.get(place)
        if batch is None or not batch.add(row, key=key):
            batch = filling[place] = Packed(*place, producer.create_batch())
            batch.add(row, key=key)
            parcel.batches.append(batch)
    return parcel


async def _partitions_of(producer: AIOKafkaProducer, topic: str) -> list[int] | str:
    """The partitions of a topic, or why nothing can be sent there."""
    try:
        return sorted(await producer.partitions_for(topic))
    except (InvalidTopicError, TopicAuthorizationFailedError) as error:
        return type(error).__name__


def _refusal(key: bytes, row: Unsent) -> str:
    """Why no topic takes the row; empty when its size is no matter."""
    message = row.message
    if len(message.value) < kafka.MAX_MESSAGE_BYTES // 2:
        return ""
    size = DefaultRecordBatchBuilder.estimate_size_in_bytes(key, message.value, kafka.header_list(message.headers))
    return MessageSizeTooLargeError.__name__ if size > kafka.MAX_MESSAGE_BYTES else ""
