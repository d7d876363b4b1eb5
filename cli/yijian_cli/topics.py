"""`yijian topics`: the catalogue beside what the broker holds."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from yijian_contracts.topics import Topic
from yijian_contracts.topics import topics as catalogue
from yijian_embedded.errors import PlatformError
from yijian_embedded.kafka_access import answers

from yijian_cli.output import AsJson, print_json, print_table
from yijian_cli.platform import this_platform

TIMEOUT_S = 10


@dataclass(frozen=True)
class TopicReport:
    """A topic of the catalogue; `partitions` and `messages` are the broker's, None where the topic is missing."""

    name: str
    writer: str
    readers: tuple[str, ...]
    personal: bool
    retention_days: float
    partitions: int | None
    messages: int | None


def topics(*, as_json: AsJson = False) -> None:
    """Every topic with its one writer and its readers, its partitions and the messages it holds now."""
    reports = report(AdminClient(this_platform().kafka_admin.client_config()))
    if as_json:
        print_json([asdict(topic) for topic in reports])
        return
    print_table(
        "Topics",
        ("topic", "writer", "readers", "personal", "kept", "partitions", "messages"),
        [
            (
                topic.name,
                topic.writer,
                ", ".join(topic.readers),
                "yes" if topic.personal else "no",
                f"{topic.retention_days:g} d",
                topic.partitions if topic.partitions is not None else "missing",
                topic.messages,
            )
            for topic in reports
        ],
    )


def report(admin: AdminClient) -> list[TopicReport]:
    """The catalogue with the broker's counts."""
    if not answers(admin):
        raise PlatformError("Kafka does not answer: run `yijian up` first")
    existing = admin.list_topics(timeout=TIMEOUT_S).topics
    partitions = {topic.name: len(existing[topic.name].partitions) for topic in catalogue() if topic.name in existing}
    messages = _count_messages(admin, partitions)
    return [_report(topic, partitions, messages) for topic in catalogue()]


def _report(topic: Topic, partitions: Mapping[str, int], messages: Mapping[str, int]) -> TopicReport:
    return TopicReport(
        name=topic.name,
        writer=topic.writer,
        readers=topic.readers,
        personal=topic.personal,
        retention_days=topic.retention_ms / 86_400_000,
        partitions=partitions.get(topic.name),
        messages=messages.get(topic.name),
    )


def _count_messages(admin: AdminClient, partitions: Mapping[str, int]) -> dict[str, int]:
    places = [TopicPartition(name, number) for name, count in partitions.items() for number in range(count)]
    if not places:
        return {}
    first, last = (
        admin.list_offsets(dict.fromkeys(places, spec), request_timeout=TIMEOUT_S)
        for spec in (OffsetSpec.earliest(), OffsetSpec.latest())
    )
    counts = dict.fromkeys(partitions, 0)
    for place in places:
        counts[place.topic] += last[place].result().offset - first[place].result().offset
    return counts
