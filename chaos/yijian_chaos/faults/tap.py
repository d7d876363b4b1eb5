"""Reading what a topic holds and putting records on it, as the principals that may."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from yijian_contracts.topics import Topic, topics
from yijian_embedded.credentials import KafkaCredentials

PATIENCE_S: Final = 150.0
"""Another fault may keep the cluster without a leader for a minute and a half just then."""
ANSWER_S: Final = 15.0
AGAIN_AFTER_S: Final = 1.0

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """A record as it was on the topic, or as it is to be put there."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Put:
    """Where a record came to stand."""

    topic: str
    partition: int
    offset: int

    def as_json(self, kind: str) -> dict[str, Any]:
        return {"topic": self.topic, "partition": self.partition, "offset": self.offset, "kind": kind}


def topic_of(name: str) -> Topic:
    """The topic of the catalogue with this name."""
    return next(topic for topic in topics() if topic.name == name)


def take_latest(credentials: KafkaCredentials, topic: str, *, at_most: int) -> list[Taken]:
    """The youngest records of each partition, in their order. No group is joined, and nothing is committed.

    Reads from the start again while brokers come and go; raises what the last try raised.
    """
    deadline = monotonic() + PATIENCE_S
    while True:
        try:
            return _take_latest(credentials, topic, at_most=at_most)
        except (KafkaException, TimeoutError):
            if monotonic() > deadline:
                raise
            sleep(AGAIN_AFTER_S)


def _take_latest(credentials: KafkaCredentials, topic: str, *, at_most: int) -> list[Taken]:
    # The name only has to be one that the principal may use.
    own = {"group.id": f"{credentials.username}.tap", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    with closing(Consumer({**credentials.client_config(), **own})) as consumer:
        ends: dict[int, int] = {}
        places = []
        for partition in consumer.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ANSWER_S)
            if high > low:
                ends[partition] = high
                places.append(TopicPartition(topic, partition, max(low, high - at_most)))
        consumer.assign(places)
        return _read_until(consumer, ends)


def _read_until(consumer: Consumer, ends: dict[int, int]) -> list[Taken]:
    taken = []
    while ends:
        message = consumer.poll(ANSWER_S)
        if message is None:
            raise TimeoutError("nothing more came, and the topic is not read to its end")
        if message.error():
            raise KafkaException(message.error())
        partition, offset = int(message.partition() or 0), int(message.offset() or 0)
        if offset < ends.get(partition, 0):
            headers = tuple((str(name), _bytes(text)) for name, text in list(message.headers() or ()))
            taken.append(Taken(partition, _maybe_bytes(message.key()), _maybe_bytes(message.value()), headers))
        if offset + 1 >= ends.get(partition, 0):
            ends.pop(partition, None)
    return taken


def put(credentials: KafkaCredentials, topic: str, records: Iterable[Taken]) -> list[Put]:
    """Put these on the topic, each on its partition, in this order. Raises `KafkaException` for what is refused."""
    producer = Producer({**credentials.client_config(), "acks": "all", "enable.idempotence": True})
    stood: list[Put] = []
    refused: list[Any] = []

    def told(error: Any, message: Message) -> None:
        if error is not None:
            refused.append(error)
        else:
            stood.append(Put(topic, int(message.partition() or 0), int(message.offset() or 0)))

    for record in records:
        producer.produce(
            topic,
            value=record.value,
            key=record.key,
            headers=list(record.headers),
            partition=record.partition,
            on_delivery=told,
        )
    waiting = producer.flush(PATIENCE_S)
    if refused:
        raise KafkaException(refused[0])
    if waiting:
        raise TimeoutError(f"{waiting} records were not acknowledged")
    return stood


def window(records: Sequence[Taken], size: int) -> list[Sequence[Taken]]:
    """Cut into stretches of so many."""
    return [records[first : first + size] for first in range(0, len(records), size)]


def _bytes(text: str | bytes | None) -> bytes:
    return text.encode() if isinstance(text, str) else text or b""


def _maybe_bytes(text: str | bytes | None) -> bytes | None:
    return None if text is None else _bytes(text)
