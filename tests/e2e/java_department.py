"""The department written in Java: its process, what it keeps, and approval's side of its two topics."""

import json
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from yijian_contracts.cloudevents import CloudEvent, decode, encode
from yijian_contracts.departments import get_department
from yijian_contracts.events import Event, TaskAnswered, TaskCancelled, TaskReceived, TaskRequested, TaskUnprocessable
from yijian_embedded import kafka_access
from yijian_embedded.credentials import KafkaCredentials
from yijian_embedded.home import CHECKOUT
from yijian_embedded.java import java_command
from yijian_embedded.platform import Platform

SOURCE = CHECKOUT / "examples" / "java-department" / "Department.java"
CODE = "disease-control"
ENTRY = get_department(CODE)
GROUP = f"{ENTRY.principal}.tasks"
WITHIN_S = 30.0


def wait_for(holds: Callable[[], bool], *, what: str, within: float = WITHIN_S) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"no {what} within {within} s"
        time.sleep(0.02)


class JavaDepartment:
    """The program over one folder, started and ended as often as a test likes."""

    def __init__(self, platform: Platform, classes: Path, folder: Path) -> None:
        self.folder = folder
        self.log_file = folder.with_suffix(".log")
        self._platform = platform
        self._classes = classes
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, ready: bool = True, **settings: str) -> None:
        """Start it, with these settings in addition; returns when it reads its topic."""
        command = java_command(self._platform.home, "Department", str(self.folder), classes=self._classes)
        before = self.log().count("reading 12 partitions")
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own words
                command, env=self._platform.environment(CODE) | settings, stdout=log, stderr=log
            )
        if ready:
            # Whoever read here before is a member of the group until its session is over.
            wait_for(lambda: self.log().count("reading 12 partitions") > before, what="assignment", within=90)

    def kill(self) -> None:
        """As a machine without power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """As whoever runs it would: it finishes what it has begun."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(20)

    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8") if self.log_file.exists() else ""

    def effects(self) -> list[str]:
        """The number of every vaccination record that was opened, as the journal has it."""
        path = self.folder / "journal.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        opened = {
            entry["effect"]["child"]: entry["effect"]["number"]
            for line in lines
            for entry in json.loads(line)
            if entry["effect"]
        }
        return list(opened.values())

    def waiting(self, task_id: UUID) -> Path:
        return self.folder / "desk" / f"{task_id}.json"

    def decide(self, task_id: UUID, decision: Mapping[str, object]) -> Path:
        """Put an official's decision beside the task that waits for it."""
        path = self.folder / "desk" / f"{task_id}.decision.json"
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(decision, ensure_ascii=False), encoding="utf-8")
        draft.rename(path)
        return path


class Approval:
    """Asks the department and hears its answers, with approval's credentials."""

    def __init__(self, platform: Platform) -> None:
        credentials = platform.kafka_credentials("approval").client_config()
        self._producer = Producer(credentials)
        self._consumer = Consumer(credentials | {"group.id": "approval.java-department", "enable.auto.commit": False})
        self._consumer.assign(ends(self._consumer, ENTRY.results_topic))
        self._heard: dict[str, list[Message]] = defaultdict(list)

    def close(self) -> None:
        self._consumer.close()

    def ask(self, *events: TaskRequested | TaskCancelled, trace: str | None = None) -> None:
        for event in events:
            record = encode(event, source="approval", traceparent=trace)
            self.produce(record.value, key=record.key, headers={n: t.encode() for n, t in record.headers.items()})
        self.flush()

    def produce(self, value: bytes, *, key: str, headers: Mapping[str, bytes]) -> None:
        self._producer.produce(ENTRY.tasks_topic, value, key=key, headers=list(headers.items()))

    def flush(self) -> None:
        assert self._producer.flush(10) == 0

    def said_about(self, task_id: UUID) -> list[Message]:
        """The records about this task so far."""
        while (message := self._consumer.poll(0.02)) is not None:
            if message.error():
                raise KafkaException(message.error())
            self._heard[json.loads(message.value() or b"")["task_id"]].append(message)
        return self._heard[str(task_id)]

    def wait_for(self, task: TaskRequested, count: int = 1) -> list[Message]:
        """So many records about this task."""
        wait_for(lambda: len(self.said_about(task.task_id)) >= count, what=f"{count} records about {task.matter}")
        return self.said_about(task.task_id)

    def answer(self, task: TaskRequested) -> TaskAnswered:
        """What was decided: the same however often it was said."""
        wait_for(lambda: bool(self.answers(task)), what="answer")
        first, *others = self.answers(task)
        assert all(other == first for other in others)
        return first

    def answers(self, task: TaskRequested) -> list[TaskAnswered]:
        events = [understood(message).data for message in self.said_about(task.task_id)]
        return [event for event in events if isinstance(event, TaskAnswered)]


