"""Kafka in: completed applications, what departments did about orders, and people to be forgotten."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from yijian_common.database import Connection
from yijian_common.messages import require_own_topic
from yijian_contracts import cloudevents
from yijian_contracts.cloudevents import CloudEvent
from yijian_contracts.events import EVENTS, ApplicationCompleted, Event, PersonErased, RectificationAnswered
from yijian_contracts.topics import APPLICATIONS, ERASURES, RECTIFICATIONS_ANSWERED
from yijian_messaging import Consumer, Decoded, KafkaSettings, Message, Record, Rejected, Store, Transaction, Tuning

from rating.actions.erasure import forget_people, hold_erasures
from rating.actions.invitations import invite
from rating.actions.orders import record_answers
from rating.figure_rows import record as count
from rating.order_effects import Carrier

GROUP = "rating.events"
WANTED = (ApplicationCompleted, RectificationAnswered, PersonErased)
# Most of what approval says about applications is not for us, and need not be read to know that.
_PASSED_OVER = frozenset(event.full_type().encode() for event in EVENTS if event not in WANTED)

Arrived = Message[CloudEvent[Event]]


def events_consumer(
    store: Store[Connection], *, carrier: Carrier, kafka: KafkaSettings, tuning: Tuning
) -> Consumer[CloudEvent[Event], Connection]:
    return Consumer(
        group=GROUP,
        topics=[APPLICATIONS, RECTIFICATIONS_ANSWERED, ERASURES],
        store=store,
        kafka=kafka,
        decode=decode_event,
        handle=partial(take_over, carrier=carrier),
        tuning=tuning,
    )


def decode_event(record: Record) -> Decoded[CloudEvent[Event]] | None:
    """An event that we want, from its own topic; None for one that is for others. Raises `UndecodableError`."""
    if next((value for name, value in record.headers if name == "ce_type"), b"") in _PASSED_OVER:
        return None
    event = cloudevents.decode(record.headers, record.value)
    if not isinstance(event.data, WANTED):
        return None
    require_own_topic(event.data, record)
    return Decoded(id=event.id, content=event, traceparent=event.traceparent)


async def take_over(
    transaction: Transaction[Connection], messages: Sequence[Arrived], *, carrier: Carrier
) -> list[Rejected]:
    """A batch in one transaction: invitations, erasures, answers, and at its end what they count.

    Everybody locks invitations before orders, and days of figures last.
    """
    at = datetime.now(UTC)
    told = [(message, message.content.data) for message in messages]
    erased = [event for _, event in told if isinstance(event, PersonErased)]
    await hold_erasures(transaction.connection, alone=bool(erased))
    facts = await invite(
        transaction.connection,
        [event for _, event in told if isinstance(event, ApplicationCompleted)],
        keyring=carrier.keyring,
        at=at,
    )
    if erased:
        facts += await forget_people(transaction, erased, carrier=carrier, at=at)
    rejected, counted = await record_answers(
        transaction,
        [(message, event) for message, event in told if isinstance(event, RectificationAnswered)],
        carrier=carrier,
        at=at,
    )
    await count(transaction.connection, facts + counted)
    return rejected
