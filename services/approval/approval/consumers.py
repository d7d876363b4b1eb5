"""Kafka in: one action each."""

from functools import partial
from typing import TypeVar

from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_common.messages import require_own_topic
from yijian_contracts import cloudevents
from yijian_contracts.cloudevents import CloudEvent, UndecodableError
from yijian_contracts.departments import departments
from yijian_contracts.events import (
    CheckpointSigned,
    ConsentWithdrawn,
    Event,
    PersonErased,
    RectificationRequested,
    TaskAnswered,
    TaskReceived,
    TaskUnprocessable,
    WithdrawalsToldUntil,
)
from yijian_contracts.topics import CHECKPOINTS, CONSENTS_WITHDRAWN, ERASURES, RECTIFICATIONS_REQUESTED
from yijian_messaging import Consumer, Decoded, KafkaSettings, Record, Store, Tuning

from approval.actions.coverage import record_checkpoints
from approval.actions.erasures import erase_people
from approval.actions.rectifications import Said, request_rectifications
from approval.actions.results import record_task_results
from approval.actions.withdrawals import Told, carry_out_withdrawals
from approval.effects import Effects
from approval.keys import Keys

E = TypeVar("E", bound=Event)

GROUP = "approval.results"
CHECKPOINTS_GROUP = "approval.checkpoints"
RECTIFICATIONS_GROUP = "approval.rectifications"
ERASURES_GROUP = "approval.erasures"
CONSENTS_GROUP = "approval.consents"


def results_consumer(
    store: Store[Connection], *, effects: Effects, kafka: KafkaSettings, tuning: Tuning
) -> Consumer[CloudEvent[Said], Connection]:
    """Reads what every department answers."""
    return Consumer(
        group=GROUP,
        topics=[department.results_topic for department in departments().values()],
        store=store,
        kafka=kafka,
        decode=partial(decode_result, keyring=effects.keyring),
        handle=partial(record_task_results, effects=effects),
        tuning=tuning,
    )


def checkpoints_consumer(
    store: Store[Connection], *, kafka: KafkaSettings, tuning: Tuning
) -> Consumer[CloudEvent[CheckpointSigned], Connection]:
    """Reads how far the ledger has come."""
    return Consumer(
        group=CHECKPOINTS_GROUP,
        topics=[CHECKPOINTS],
        store=store,
        kafka=kafka,
        decode=partial(decode_from, CheckpointSigned),
        handle=record_checkpoints,
        tuning=tuning,
    )


def consents_consumer(
    store: Store[Connection], *, effects: Effects, kafka: KafkaSettings, tuning: Tuning
) -> Consumer[CloudEvent[Told], Connection]:
    """Reads which consents were withdrawn, and how far that was told."""
    return Consumer(
        group=CONSENTS_GROUP,
        topics=[CONSENTS_WITHDRAWN],
        store=store,
        kafka=kafka,
        decode=decode_told,
        handle=partial(carry_out_withdrawals, effects=effects),
        tuning=tuning,
    )


def decode_told(record: Record) -> Decoded[CloudEvent[Told]]:
    """A withdrawal, or how far they were told. Raises `UndecodableError`."""
    event = cloudevents.decode(record.headers, record.value)
    data = event.data
    if not isinstance(data, ConsentWithdrawn | WithdrawalsToldUntil):
        raise UndecodableError(f"{type(data).__name__} does not belong on this topic")
    return Decoded(id=event.id, content=event.holding(data), traceparent=event.traceparent)


def rectifications_consumer(
    store: Store[Connection], *, effects: Effects, kafka: KafkaSettings, tuning: Tuning
) -> Consumer[CloudEvent[RectificationRequested], Connection]:
    """Reads what rating wants put right."""
    return Consumer(
        group=RECTIFICATIONS_GROUP,
        topics=[RECTIFICATIONS_REQUESTED],
        store=store,
        kafka=kafka,
        decode=decode_order,
        handle=partial(request_rectifications, effects=effects),
        tuning=tuning,
    )


def erasures_consumer(
    store: Store[Connection], *, effects: Effects, keys: Keys, kafka: KafkaSettings, tuning: Tuning
) -> Consumer[CloudEvent[PersonErased], Connection]:
    """Reads who is to be forgotten."""
    return Consumer(
        group=ERASURES_GROUP,
        topics=[ERASURES],
        store=store,
        kafka=kafka,
        decode=partial(decode_from, PersonErased),
        handle=partial(erase_people, effects=effects, keys=keys),
        tuning=tuning,
    )


def decode_order(record: Record) -> Decoded[CloudEvent[RectificationRequested]]:
    """An order to a department that there is. Raises `UndecodableError`."""
    decoded = decode_from(RectificationRequested, record)
    if decoded.content.data.department not in departments():
        raise UndecodableError("the order is for a department that does not exist")
    return decoded


def decode_from(kind: type[E], record: Record) -> Decoded[CloudEvent[E]]:
    """An event of the one kind that its topic carries. Raises `UndecodableError`."""
    event = cloudevents.decode(record.headers, record.value)
    data = event.data
    if not isinstance(data, kind):
        raise UndecodableError(f"{type(data).__name__} does not belong on this topic")
    return Decoded(id=event.id, content=event.holding(data), traceparent=event.traceparent)


def decode_result(record: Record, *, keyring: Keyring) -> Decoded[CloudEvent[Said]]:
    """An answer, from the topic of the department that it names. Raises `UndecodableError`."""
    event = cloudevents.decode(record.headers, record.value)
    said = event.data
    if not isinstance(said, TaskReceived | TaskAnswered | TaskUnprocessable):
        raise UndecodableError(f"{type(said).__name__} is not for departments to say")
    require_own_topic(said, record)
    return Decoded(
        id=_id_of(event.id, said, record, keyring), content=event.holding(said), traceparent=event.traceparent
    )


def _id_of(event_id: str, said: Said, record: Record, keyring: Keyring) -> str:
    """An answer's id follows from its task alone: under it a second, different answer has to be told from a repetition.

    Keyed, since what an answer holds is personal.
    """
    if not isinstance(said, TaskAnswered) or record.value is None:
        return event_id
    return f"{event_id}:{keyring.blind_index('answer-record', record.value.decode()).hex()[:16]}"
