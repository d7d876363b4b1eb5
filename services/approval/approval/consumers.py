"""Kafka in: one action."""

from functools import partial

from yijian_common.database import Connection
from yijian_contracts import cloudevents
from yijian_contracts.cloudevents import CloudEvent, UndecodableError
from yijian_contracts.departments import departments
from yijian_contracts.events import TaskAnswered, TaskReceived, TaskUnprocessable
from yijian_messaging import Consumer, Decoded, KafkaSettings, Record, Store, Tuning

from approval.actions.results import Said, record_task_results
from approval.effects import Effects

GROUP = "approval.results"


def results_consumer(
    store: Store[Connection], *, effects: Effects, kafka: KafkaSettings, tuning: Tuning
) -> Consumer[CloudEvent[Said], Connection]:
    """Reads what every department answers."""
    return Consumer(
        group=GROUP,
        topics=[department.results_topic for department in departments().values()],
        store=store,
        kafka=kafka,
        decode=decode_result,
        handle=partial(record_task_results, effects=effects),
        tuning=tuning,
    )


def decode_result(record: Record) -> Decoded[CloudEvent[Said]]:
    """An answer, from the topic of the department that it names. Raises `UndecodableError`."""
    event = cloudevents.decode(record.headers, record.value)
    said = event.data
    if not isinstance(said, TaskReceived | TaskAnswered | TaskUnprocessable):
        raise UndecodableError(f"{type(said).__name__} is not for departments to say")
    if said.topic != record.topic:
        # A topic has one writer, so a department can only ever speak for itself.
        raise UndecodableError("the event belongs on another topic than the one it came by")
    content = CloudEvent(id=event.id, source=event.source, time=event.time, data=said, traceparent=event.traceparent)
    return Decoded(id=event.id, content=content, traceparent=event.traceparent)
