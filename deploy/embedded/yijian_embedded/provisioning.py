"""What must exist in Kafka and Postgres, made true as often as it is asked for: the same here and in production."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from confluent_kafka.admin import AclBinding, AdminClient
from yijian_contracts.topics import principals, topics
from yijian_ledger import provisioning as ledger

from yijian_embedded.credentials import KafkaCredentials, Secrets
from yijian_embedded.errors import PlatformError
from yijian_embedded.kafka_access import (
    allow,
    create_topics,
    group_access,
    set_users,
    topic_access,
    withdraw_other_access,
)
from yijian_embedded.postgres_access import connect, ensure_database, ensure_ledger, ensure_role

SERVICE_DATABASES: Final = ("approval", "identity", "data-exchange", "rating")


@dataclass(frozen=True)
class Provisioned:
    """What exists now, and what this run changed of topics and rights."""

    principals: tuple[str, ...]
    topics: tuple[str, ...]
    databases: tuple[str, ...]
    changed_topics: tuple[str, ...]
    withdrawn_rights: tuple[str, ...]


def provision(kafka: KafkaCredentials, postgres_url: str, secrets: Secrets, *, withdraw: bool = False) -> Provisioned:
    """Make topics, users, rights, roles and databases what the catalogue says.

    Passwords are set every time, so a run that was killed halfway, or a rotation, is made good by the next one. With
    `withdraw`, rights that the catalogue does not give its principals are taken away.
    """
    admin = AdminClient(kafka.client_config())
    bindings = list(catalogue_access())
    set_users(admin, {name: secrets.get("kafka", name) for name in principals()})
    allow(admin, bindings)
    changed = create_topics(admin, topics())
    withdrawn = withdraw_other_access(admin, bindings, principals()) if withdraw else []
    with connect(postgres_url) as session:
        for name in SERVICE_DATABASES:
            ensure_role(session, name, secrets.get("postgres", name))
            ensure_database(session, name, owner=name)
    ensure_ledger(postgres_url, ledger.SERVICE)
    return Provisioned(
        principals=principals(),
        topics=tuple(topic.name for topic in topics()),
        databases=SERVICE_DATABASES,
        changed_topics=tuple(changed),
        withdrawn_rights=tuple(withdrawn),
    )


def rotate(secrets: Secrets, name: str) -> None:
    """A new password for this principal, role or both; it holds from the next `provision` on."""
    known = {"kafka": principals(), "postgres": SERVICE_DATABASES}
    servers = [server for server, names in known.items() if name in names]
    if not servers:
        raise PlatformError(f"nobody is called {name!r}: the principals are {', '.join(principals())}")
    for server in servers:
        secrets.rotate(server, name)


def catalogue_access() -> Iterable[AclBinding]:
    """Each topic's one writer and its readers by its literal name, and each principal's own consumer groups."""
    for topic in topics():
        yield from topic_access(topic.name, [topic.writer], topic.readers)
    for principal in principals():
        yield group_access(principal)
