"""The one place where Kafka clients are built; aiokafka's defaults lose records (acks=1, auto-commit, latest)."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar
from zlib import crc32

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    IllegalStateError,
    InvalidProducerEpoch,
    InvalidTopicError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownProducerId,
)

from yijian_messaging.patience import within
from yijian_messaging.settings import KafkaSettings, Tuning

log = structlog.get_logger(__name__)

T = TypeVar("T")

MAX_MESSAGE_BYTES = 1_048_576

METADATA_MS = 30_000
"""How often every client asks which partitions there are, and who leads them."""

# After these the idempotent producer can never send again; it is thrown away and built anew. aiokafka issue 1017.
PRODUCER_LOST = (OutOfOrderSequenceNumber, ProducerFenced, UnknownProducerId, InvalidProducerEpoch, ProducerClosed)
# These concern one row and will not pass: its key is parked and a person is told.
ROW_REFUSED = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidTopicError, TopicAuthorizationFailedError)


def _connection(settings: KafkaSettings) -> dict[str, Any]:
    secured = "SSL" in settings.security_protocol
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap,
        "security_protocol": settings.security_protocol,
        "metadata_max_age_ms": METADATA_MS,
        "ssl_context": ssl.create_default_context(cafile=settings.ca_file) if secured else None,
    }
    if settings.security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": settings.username,
            "sasl_plain_password": settings.password,
        }
    return options


def build_producer(settings: KafkaSettings, tuning: Tuning) -> AIOKafkaProducer:
    """A producer whose acknowledgement means: on every in-sync replica, once, in order."""
    return AIOKafkaProducer(
        **_connection(settings),
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        max_batch_size=128 * 1024,
        max_request_size=MAX_MESSAGE_BYTES,
        request_timeout_ms=int(tuning.send_timeout * 1000),
        partitioner=_partition,
    )


def _partition(key: bytes | None, every: Sequence[int], _available: Sequence[int]) -> int:
    return partition_of(key or b"", sorted(every))


def partition_of(key: bytes, every: Sequence[int]) -> int:
    """One key, one partition. Ours are not the partitions of other languages' clients, and nothing relies on that."""
    return every[crc32(key) % len(every)]


def build_consumer(settings: KafkaSettings, tuning: Tuning, *, group: str) -> AIOKafkaConsumer:
    """A consumer that never commits by itself: offsets belong to the transaction of their effect."""
    return AIOKafkaConsumer(
        **_connection(settings),
        group_id=group,
        group_instance_id=f"{group}.{settings.instance}" if settings.instance else None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=int(tuning.session_timeout * 1000),
        heartbeat_interval_ms=int(tuning.session_timeout * 1000 / 5),
        rebalance_timeout_ms=60_000,
        max_poll_interval_ms=300_000,
        fetch_min_bytes=tuning.fetch_bytes,
        fetch_max_wait_ms=int(tuning.fetch_wait * 1000),
        max_poll_records=tuning.batch_records,
    )


def build_tail(settings: KafkaSettings) -> AIOKafkaConsumer:
    """A consumer without a group that only looks at what arrives from now on; whoever uses it has another truth."""
    return AIOKafkaConsumer(
        **_connection(settings), group_id=None, enable_auto_commit=False, auto_offset_reset="latest"
    )


async def answer(asked: Awaitable[T], *, seconds: float = 15.0) -> T:
    """What Kafka answers. Its silence is a KafkaError: a bare TimeoutError would be taken for the database's."""
    try:
        return await within(seconds, asked)
    except (TimeoutError, OSError) as error:
        raise KafkaTimeoutError(f"no answer within {seconds} s ({type(error).__name__})") from error


async def read_cluster_id(settings: KafkaSettings) -> str:
    """The id of the cluster that answers at this address."""
    options = _connection(settings)
    admin = AIOKafkaAdminClient(**options)
    await admin.start()
    try:
        description = await admin.describe_cluster()
        return str(description["cluster_id"])
    finally:
        await admin.close()


async def discard_producer(producer: AIOKafkaProducer, *, seconds: float = 5.0) -> None:
    """Stop a producer for certain: with Kafka down its own `stop` waits for ever (aiokafka issue 1101)."""
    try:
        await within(seconds, producer.stop())
    except (TimeoutError, KafkaError, OSError):
        sender = producer._sender  # noqa: SLF001 - there is no public way to stop without flushing
        with contextlib.suppress(KafkaError, OSError, asyncio.CancelledError, TimeoutError):
            if sender is not None:
                await within(1, sender.close())
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            await within(1, producer.client.close())


async def discard_consumer(consumer: AIOKafkaConsumer, *, seconds: float = 5.0) -> None:
    """Stop a consumer, whatever state it is in, or leave it to itself."""
    try:
        await within(seconds, consumer.stop())
    except (TimeoutError, KafkaError, OSError, IllegalStateError) as error:
        log.warning("consumer_abandoned", error=type(error).__name__)


def header_list(headers: Any) -> Sequence[tuple[str, bytes]]:
    """aiokafka's form of headers."""
    return [(name, text.encode()) for name, text in headers.items()]
