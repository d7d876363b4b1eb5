"""Everybody × every topic and group × every operation: what the broker allows is exactly what the catalogue says.

The broker is asked what it would allow (KIP-430), principal by principal; that it then acts so is told in
test_access.py, and here for every write.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic
from yijian_contracts.topics import principals, topics
from yijian_embedded.credentials import KafkaCredentials
from yijian_embedded.testing import Credentials

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(90)]

PATIENCE_S = 15.0
TO_READ = frozenset({AclOperation.READ, AclOperation.DESCRIBE})
TO_WRITE = frozenset({AclOperation.WRITE, AclOperation.DESCRIBE})
REFUSED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}

Allowed = dict[tuple[str, str], frozenset[AclOperation]]


def operations_on_topics(credentials: KafkaCredentials, names: Iterable[str]) -> Allowed:
    """What this principal may do with each topic; a topic it may not even see is left out."""
    admin = AdminClient(credentials.client_config())
    asked = admin.describe_topics(
        TopicCollection(list(names)), include_authorized_operations=True, request_timeout=PATIENCE_S
    )
    return _allowed(credentials.username, asked)


def operations_on_groups(credentials: KafkaCredentials, names: Iterable[str]) -> Allowed:
    admin = AdminClient(credentials.client_config())
    asked = admin.describe_consumer_groups(list(names), include_authorized_operations=True, request_timeout=PATIENCE_S)
    return _allowed(credentials.username, asked)


def _allowed(principal: str, asked: Mapping[str, "Future[object]"]) -> Allowed:
    allowed = {}
    for name, future in asked.items():
        try:
            described = future.result(PATIENCE_S)
        except KafkaException as error:
            if error.args[0].code() not in REFUSED:
                raise
        else:
            allowed[principal, name] = frozenset(described.authorized_operations)  # type: ignore[attr-defined]
    return allowed


def writes(credentials: KafkaCredentials, names: Iterable[str]) -> set[tuple[str, str]]:
    """The topics that take this principal's records; each gets a record that nobody understands."""
    answers: dict[str, KafkaError | None] = {}
    quick = {"topic.metadata.propagation.max.ms": 100}
    producer = Producer(credentials.client_config() | quick)
    for name in names:
        producer.produce(
            name, b"{}", key=b"matrix", on_delivery=lambda error, _, name=name: answers.__setitem__(name, error)
        )
    assert producer.flush(PATIENCE_S) == 0
    assert {error.code() for error in answers.values() if error is not None} <= REFUSED
    return {(credentials.username, name) for name, error in answers.items() if error is None}


@pytest.fixture
def everybody(kafka_credentials: Credentials) -> list[KafkaCredentials]:
    return [kafka_credentials(name) for name in principals()]


def test_what_the_broker_allows_is_what_the_catalogue_says(everybody: list[KafkaCredentials]):
    names = [topic.name for topic in topics()]
    catalogue: Allowed = {}
    for topic in topics():
        catalogue[topic.writer, topic.name] = TO_WRITE
        for reader in topic.readers:
            catalogue[reader, topic.name] = catalogue.get((reader, topic.name), frozenset()) | TO_READ

    with ThreadPoolExecutor(len(everybody)) as pool:
        allowed: Allowed = {}
        for one in pool.map(lambda who: operations_on_topics(who, names), everybody):
            allowed |= one
        written = set().union(*pool.map(lambda who: writes(who, names), everybody))

    assert allowed == catalogue
    assert written == {(topic.writer, topic.name) for topic in topics()}


def test_groups_are_everybodys_own(everybody: list[KafkaCredentials]):
    # The last ones only begin like somebody's name.
    owners = [*principals(), "department.public-securityj", "approval-2", "approvals"]
    names = [f"{owner}.matrix" for owner in owners] + list(principals())

    with ThreadPoolExecutor(len(everybody)) as pool:
        found = list(pool.map(lambda who: operations_on_groups(who, names), everybody))

    assert {place: operations for one in found for place, operations in one.items()} == {
        (name, f"{name}.matrix"): TO_READ for name in principals()
    }


@pytest.mark.parametrize("name", ["department.public-security.tasks2", "department.public-securityj.tasks"])
def test_a_topic_that_only_begins_alike_is_somebody_elses(
    everybody: list[KafkaCredentials], kafka_admin: AdminClient, name: str
):
    kafka_admin.create_topics([NewTopic(name, 1, 1)])[name].result()
    try:
        with ThreadPoolExecutor(len(everybody)) as pool:
            assert not any(pool.map(lambda who: operations_on_topics(who, [name]), everybody))
            assert not any(pool.map(lambda who: writes(who, [name]), everybody))
    finally:
        kafka_admin.delete_topics([name])[name].result()


def test_nobody_creates_deletes_or_alters_a_topic(everybody: list[KafkaCredentials]):
    def tries(who: KafkaCredentials) -> set[int]:
        admin = AdminClient(who.client_config())
        own = next(topic.name for topic in topics() if who.username in (topic.writer, *topic.readers))
        more = f"{who.username}.more"
        entry = ConfigEntry("retention.ms", "1", incremental_operation=AlterConfigOpType.SET)
        config = ConfigResource(ConfigResource.Type.TOPIC, own, incremental_configs=[entry])
        return {
            _refusal(admin.create_topics([NewTopic(more, 1, 1)])[more]),
            _refusal(admin.delete_topics([own])[own]),
            _refusal(admin.incremental_alter_configs([config])[config]),
        }

    with ThreadPoolExecutor(len(everybody)) as pool:
        assert set().union(*pool.map(tries, everybody)) <= REFUSED


def _refusal(future: "Future[object]") -> int:
    with pytest.raises(KafkaException) as refused:
        future.result(PATIENCE_S)
    code: int = refused.value.args[0].code()
    return code
