"""Reading a topic from its beginning to where it ends now, as one principal may."""

from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition
from yijian_embedded.credentials import KafkaCredentials

PATIENCE_S = 10


@dataclass(frozen=True, slots=True)
class Read:
    """A record as the broker gave it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def read_all(credentials: KafkaCredentials, *topics: str) -> list[Read]:
    """Every record of these topics that is there when this is called."""
    # No group is joined and nothing is committed; the name only has to be one that the principal may use.
    settings = {"group.id": f"{credentials.username}.e2e", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    consumer = Consumer(credentials.client_config() | settings)
    try:
        known = consumer.list_topics(timeout=PATIENCE_S).topics
        ends = {}
        for topic in topics:
            for partition in known[topic].partitions:
                place = TopicPartition(topic, partition)
                low, high = consumer.get_watermark_offsets(place, timeout=PATIENCE_S)
                if high > low:
                    ends[topic, partition] = high
        consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in ends])
        return _until(consumer, ends)
    finally:
        consumer.close()


def _until(consumer: Consumer, ends: dict[tuple[str, int], int]) -> list[Read]:
    records = []
    open_ends = dict(ends)
    while open_ends:
        message = consumer.poll(PATIENCE_S)
        if message is None:
            raise TimeoutError(f"nothing more came, and {sorted(open_ends)} are not read to their ends")
        if message.error():
            raise KafkaException(message.error())
        place = (message.topic(), message.partition())
        if message.offset() < ends[place]:
            headers = tuple(message.headers() or ())
            records.append(Read(*place, message.offset(), message.key(), message.value(), headers))
        if message.offset() + 1 >= ends[place]:
            open_ends.pop(place, None)
    return records