def understood(message: Message) -> CloudEvent[Event]:
    """The event in a record of the department, checked as approval checks it and under the id that it must have."""
    event = decode(headers_of(message).items(), message.value())
    assert isinstance(event.data, TaskAnswered | TaskReceived | TaskUnprocessable)
    assert event.data.topic == ENTRY.results_topic
    assert event.id == str(event.data.event_id)
    assert message.key() == event.data.key.encode()
    return event


def headers_of(message: Message) -> dict[str, bytes]:
    headers: Any = message.headers() or []  # pairs, though the annotations allow more
    return dict(headers)


def ends(consumer: Consumer, topic: str) -> list[TopicPartition]:
    """Where each partition of this topic ends now."""
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    places = [TopicPartition(topic, partition) for partition in partitions]
    return [TopicPartition(p.topic, p.partition, consumer.get_watermark_offsets(p, timeout=10)[1]) for p in places]


def leave_behind(platform: Platform) -> None:
    """What was asked before this moment is not for us: the department's group has read its topic to the end."""
    credentials = platform.kafka_credentials(ENTRY.principal).client_config()
    consumer = Consumer(credentials | {"group.id": GROUP, "enable.auto.commit": False})
    try:
        # A run that ended a moment ago is remembered as a member until its session is over.
        wait_for(lambda: _commits_to_the_end(consumer), what="group without members")
    finally:
        consumer.close()


# Just after a broker's start nobody may lead the topic yet.
_SOON_OVER = (KafkaError.UNKNOWN_MEMBER_ID, KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)


def _commits_to_the_end(consumer: Consumer) -> bool:
    try:
        consumer.commit(offsets=ends(consumer, ENTRY.tasks_topic), asynchronous=False)
    except KafkaException as error:
        if error.args[0].code() in _SOON_OVER:
            return False
        raise
    return True


def expire(platform: Platform) -> None:
    """As after eight days: no record of the tasks topic is left."""
    admin = AdminClient(platform.kafka_admin.client_config())
    partitions = admin.list_topics(ENTRY.tasks_topic, timeout=10).topics[ENTRY.tasks_topic].partitions
    for future in admin.delete_records([TopicPartition(ENTRY.tasks_topic, p, OFFSET_END) for p in partitions]).values():
        future.result()


@contextmanager
def silent_user(platform: Platform) -> Iterator[KafkaCredentials]:
    """A user who may read the department's tasks, and say nothing."""
    admin = AdminClient(platform.kafka_admin.client_config())
    user = KafkaCredentials(
        bootstrap=platform.kafka_admin.bootstrap, username=f"{ENTRY.principal}.mute", password=uuid4().hex
    )
    kafka_access.set_users(admin, {user.username: user.password})
    rights = kafka_access.topic_access(ENTRY.tasks_topic, writers=[], readers=[user.username])
    kafka_access.allow(admin, [*rights, _own_groups(user)])
    kafka_access.wait_for_user(user)
    yield user
    anything: Any = None
    everything = AclBindingFilter(
        ResourceType.ANY,
        anything,
        ResourcePatternType.ANY,
        f"User:{user.username}",
        anything,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    for future in admin.delete_acls([everything]).values():
        future.result()


def _own_groups(user: KafkaCredentials) -> AclBinding:
    return AclBinding(
        ResourceType.GROUP,
        f"{ENTRY.principal}.",
        ResourcePatternType.PREFIXED,
        f"User:{user.username}",
        "*",
        AclOperation.READ,
        AclPermissionType.ALLOW,
    )
