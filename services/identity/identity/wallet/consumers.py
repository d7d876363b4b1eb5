"""Kafka in: one action."""

from functools import partial

from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_common.messages import decode_record
from yijian_contracts.cloudevents import CloudEvent
from yijian_contracts.events import Event
from yijian_contracts.topics import DOCUMENTS
from yijian_messaging import PRODUCTION, Consumer, KafkaSettings, Store, Tuning

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
        decode=decode_record,
        handle=partial(record_arrivals, keyring=keyring),
        tuning=tuning,
    )
