"""Every topic from its beginning to where it ends, in bulk; and what the groups say to the broker."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from sys import intern
from time import monotonic, sleep
from typing import Any, Final

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from yijian_chaos.checker.event_values import read_value
from yijian_chaos.checker.facts import CONSUMERS, WRITERS
from yijian_chaos.checker.fingerprints import Fingerprints
from yijian_chaos.checker.snapshot import Committed, Members, Partition, Record
from yijian_chaos.checker.sources import Login

PATIENCE_S: Final = 30
BULK: Final = 5000
GATHERED_S: Final = 90.0
"""A process that the broker forgot while it stood still is back after a session's time-out and its own watchdog."""
LOOK_S: Final = 1.0

Ends = Mapping[tuple[str, int], tuple[int, int]]
"""First and next offset by topic and partition."""

_UNSEEN: Final = "unreadable"


@dataclass(slots=True)
class TopicRows:
    """The records; `texts` are keys and headers, each once, and `values` some of what may name people."""

    records: list[Record] = field(default_factory=list)
    texts: set[bytes] = field(default_factory=set)
    values: list[bytes] = field(default_factory=list)


def _consumer(login: Login, **settings: Any) -> Consumer:
    group = {"group.id": "chaos.checker", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    return Consumer({**login, **group, **settings})


def read_ends(login: Login) -> Ends:
    """Where every topic of the catalogue begins and ends now."""
    consumer = _consumer(login)
    try:
        known = consumer.list_topics(timeout=PATIENCE_S).topics
        return {
            (topic, partition): consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=PATIENCE_S)
            for topic in WRITERS
            if topic in known
            for partition in known[topic].partitions
        }
    finally:
        consumer.close()


def partitions_of(ends: Ends, later: Ends) -> list[Partition]:
    return [
        Partition(topic, partition, begin, end, later[topic, partition][1])
        for (topic, partition), (begin, end) in ends.items()
    ]


def read_topics(login: Login, ends: Ends, prints: Fingerprints, *, keep_values: int) -> TopicRows:
    """Every record up to these ends."""
    found = TopicRows()
    consumer = _consumer(login, **{"fetch.message.max.bytes": 8 << 20, "queued.max.messages.kbytes": 65_536})
    try:
        open_ends = {place: end for place, (begin, end) in ends.items() if end > begin}
        consumer.assign([TopicPartition(*place, ends[place][0]) for place in open_ends])
        take = _taker(found, prints, keep_values)
        heard = monotonic()
        while open_ends:
            # It returns when so many have come, or when the time is over, whatever has come by then.
            messages = consumer.consume(BULK, timeout=0.3)
            if messages:
                heard = monotonic()
            elif monotonic() > heard + PATIENCE_S:
                raise TimeoutError(f"nothing more came, and {sorted(open_ends)[:5]} are not read to their ends")
            for message in messages:
                _take(message, ends, open_ends, take)
    finally:
        consumer.close()
    found.records.sort(key=lambda record: record.place)
    return found


def _take(message: Message, ends: Ends, open_ends: dict[tuple[str, int], int], take: Callable[[Message], None]) -> None:
    error = message.error()
    if error is not None:
        raise KafkaException(error)
    place = (str(message.topic()), int(message.partition() or 0))
    offset = int(message.offset() or 0)
    if offset < ends[place][1]:
        take(message)
    if offset + 1 >= ends[place][1]:
        open_ends.pop(place, None)


def _taker(found: TopicRows, prints: Fingerprints, keep_values: int) -> Callable[[Message], None]:
    def take(message: Message) -> None:
        raw = message.value()
        value = raw if isinstance(raw, bytes) else b""
        pairs = _headers(message)
        key = message.key()
        key_bytes = key if isinstance(key, bytes) else b""
        headers = {name: part.decode("utf-8", "replace") for name, part in pairs}
        found.records.append(_record(message, key_bytes, headers, value, prints))
        found.texts.add(key_bytes)
        found.texts.update(part for _, part in pairs)
        found.texts.update(name.encode() for name, _ in pairs)
        if len(found.values) < keep_values and ".tasks" in str(message.topic()):
            found.values.append(value)

    return take


def _headers(message: Message) -> list[tuple[str, bytes]]:
    told: Any = message.headers()
    return [(name, part or b"") for name, part in told or ()]


def _record(message: Message, key: bytes, headers: Mapping[str, str], value: bytes, prints: Fingerprints) -> Record:
    kind = intern(headers.get("ce_type", _UNSEEN))
    told = read_value(kind, parsed(value), prints)
    return Record(
        topic=intern(str(message.topic())),
        partition=int(message.partition() or 0),
        offset=int(message.offset() or 0),
        at=float(message.timestamp()[1]) / 1000,
        key=intern(key.decode("utf-8", "replace")),
        event=headers.get("ce_id", ""),
        kind=kind,
        source=intern(headers.get("ce_source", "")),
        subject=intern(headers.get("ce_subject", "")),
        application=intern(told.application),
        task=intern(told.task),
        said=told.said,
        content=int.from_bytes(hashlib.blake2b(value, digest_size=8).digest(), "big"),
    )


def parsed(value: bytes) -> Any:
    """What a value says; None where it is no JSON, or such as nobody reads."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError):  # poison, which is for the dead letters to account for
        return None


def read_committed(login: Login) -> list[Committed]:
    """What each known group committed to the broker."""
    admin = AdminClient(dict(login))
    found = []
    for consumer in CONSUMERS:
        asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(consumer.group)])
        answer: Iterable[TopicPartition] = asked[consumer.group].result(PATIENCE_S).topic_partitions or ()
        found += [
            Committed(consumer.group, place.topic, place.partition, place.offset)
            for place in answer
            if place.offset is not None and place.offset >= 0
        ]
    return found


def read_members(login: Login, processes: Mapping[str, int]) -> list[Members]:
    """How many each known group has, as soon as each has all of them, or when they were waited for."""
    admin = AdminClient(dict(login))
    expected = {consumer.group: processes[consumer.store] for consumer in CONSUMERS}
    until = monotonic() + GATHERED_S
    while True:
        told = admin.describe_consumer_groups(list(expected), request_timeout=PATIENCE_S)
        found = {group: len(told[group].result(PATIENCE_S).members) for group in expected}
        if found == expected or monotonic() > until:
            return [Members(group, found[group], count) for group, count in expected.items()]
        sleep(LOOK_S)
