"""What identity says: events into the outbox, in the transaction of what they tell."""

from yijian_common.database import Connection
from yijian_contracts.cloudevents import encode
from yijian_contracts.events import DocumentShown, Event
from yijian_messaging import Outgoing, Transaction

SOURCE = "identity"


async def say(transaction: Transaction[Connection], *events: Event) -> None:
    """Tell others what becomes true with this transaction (`provider.store.transaction()`)."""
    await transaction.publish([_outgoing(event) for event in events])


def _outgoing(event: Event) -> Outgoing:
    encoded = encode(event, source=SOURCE)
    return Outgoing(
        id=encoded.id,
        topic=encoded.topic,
        key=encoded.key,
        headers=encoded.headers,
        value=encoded.value,
        # Whom a showing concerns, and what the owner wrote about it, is nobody's to read in the outbox either.
        personal="personal" in type(event).model_fields or isinstance(event, DocumentShown),
    )
