"""Topics, users and access lists of a Kafka cluster, each call free to repeat."""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)
from yijian_contracts.topics import Topic

from yijian_embedded.credentials import KafkaCredentials
from yijian_embedded.errors import PlatformError

ITERATIONS = 4096
TIMEOUT_S = 30


def create_topics(admin: AdminClient, wanted: Iterable[Topic]) -> list[str]:
    """Create the topics that are missing, give the others the settings wanted; says what changed.

    Partitions are never added here: that moves keys, so it is a drain of its own.
    """
    existing = admin.list_topics(timeout=TIMEOUT_S).topics
    missing = [topic for topic in wanted if topic.name not in existing]
    new = [
        NewTopic(topic.name, num_partitions=topic.partitions, replication_factor=-1, config=topic.config)
        for topic in missing
    ]
    for future in (admin.create_topics(new, operation_timeout=TIMEOUT_S) if new else {}).values():
        _settle(future, unless=KafkaError.TOPIC_ALREADY_EXISTS)
    names = {topic.name for topic in missing}
    _wait_until(lambda: names <= _led_topics(admin), what=f"topics {', '.join(sorted(names))}")
    return [topic.name for topic in missing] + _correct_settings(admin, [t for t in wanted if t.name in existing])


def set_users(admin: AdminClient, passwords: Mapping[str, str]) -> None:
    """Give each principal its password, whether the user is new or not."""
    changes: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(
            principal, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS), password.encode()
        )
        for principal, password in passwords.items()
    ]
    _wait_until(lambda: _altered(admin, changes), what="the users' passwords")


def _altered(admin: AdminClient, changes: list[UserScramCredentialAlteration]) -> bool:
    """Whether it was done; not while brokers that were killed come back, whose old addresses the client gives up."""
    for future in admin.alter_user_scram_credentials(changes).values():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError._DESTROY_BROKER:  # noqa: SLF001 - it has no other name
                raise
            return False
    return True


def wait_for_user(credentials: KafkaCredentials) -> None:
    """Return when the broker lets this user in: it hears of a new password a moment after the controller took it."""
    _wait_until(lambda: answers(AdminClient(credentials.client_config())), what=f"{credentials.username}'s password")


def answers(admin: AdminClient) -> bool:
    """Whether a broker of the cluster answers this client now."""
    try:
        return bool(admin.describe_cluster(request_timeout=2).result().nodes)
    except KafkaException:
        return False


def members(admin: AdminClient) -> set[int]:
    """The brokers that serve clients, as the one that answers this client sees it; none when nobody answers."""
    try:
        return {node.id for node in admin.describe_cluster(request_timeout=2).result().nodes}
    except KafkaException:
        return set()


def topic_access(topic: str, writers: Iterable[str], readers: Iterable[str]) -> list[AclBinding]:
    """Literal rights on one topic: a writer describes and writes, a reader describes and reads."""
    rights = [(name, AclOperation.WRITE) for name in writers] + [(name, AclOperation.READ) for name in readers]
    return [
        _allow(principal, ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, operation)
        for principal, right in rights
        for operation in (right, AclOperation.DESCRIBE)
    ]


def group_access(principal: str) -> AclBinding:
    """Consumer groups whose name starts with the principal and a dot, so that `health` does not open `health-2`."""
    return _allow(principal, ResourceType.GROUP, f"{principal}.", ResourcePatternType.PREFIXED, AclOperation.READ)


def allow(admin: AdminClient, bindings: Iterable[AclBinding]) -> None:
    """Add these rights; those already given stay. They hold when this returns."""
    wanted = list(dict.fromkeys(bindings))
    for future in admin.create_acls(wanted, request_timeout=TIMEOUT_S).values():
        _settle(future)
    # The controller has answered; the broker, which refuses and lets in, hears of it a moment later.
    _wait_until(lambda: set(wanted) <= set(_given(admin)), what=f"{len(wanted)} rights")


def delete_topics(admin: AdminClient, names: Iterable[str]) -> None:
    """Delete topics with what is in them; one that is gone already is fine."""
    doomed = list(names)
    for future in (admin.delete_topics(doomed, operation_timeout=TIMEOUT_S) if doomed else {}).values():
        _settle(future, unless=KafkaError.UNKNOWN_TOPIC_OR_PART)


