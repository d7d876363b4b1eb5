"""Events as the outbox takes them."""

from typing import Final

from yijian_contracts.cloudevents import encode
from yijian_contracts.events import Event
from yijian_messaging import Outgoing

SOURCE: Final = "data-exchange"


def outgoing(event: Event) -> Outgoing:
    """None of ours holds anything personal."""
    said = encode(event, source=SOURCE)
    return Outgoing(id=said.id, topic=said.topic, key=said.key, headers=said.headers, value=said.value)
