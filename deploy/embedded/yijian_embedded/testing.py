"""What tests run on: the real broker and the real database, shared by every test run of this checkout.

Used by `pytest_plugins = ["yijian_embedded.testing"]` in the root conftest.
"""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp
from typing import Protocol
from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient
from yijian_contracts.topics import Topic
from yijian_examples.family import Kind
from yijian_examples.records import write_records
from yijian_ledger import provisioning as ledger

from yijian_embedded.credentials import KafkaCredentials
from yijian_embedded.home import CHECKOUT, make_private_folder
from yijian_embedded.kafka_access import allow, create_topics, delete_topics, topic_access, withdraw_topic_access
from yijian_embedded.platform import Platform
from yijian_embedded.postgres_access import connect, drop_database, ensure_database, ensure_ledger

FAMILIES = 400

# Those above 200 are the stories' of tests/e2e: ten of each kind, and from 261 on standard ones.
KINDS = {201 + 10 * place + n: kind for place, kind in enumerate(Kind) for n in range(10)} | dict.fromkeys(
    range(261, FAMILIES + 1), Kind.STANDARD
)


class FreshDatabase(Protocol):
    """Makes an empty database owned by a service's role and gives its address; dropped when the test ends."""

    def __call__(self, service: str) -> str: ...


class FreshTopics(Protocol):
    """Makes a topic per label with these partitions and rights and gives their names; deleted when the test ends."""

    def __call__(
        self,
        *labels: str,
        partitions: int = 1,
        writers: tuple[str, ...] = ("approval",),
        readers: tuple[str, ...] = ("approval",),
    ) -> tuple[str, ...]: ...


class Credentials(Protocol):
    """How a principal of the catalogue reaches the broker."""

    def __call__(self, principal: str) -> KafkaCredentials: ...


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """Kafka and Postgres, provisioned, in `.yijian/test`, beside a demo that may be running.

    Runs at the same time share it, and the last to leave stops it; one that was up before the tests stays up.
    """
    folder = make_private_folder(CHECKOUT / ".yijian" / "test")
    ours = folder / "started-by-tests"
    with ExitStack() as stack:
        users = stack.enter_context((folder / "users.lock").open("w"))
        fcntl.flock(users, fcntl.LOCK_SH)
        shared = Platform(folder)
        if not shared.process("kafka"):
            ours.touch()
        shared.up(services=False)
        yield shared
        if _nobody_else_uses(users.fileno()) and ours.exists():
            shared.down()
            ours.unlink()


@pytest.fixture(scope="session")
def running_platform() -> Iterator[Platform]:
    """Everything: Kafka, Postgres, identity, approval and the seven departments, each at `platform.url(name)`.

    In a folder of its own, so that none of the fictitious families 1 to `FAMILIES` has applied yet. A test takes
    families that no other test takes; whoever kills or scripts something puts it back.
    """
    folder = Path(mkdtemp(prefix="platform-", dir=make_private_folder(CHECKOUT / ".yijian" / "test")))
    running = Platform(folder)
    try:
        write_records(running.home.records, FAMILIES, kinds=KINDS)
        running.up()
        yield running
    finally:
        running.clean()


@pytest.fixture(scope="session")
def kafka_admin(platform: Platform) -> AdminClient:
    """The broker's administrator."""
    return AdminClient(platform.kafka_admin.client_config())


@pytest.fixture(scope="session")
def kafka_credentials(platform: Platform) -> Credentials:
    return platform.kafka_credentials


@pytest.fixture
def fresh_topics(kafka_admin: AdminClient) -> Iterator[FreshTopics]:
    made: list[str] = []

    def make(
        *labels: str,
        partitions: int = 1,
        writers: tuple[str, ...] = ("approval",),
        readers: tuple[str, ...] = ("approval",),
    ) -> tuple[str, ...]:
        names = tuple(f"test.{label}.{uuid4().hex[:12]}" for label in labels)
        made.extend(names)
        allow(kafka_admin, [right for name in names for right in topic_access(name, writers, readers)])
        create_topics(kafka_admin, [_topic(name, partitions) for name in names])
        return names

    yield make
    delete_topics(kafka_admin, made)
    withdraw_topic_access(kafka_admin, made)


@pytest.fixture
def fresh_database(platform: Platform) -> Iterator[FreshDatabase]:
    made: list[str] = []

    def make(service: str) -> str:
        name = f"test_{service}_{uuid4().hex[:12]}"
        made.append(name)
        with connect(platform.postgres_admin_url) as admin:
            ensure_database(admin, name, owner=service)
        if service == ledger.SERVICE:
            ensure_ledger(platform.postgres_admin_url, name)
        return platform.database_url(service, database=name)

    yield make
    with connect(platform.postgres_admin_url) as admin:
        for name in made:
            drop_database(admin, name)


def _topic(name: str, partitions: int) -> Topic:
    return Topic(name=name, description="", writer="", readers=(), personal=False, partitions=partitions)


def _nobody_else_uses(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
