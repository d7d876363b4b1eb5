"""`yijian department ask`: what approval would send, sent by hand, to see what a department's program says."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from yijian_contracts import derived_ids
from yijian_contracts.cloudevents import JSON, STRUCTURED
from yijian_contracts.departments import Department, get_department
from yijian_contracts.events import TaskCancelled, TaskRequested
from yijian_embedded.errors import PlatformError
from yijian_embedded.platform import Platform

PATIENCE_S = 10
APPROVAL = "approval"


@dataclass(frozen=True)
class Sending:
    """How a task is sent: as its request or its cancellation, so many times, in which mode and major version."""

    cancel: bool = False
    times: int = 1
    structured: bool = False
    major: int = 1


def read_task(path: Path) -> Mapping[str, Any]:
    """The value of the event in a file. Whether it fits its schema is for the department to say."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PlatformError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(data, dict):
        raise PlatformError(f"{path} holds no JSON object")
    return data


def ask(
    platform: Platform, code: str, data: Mapping[str, Any], *, sending: Sending, within: float
) -> list[dict[str, Any]]:
    """Send a task with approval's credentials; what is said about it, at most as often as it was sent."""
    department = get_department(code)
    credentials = platform.kafka_credentials(APPROVAL).client_config()
    ear = Consumer(credentials | {"group.id": f"{APPROVAL}.ask", "enable.auto.commit": False})
    try:
        ear.assign(_ends(ear, department))
        _send(Producer(credentials), department, data, sending)
        return list(_answers(ear, str(data.get("task_id")), expected=sending.times, within=within))
    finally:
        ear.close()


def _attributes(data: Mapping[str, Any], sending: Sending) -> dict[str, str]:
    full = f"{(TaskCancelled if sending.cancel else TaskRequested).TYPE}.v{sending.major}"
    return {
        "specversion": "1.0",
        "id": str(derived_ids.event_id(full, str(data.get("task_id")))),
        "source": f"/{APPROVAL}",
        "type": full,
        "subject": str(data.get("application_id")),
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


def _send(producer: Producer, department: Department, data: Mapping[str, Any], sending: Sending) -> None:
    attributes = _attributes(data, sending)
    headers, content = {f"ce_{name}": text for name, text in attributes.items()} | {"content-type": JSON}, data
    if sending.structured:
        headers, content = {"content-type": STRUCTURED}, {**attributes, "datacontenttype": JSON, "data": data}
    value = json.dumps(content, ensure_ascii=False).encode()
    for _ in range(sending.times):
        producer.produce(department.tasks_topic, value, key=attributes["subject"], headers=list(headers.items()))
    if producer.flush(PATIENCE_S):
        raise PlatformError("Kafka did not take the record: run `yijian up` first")


def _ends(consumer: Consumer, department: Department) -> list[TopicPartition]:
    topic = department.results_topic
    try:
        partitions = consumer.list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions
        places = [TopicPartition(topic, number) for number in partitions]
        ends = [consumer.get_watermark_offsets(place, timeout=PATIENCE_S)[1] for place in places]
    except KafkaException:
        raise PlatformError("Kafka does not answer: run `yijian up` first") from None
    return [TopicPartition(topic, place.partition, end) for place, end in zip(places, ends, strict=True)]


def _answers(consumer: Consumer, task_id: str, *, expected: int, within: float) -> Iterator[dict[str, Any]]:
    deadline = time.monotonic() + within
    while expected and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is None or message.error():
            continue
        record = _as_record(message)
        if record["data"].get("task_id") == task_id:
            expected -= 1
            yield record


def _as_record(message: Message) -> dict[str, Any]:
    headers: Any = message.headers() or []  # pairs, though the annotations allow more
    try:
        data = json.loads(message.value() or b"")
    except ValueError:
        data = {}
    texts = {name: (text or b"").decode(errors="replace") for name, text in headers}
    return {
        "ce_type": texts.get("ce_type"),
        "ce_id": texts.get("ce_id"),
        "data": data if isinstance(data, dict) else {},
    }
