"""A process's settings as the messaging library takes them."""

from dataclasses import replace

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
