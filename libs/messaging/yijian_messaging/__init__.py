"""Messages in and out of a database by way of Kafka: nothing accepted is lost, nothing happens twice.

Read `store`, then `consumer` and `relay`. No business word stands here.
"""

from yijian_messaging.component import Component
from yijian_messaging.consumer import Consumer
from yijian_messaging.gates import Gate
from yijian_messaging.record import Decoded, Message, Outgoing, Record, Rejected
from yijian_messaging.relay import Relay
from yijian_messaging.settings import NAIVE, PRODUCTION, KafkaSettings, Tuning
from yijian_messaging.store import NoSealer, Sealer, Store, Transaction

__all__ = [
    "NAIVE",
    "PRODUCTION",
    "Component",
    "Consumer",
    "Decoded",
    "Gate",
    "KafkaSettings",
    "Message",
    "NoSealer",
    "Outgoing",
    "Record",
    "Rejected",
    "Relay",
    "Sealer",
    "Store",
    "Transaction",
    "Tuning",
]