def withdraw_topic_access(admin: AdminClient, names: Iterable[str]) -> None:
    """Take every right on these topics from everybody."""
    _withdraw(admin, [_filter(ResourceType.TOPIC, name, ResourcePatternType.LITERAL) for name in names])


def withdraw_other_access(admin: AdminClient, bindings: Iterable[AclBinding], principals: Iterable[str]) -> list[str]:
    """Take from these principals every right that is not among `bindings`; says which.

    Literal rights on topics that `bindings` does not name stay: others may use the cluster too.
    """
    wanted = set(bindings)
    ours = {f"User:{name}" for name in principals}
    names = {binding.name for binding in wanted}
    surplus = [
        right
        for right in _given(admin)
        if right.principal in ours and right not in wanted and (right.name in names or not _is_one_topic(right))
    ]
    _withdraw(
        admin,
        [
            AclBindingFilter(
                b.restype, b.name, b.resource_pattern_type, b.principal, b.host, b.operation, b.permission_type
            )
            for b in surplus
        ],
    )
    return [f"{b.principal} {b.operation} {b.name}" for b in surplus]


def _is_one_topic(right: AclBinding) -> bool:
    literal = right.restype == ResourceType.TOPIC and right.resource_pattern_type == ResourcePatternType.LITERAL
    return literal and right.name != "*"


def _given(admin: AdminClient) -> list[AclBinding]:
    every = _filter(ResourceType.ANY, None, ResourcePatternType.ANY)
    return list(admin.describe_acls(every, request_timeout=TIMEOUT_S).result())


def _filter(kind: ResourceType, name: str | None, pattern: ResourcePatternType) -> AclBindingFilter:
    """Everybody's rights on this resource. None matches everything, though the annotations leave it out."""
    anything: Any = None
    wanted: Any = name
    return AclBindingFilter(kind, wanted, pattern, anything, anything, AclOperation.ANY, AclPermissionType.ANY)


def _withdraw(admin: AdminClient, filters: list[AclBindingFilter]) -> None:
    for future in (admin.delete_acls(filters, request_timeout=TIMEOUT_S) if filters else {}).values():
        _settle(future)


def _correct_settings(admin: AdminClient, present: list[Topic]) -> list[str]:
    if not present:
        return []
    resources = {topic.name: ConfigResource(ConfigResource.Type.TOPIC, topic.name) for topic in present}
    described = admin.describe_configs(list(resources.values()), request_timeout=TIMEOUT_S)
    current = {resource.name: future.result() for resource, future in described.items()}
    changes = []
    for topic in present:
        wrong = {key: value for key, value in topic.config.items() if current[topic.name][key].value != value}
        entries = [ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in wrong.items()]
        if entries:
            changes.append(ConfigResource(ConfigResource.Type.TOPIC, topic.name, incremental_configs=entries))
    for future in (admin.incremental_alter_configs(changes) if changes else {}).values():
        _settle(future)
    return [change.name for change in changes]


def _allow(
    principal: str, kind: ResourceType, name: str, pattern: ResourcePatternType, operation: AclOperation
) -> AclBinding:
    return AclBinding(kind, name, pattern, f"User:{principal}", "*", operation, AclPermissionType.ALLOW)


def _led_topics(admin: AdminClient) -> set[str]:
    """The topics that can be written and read now: each of their partitions has a leader."""
    known = admin.list_topics(timeout=TIMEOUT_S).topics
    return {name for name, topic in known.items() if all(part.leader >= 0 for part in topic.partitions.values())}


def _wait_until(holds: Callable[[], bool], *, what: str) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not holds():
        if time.monotonic() > deadline:
            raise PlatformError(f"Kafka accepted {what} but did not make them true within {TIMEOUT_S} s: see its log")
        time.sleep(0.02)


def _settle(future: "Future[Any]", *, unless: int | None = None) -> None:
    """Wait for one answer; the failure named by `unless` is what was wanted."""
    try:
        future.result()
    except KafkaException as error:
        if error.args[0].code() != unless:
            raise
