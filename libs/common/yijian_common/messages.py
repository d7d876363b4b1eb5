"""A process's settings as the messaging library takes them."""

from dataclasses import replace

from yijian_contracts import cloudevents
from yijian_contracts.cloudevents import CloudEvent, UndecodableError
from yijian_contracts.events import Event
from yijian_messaging import Decoded, Record
from yijian_messaging.settings import KafkaSettings as Connection
from yijian_messaging.settings import Tuning

from yijian_common.settings import KafkaSettings


def kafka_connection(settings: KafkaSettings) -> Connection:
    """Where Kafka is, who we are there, and under which stable name we join groups."""
    return Connection(
        bootstrap=settings.kafka_bootstrap,
        security_protocol=settings.kafka_security_protocol,
        username=settings.kafka_username,
        password=settings.kafka_password.get_secret_value(),
        ca_file=str(settings.kafka_ca_file) if settings.kafka_ca_file else None,
        instance=settings.instance or None,
    )


# What is written down, filed or counted may come a moment later, and costs less by the batch.
UNHURRIED_BYTES = 512 * 1024
UNHURRIED_SECONDS = 0.2
# What this very process commits is sent at once; this is how long other processes' commits may lie.
UNHURRIED_POLL_SECONDS = 0.2


def tuning(settings: KafkaSettings) -> Tuning:
    """How many messages a transaction and a send take."""
    return Tuning(
        batch_records=settings.batch_records,
        relay_batch=settings.relay_batch,
        commit_each_batch=settings.commit_each_batch,
    )


def unhurried(tuned: Tuning) -> Tuning:
    """The same for a consumer, or a relay, that nobody waits for."""
    return replace(tuned, fetch_bytes=UNHURRIED_BYTES, fetch_wait=UNHURRIED_SECONDS, relay_poll=UNHURRIED_POLL_SECONDS)


def decode_record(record: Record) -> Decoded[CloudEvent[Event]]:
    """An event that came by its own topic. Raises `UndecodableError`."""
    event = cloudevents.decode(record.headers, record.value)
    require_own_topic(event.data, record)
    return Decoded(id=event.id, content=event, traceparent=event.traceparent)


def require_own_topic(event: Event, record: Record) -> None:
    """A topic has one writer: whoever says something elsewhere speaks for somebody else. Raises `UndecodableError`."""
    if event.topic != record.topic:
        raise UndecodableError("the event belongs on another topic than the one it came by")
