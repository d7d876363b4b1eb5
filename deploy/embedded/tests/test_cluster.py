"""Three brokers: what they acknowledged survives the kill of any of them and of all; one may be away at any time."""

import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource
from yijian_embedded.errors import PlatformError
from yijian_embedded.platform import Platform
from yijian_embedded.shape import Shape

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

TASKS = "department.health.tasks"
LEADERS_WITHIN_S = 60
READ_WITHIN_S = 30


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Three brokers of their own, which these tests kill."""
    own = Platform(tmp_path_factory.mktemp("cluster"), shape=Shape(brokers=3))
    own.up(services=False)
    yield own
    own.clean()


class Writer:
    """Somebody who writes numbers and knows which were acknowledged."""

    def __init__(self, cluster: Platform) -> None:
        self.acknowledged: set[bytes] = set()
        self.written = 0
        self._name = uuid4().hex
        config = cluster.kafka_credentials("approval").client_config()
        self._producer = Producer(config | {"acks": "all", "enable.idempotence": True, "message.timeout.ms": 60_000})

    def write(self, count: int = 1) -> None:
        for _ in range(count):
            self.written += 1
            value = f"{self._name}-{self.written}".encode()
            self._producer.produce(TASKS, value, key=value, on_delivery=self._delivered)
        self._producer.poll(0)

    def settle(self, within_s: float) -> int:
        """Wait for what is under way; says how many are still without an answer."""
        return self._producer.flush(within_s)

    def write_for_ever(self, stopping: threading.Event) -> None:
        while not stopping.wait(0.005):
            self.write()

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.acknowledged.add(bytes(message.value() or b""))


def read_all(cluster: Platform, expected: Collection[bytes] = ()) -> list[bytes]:
    """Every record of the topic, once for each time that it is there; `expected` ones are waited for."""
    credentials = cluster.kafka_credentials("department.health")
    settings = {"group.id": "department.health.test", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer(credentials.client_config() | settings)
    try:
        partitions = consumer.list_topics(TASKS, timeout=30).topics[TASKS].partitions
        consumer.assign([TopicPartition(TASKS, partition, 0) for partition in partitions])
        found: list[bytes] = []
        ended: set[int | None] = set()
        deadline = time.monotonic() + READ_WITHIN_S
        # A new leader may say "end" a moment before it knows that the others hold the rest as well.
        while (len(ended) < len(partitions) or not set(expected) <= set(found)) and time.monotonic() < deadline:
            for message in consumer.consume(500, timeout=1):
                if message.error() is None:
                    found.append(bytes(message.value() or b""))
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
        return found
    finally:
        consumer.close()


def wait_for_copies(cluster: Platform) -> None:
    """Return when every broker has every record: only then may the next one go."""
    admin = AdminClient(cluster.kafka_admin.client_config())
    deadline = time.monotonic() + LEADERS_WITHIN_S
    while not all(len(p.isrs) == 3 for p in admin.list_topics(timeout=30).topics[TASKS].partitions.values()):
        assert time.monotonic() < deadline, "the copies are not complete"
        time.sleep(0.2)


def wait_until_acknowledged(writer: Writer, count: int) -> None:
    deadline = time.monotonic() + LEADERS_WITHIN_S
    while len(writer.acknowledged) < count:
        assert time.monotonic() < deadline, f"{len(writer.acknowledged)} of {count} are acknowledged"
        time.sleep(0.1)


def kill(cluster: Platform, name: str) -> None:
    process = cluster.process(name)
    assert process
    process.kill()
    process.wait()


def test_every_topic_has_three_copies_of_which_two_count(cluster: Platform):
    Writer(cluster).write()
    read_all(cluster)
    admin = AdminClient(cluster.kafka_admin.client_config())
    topics = admin.list_topics(timeout=30).topics
    copies = {name: {len(p.replicas) for p in topic.partitions.values()} for name, topic in topics.items()}
    assert TASKS in copies
    assert set(map(frozenset, copies.values())) == {frozenset({3})}

    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in copies]
    described = [future.result() for future in admin.describe_configs(resources).values()]
    assert {settings["min.insync.replicas"].value for settings in described} == {"2"}


@pytest.mark.parametrize(
    "name", ["kafka", *(pytest.param(name, marks=pytest.mark.slow) for name in ("kafka-2", "kafka-3"))]
)
def test_what_was_acknowledged_survives_the_kill_of_any_one_broker(cluster: Platform, name: str):
    wait_for_copies(cluster)
    writer, stopping = Writer(cluster), threading.Event()
    writing = threading.Thread(target=writer.write_for_ever, args=(stopping,))
    writing.start()
    try:
        wait_until_acknowledged(writer, 100)
        kill(cluster, name)
        # One away is no standstill: the other two go on.
        wait_until_acknowledged(writer, len(writer.acknowledged) + 100)
        cluster.start_server(name)
        assert cluster.is_ready(name)
    finally:
        stopping.set()
        writing.join()
    assert writer.settle(60) == 0

    assert len(writer.acknowledged) == writer.written
    assert writer.acknowledged <= set(read_all(cluster, writer.acknowledged))


def test_what_was_acknowledged_survives_the_kill_of_all_three_at_once(cluster: Platform):
    before = read_all(cluster)
    writer = Writer(cluster)
    writer.write(500)
    assert writer.settle(60) == 0

    for name in cluster.brokers:
        process = cluster.process(name)
        assert process
        process.kill()
    cluster.up(services=False)

    after = read_all(cluster, writer.acknowledged)
    assert len(after) == len(before) + 500
    assert writer.acknowledged <= set(after)


def test_with_two_of_three_away_nothing_moves_and_nothing_is_lost(cluster: Platform):
    wait_for_copies(cluster)
    before = read_all(cluster)
    writer = Writer(cluster)
    writer.write(50)
    assert writer.settle(60) == 0

    for name in cluster.brokers[:2]:
        kill(cluster, name)
    writer.write(50)
    assert writer.settle(10) == 50
    assert len(writer.acknowledged) == 50

    for name in cluster.brokers[:2]:
        cluster.start_server(name, wait=False)
    assert writer.settle(60) == 0
    assert len(writer.acknowledged) == 100
    after = read_all(cluster, writer.acknowledged)
    assert sorted(after) == sorted([*before, *writer.acknowledged])


def test_a_cluster_keeps_its_number_of_brokers(cluster: Platform):
    found = Platform(cluster.home.folder)
    assert found.brokers == ("kafka", "kafka-2", "kafka-3")
    assert {status.state for status in found.status() if status.name in found.brokers} == {"ready"}

    with pytest.raises(PlatformError, match=r"made with 3 broker\(s\), not 1"):
        Platform(cluster.home.folder, shape=Shape()).up(services=False)


def test_two_brokers_are_no_cluster(tmp_path: Path):
    with pytest.raises(PlatformError, match="1 or 3 brokers, not 2"):
        Platform(tmp_path, shape=Shape(brokers=2))
