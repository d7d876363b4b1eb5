"""Kafka in: one action."""

from functools import partial

from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_contracts import cloudevents
from yijian_contracts.cloudevents import CloudEvent, UndecodableError
from yijian_contracts.events import Event
from yijian_contracts.topics import DOCUMENTS
from yijian_messaging import PRODUCTION, Consumer, Decoded, KafkaSettings, Record, Store, Tuning

from identity.wallet.arrivals import record_arrivals

GROUP = "identity.wallet"


def documents_consumer(
    store: Store[Connection], *, keyring: Keyring, kafka: KafkaSettings, tuning: Tuning = PRODUCTION
) -> Consumer[CloudEvent[Event], Connection]:
    """Reads what departments issued and registered, as approval passes it on."""
    return Consumer(
        group=GROUP,
        topics=[DOCUMENTS],
        store=store,
        kafka=kafka,
        decode=decode_arrival,
        handle=partial(record_arrivals, keyring=keyring),
        tuning=tuning,
    )


def decode_arrival(record: Record) -> Decoded[CloudEvent[Event]]:
    """An event of the topic it came by. Raises `UndecodableError`."""
    event = cloudevents.decode(record.headers, record.value)
    if event.data.topic != record.topic:
        raise UndecodableError("the event belongs on another topic than the one it came by")
    return Decoded(id=event.id, content=event, traceparent=event.traceparent)
