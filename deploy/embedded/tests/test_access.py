"""Who may do what in Kafka and Postgres: everybody their own, and nothing else."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from yijian_contracts.departments import Department, departments
from yijian_embedded.credentials import KafkaCredentials
from yijian_embedded.errors import PlatformError
from yijian_embedded.kafka_access import allow, topic_access
from yijian_embedded.platform import Platform
from yijian_embedded.testing import Credentials, FreshDatabase, FreshTopics

OTHERS = ["department.taxation.tasks", "department.taxation.results", "approval.applications", "approval.documents"]


def try_to_produce(credentials: KafkaCredentials, topic: str) -> int | None:
    """The error code that the broker answers a message with, None when it is taken."""
    answers: list[KafkaError | None] = []
    producer = Producer(
        credentials.client_config() | {"enable.idempotence": True, "topic.metadata.propagation.max.ms": 500}
    )
    producer.produce(topic, b"{}", on_delivery=lambda error, _message: answers.append(error))
    producer.flush(10)
    (answer,) = answers
    return answer.code() if answer else None


def try_to_consume(credentials: KafkaCredentials, topic: str, *, group: str | None = None) -> int | None:
    """The error code that the broker answers a consumer with, None when it may read to the end."""
    config = {"group.id": group or f"{credentials.username}.test", "enable.partition.eof": True}
    consumer = Consumer(credentials.client_config() | config)
    try:
        consumer.subscribe([topic])
        message = consumer.poll(10)
        assert message is not None
        error = message.error()
        return None if error is None or error.code() == KafkaError._PARTITION_EOF else error.code()
    finally:
        consumer.close()


def test_every_department_opens_its_own_two_topics(kafka_credentials: Credentials):
    def refusals(department: Department) -> tuple[int | None, int | None]:
        reading = try_to_consume(kafka_credentials(department.principal), department.tasks_topic)
        return reading, try_to_produce(kafka_credentials(department.principal), department.results_topic)

    with ThreadPoolExecutor(len(departments())) as pool:
        assert set(pool.map(refusals, departments().values())) == {(None, None)}


@pytest.mark.parametrize("topic", OTHERS)
def test_a_departments_credentials_open_no_other_topic(kafka_credentials: Credentials, topic: str):
    health = kafka_credentials("department.health")

    assert try_to_produce(health, topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert try_to_consume(health, topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_a_department_may_not_answer_in_the_tasks_topic_nor_read_its_own_answers(kafka_credentials: Credentials):
    health = kafka_credentials("department.health")

    assert try_to_produce(health, "department.health.tasks") == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert try_to_consume(health, "department.health.results") == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize("group", ["approval.worker", "department.health", "department.health2.worker"])
def test_a_department_joins_only_groups_that_start_with_its_name_and_a_dot(kafka_credentials: Credentials, group: str):
    health = kafka_credentials("department.health")

    assert try_to_consume(health, "department.health.tasks", group=group) == KafkaError.GROUP_AUTHORIZATION_FAILED


def test_nobody_gets_a_transactional_id(kafka_credentials: Credentials):
    producer = Producer(kafka_credentials("approval").client_config() | {"transactional.id": "approval.any"})

    with pytest.raises(KafkaException) as refused:
        producer.init_transactions(10)

    assert refused.value.args[0].code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED


def test_a_service_may_not_administer_the_cluster(kafka_credentials: Credentials):
    admin = AdminClient(kafka_credentials("approval").client_config())

    with pytest.raises(KafkaException) as refused:
        allow(admin, topic_access("department.health.results", ["approval"], []))

    assert refused.value.args[0].code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED


def test_a_wrong_password_is_refused(platform: Platform):
    right = platform.kafka_credentials("approval")
    wrong = KafkaCredentials(bootstrap=right.bootstrap, username="approval", password="guess")

    assert lets_in(right)
    assert not lets_in(wrong)


def test_writing_to_an_unknown_topic_does_not_create_it(platform: Platform, kafka_admin: AdminClient):
    name = f"unknown.{uuid4().hex}"

    assert try_to_produce(platform.kafka_admin, name) == KafkaError.UNKNOWN_TOPIC_OR_PART

    assert name not in kafka_admin.list_topics(timeout=10).topics


def test_a_fresh_topic_is_for_whom_it_was_made_and_gone_afterwards(
    fresh_topics: FreshTopics, kafka_credentials: Credentials, kafka_admin: AdminClient
):
    (topic,) = fresh_topics("letters", partitions=3, writers=("identity",), readers=("department.taxation",))

    assert len(kafka_admin.list_topics(timeout=10).topics[topic].partitions) == 3
    assert try_to_produce(kafka_credentials("identity"), topic) is None
    assert try_to_consume(kafka_credentials("department.taxation"), topic) is None
    assert try_to_consume(kafka_credentials("identity"), topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_the_topics_have_the_catalogues_settings(platform: Platform, kafka_admin: AdminClient):
    existing = kafka_admin.list_topics(timeout=10).topics

    assert len(existing["department.civil-affairs.tasks"].partitions) == 12
    assert platform.provision().changed_topics == ()


@pytest.mark.parametrize(
    ("role", "database"), [("identity", "approval"), ("approval", "identity"), ("approval", "postgres")]
)
def test_another_services_role_is_refused_by_a_database(platform: Platform, role: str, database: str):
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(platform.database_url(role, database=database))


def test_a_role_owns_its_database_and_nothing_else(fresh_database: FreshDatabase):
    with psycopg.connect(fresh_database("approval"), autocommit=True) as session:
        session.execute("CREATE TABLE own (id int)")
        for forbidden in ("CREATE DATABASE more", "CREATE ROLE more", "COPY own FROM PROGRAM 'id'"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(forbidden)


def test_a_database_wants_the_password(platform: Platform):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(platform.database_url("approval"), password="guess")


class TestProvisioning:
    def test_a_rotated_password_replaces_the_old_one(self, own_platform: Platform):
        old = own_platform.kafka_credentials("department.health")
        old_url = own_platform.database_url("identity")

        own_platform.provision(rotated="department.health")
        own_platform.provision(rotated="identity")

        assert not lets_in(old)
        assert lets_in(own_platform.kafka_credentials("department.health"))
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(old_url)
        psycopg.connect(own_platform.database_url("identity")).close()

    @pytest.mark.parametrize("granted", ["department.taxation.tasks", "*"])
    def test_a_right_that_the_catalogue_does_not_give_is_taken_away(self, own_platform: Platform, granted: str):
        topic = "department.taxation.tasks"
        health = own_platform.kafka_credentials("department.health")
        admin = AdminClient(own_platform.kafka_admin.client_config())
        allow(admin, topic_access(granted, [], ["department.health"]))
        wait_until(lambda: try_to_consume(health, topic) is None)

        withdrawn = own_platform.provision().withdrawn_rights

        assert len(withdrawn) == 2
        wait_until(lambda: try_to_consume(health, topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED)

    def test_a_topic_whose_settings_were_changed_gets_them_back(self, own_platform: Platform):
        admin = AdminClient(own_platform.kafka_admin.client_config())
        shorten_retention(admin, "approval.documents")

        assert own_platform.provision().changed_topics == ("approval.documents",)
        assert own_platform.provision().changed_topics == ()

    def test_rotating_nobody_says_who_there_is(self, own_platform: Platform):
        with pytest.raises(PlatformError, match=r"'health'.*department\.health"):
            own_platform.provision(rotated="health")


def lets_in(credentials: KafkaCredentials) -> bool:
    try:
        return bool(AdminClient(credentials.client_config()).list_topics(timeout=2))
    except KafkaException:
        return False


def shorten_retention(admin: AdminClient, topic: str) -> None:
    entry = ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)
    change = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    admin.incremental_alter_configs([change])[change].result()


def wait_until(holds: Callable[[], bool], *, within_s: float = 10) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
