"""Kafka in: one action each."""

from functools import partial

from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_common.messages import decode_record
from yijian_contracts.cloudevents import CloudEvent
from yijian_contracts.events import Event
from yijian_contracts.topics import CONSENTS_GIVEN, DISCLOSURES, DOCUMENTS_SHOWN, ERASURES
from yijian_messaging import Consumer, KafkaSettings, Store, Tuning

from data_exchange.actions.consenting import register_consents
from data_exchange.actions.disclosing import record_disclosures
from data_exchange.actions.erasing import erase_people


def disclosures_consumer(
    store: Store[Connection], *, keyring: Keyring, kafka: KafkaSettings, tuning: Tuning
) -> Consumer[CloudEvent[Event], Connection]:
    """Reads what approval gave to departments and what owners showed from their wallets."""
    return Consumer(
        group="data-exchange.disclosures",
        topics=[DISCLOSURES, DOCUMENTS_SHOWN],
        store=store,
        kafka=kafka,
        decode=decode_record,
        handle=partial(record_disclosures, keyring=keyring),
        tuning=tuning,
    )


def consents_consumer(
    store: Store[Connection], *, keyring: Keyring, kafka: KafkaSettings, tuning: Tuning
) -> Consumer[CloudEvent[Event], Connection]:
    """Reads the consents that are given with applications."""
    return Consumer(
        group="data-exchange.consents",
        topics=[CONSENTS_GIVEN],
        store=store,
        kafka=kafka,
        decode=decode_record,
        handle=partial(register_consents, keyring=keyring),
        tuning=tuning,
    )


def erasures_consumer(
    store: Store[Connection], *, keyring: Keyring, kafka: KafkaSettings, tuning: Tuning
) -> Consumer[CloudEvent[Event], Connection]:
    """Reads who is to be forgotten."""
    return Consumer(
        group="data-exchange.erasures",
        topics=[ERASURES],
        store=store,
        kafka=kafka,
        decode=decode_record,
        handle=partial(erase_people, keyring=keyring),
        tuning=tuning,
    )
