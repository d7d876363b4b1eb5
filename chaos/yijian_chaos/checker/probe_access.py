"""Trying, with every department's own credentials, what none of them may; and what the broker wrote down of it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, TopicPartition

from yijian_chaos.checker.facts import DEPARTMENTS, WRITERS, results_topic, tasks_topic
from yijian_chaos.checker.snapshot import Partition, Probe
from yijian_chaos.checker.sources import Login

PATIENCE_S: Final = 30
LISTEN_S: Final = 1.0

_REFUSED: Final = re.compile(r"Principal = User:(?P<principal>\S+) is Denied .*?resource = Topic:LITERAL:")


def principal_of(department: str) -> str:
    return f"department.{department}"


def own_topics(department: str) -> frozenset[str]:
    """The two topics that a department has to do with."""
    return frozenset({tasks_topic(department), results_topic(department)})


def probe(principals: Mapping[str, Login], partitions: Sequence[Partition]) -> list[Probe]:
    """What each department is shown of everybody else's topics; all of them try at once."""
    tried = [code for code in DEPARTMENTS if principal_of(code) in principals]
    with ThreadPoolExecutor(len(DEPARTMENTS)) as pool:
        return list(pool.map(lambda code: _probe(code, principals[principal_of(code)], partitions), tried))


def _probe(department: str, login: Login, partitions: Sequence[Partition]) -> Probe:
    group = f"{principal_of(department)}.checker"
    settings: dict[str, Any] = {"group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    consumer = Consumer({**login, **settings})
    try:
        listed = sorted(topic for topic in consumer.list_topics(timeout=PATIENCE_S).topics if topic in WRITERS)
        foreign = [place for place in partitions if place.topic not in own_topics(department)]
        refused = sorted(topic for topic in {place.topic for place in foreign} if _refuses(consumer, topic))
        consumer.assign([TopicPartition(place.topic, place.partition, place.begin) for place in foreign])
        read = sorted(_listen(consumer))
    finally:
        consumer.close()
    return Probe(principal_of(department), tuple(listed), tuple(read), tuple(refused))


def _refuses(consumer: Consumer, topic: str) -> bool:
    """Whether the broker will not even describe the topic, which whoever may read or write it may do."""
    error = consumer.list_topics(topic, timeout=PATIENCE_S).topics[topic].error
    return error is not None and error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def _listen(consumer: Consumer) -> set[str]:
    """Topics that give out a record all the same."""
    read: set[str] = set()
    until = monotonic() + LISTEN_S
    while monotonic() < until:
        for message in consumer.consume(500, timeout=0.2):
            topic = message.topic()
            if topic is not None and message.error() is None:
                read.add(topic)
    return read


def count_refusals(logs: Iterable[Path]) -> int:
    """How often the broker wrote down that it refused a department something of a topic."""
    known = {principal_of(code) for code in DEPARTMENTS}
    count = 0
    for path in logs:
        with path.open(encoding="utf-8", errors="replace") as file:
            count += sum(found["principal"] in known for line in file if (found := _REFUSED.search(line)))
    return count
