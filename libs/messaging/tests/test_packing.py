"""Rows on their way to Kafka: a batch for each partition, in order, and none that is too large."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from yijian_messaging import KafkaSettings, Message, Outgoing, Tuning
from yijian_messaging.kafka import MAX_MESSAGE_BYTES, build_producer, discard_producer, partition_of
from yijian_messaging.packing import pack
from yijian_messaging.store import Unsent

from .line import outgoing


@pytest.fixture
async def producer(line) -> AsyncIterator[AIOKafkaProducer]:
    kafka: KafkaSettings = line.kafka
    started = build_producer(kafka, Tuning())
    await started.start()
    yield started
    await discard_producer(started)


def row(number: int, *, key: str, topic: str, size: int = 100, gate: str | None = None) -> Unsent:
    return Unsent(number, Outgoing(f"e{number}", topic, key, {"n": str(number)}, b"x" * size, gate=gate))


async def test_a_key_keeps_its_order_however_many_batches_it_fills(line):
    """1,500 rows of one key are several batches of 128 kB; what is handled is handled in the order of saying."""
    seen: list[str] = []

    async def keep(transaction: Any, messages: Sequence[Message[str]]) -> None:
        seen.extend(message.content for message in messages)
        await line.keep(transaction, messages)

    async with line.bench.store.transaction() as transaction:
        rows = [outgoing(n, key="k", topic=line.topic) for n in range(1_500)]
        heavy = [Outgoing(m.id, m.topic, m.key, {"ballast": "x" * 500}, m.value) for m in rows]
        await transaction.publish(heavy)
    async with line.running(keep):
        await line.arrived(1_500)
    # A transaction that was rolled back is handled again, in the same order.
    assert list(dict.fromkeys(seen)) == [f"{n:05}" for n in range(1_500)]


async def test_batches_hold_the_rows_of_one_partition_in_their_order(line, producer: AIOKafkaProducer):
    rows = [row(n, key=f"key-{n % 7}", topic=line.topic) for n in range(70)]
    parcel = await pack(producer, rows)
    partitions = sorted(await producer.partitions_for(line.topic))
    assert sorted(packed.row for batch in parcel.batches for packed in batch.rows) == list(range(70))
    for batch in parcel.batches:
        assert [packed.row for packed in batch.rows] == sorted(packed.row for packed in batch.rows)
        assert {partition_of(p.message.key.encode(), partitions) for p in batch.rows} == {batch.partition}


async def test_a_row_that_is_too_large_is_refused_and_holds_up_its_own_key(line, producer: AIOKafkaProducer):
    rows = [
        row(1, key="k", topic=line.topic),
        row(2, key="k", topic=line.topic, size=MAX_MESSAGE_BYTES),
        row(3, key="k", topic=line.topic),
        row(4, key="other", topic=line.topic, size=MAX_MESSAGE_BYTES - 1_000),
    ]
    parcel = await pack(producer, rows)
    assert [(refused.row, why) for refused, why in parcel.refused] == [(2, "MessageSizeTooLargeError")]
    assert sorted(packed.row for batch in parcel.batches for packed in batch.rows) == [1, 4]


async def test_a_batch_knows_the_gates_that_its_rows_wait_for(line, producer: AIOKafkaProducer):
    parcel = await pack(
        producer, [row(1, key="k", topic=line.topic), row(2, key="k", topic=line.topic, gate="consents")]
    )
    assert [batch.gates for batch in parcel.batches] == [{None, "consents"}]
