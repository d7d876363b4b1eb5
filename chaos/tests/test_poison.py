"""The corpus of nonsense: many kinds, all of them nonsense, and good records let alone."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from yijian_chaos.checker.event_values import read_value
from yijian_chaos.checker.fingerprints import Fingerprints
from yijian_chaos.checker.read_topics import parsed
from yijian_chaos.faults.poison import means_nothing, poison
from yijian_chaos.faults.tap import Taken, window
from yijian_contracts.cloudevents import encode
from yijian_contracts.events import Event, Outcome, TaskAnswered, TaskCancelled, TaskRequested
from yijian_contracts.events.tasks import TaskFields

NOW = datetime(2026, 11, 21, tzinfo=UTC)
TASK = {
    "application_id": UUID(int=2),
    "department": "health",
    "task_id": UUID(int=1),
    "matter": "B2",
    "child": 1,
    "life_event": "birth",
    "attempt": 1,
}
EVENTS: list[Event] = [
    TaskRequested.model_validate(
        {**TASK, "requested_at": NOW, "personal": TaskFields(fields={"mother_name": "王秀英"})}
    ),
    TaskAnswered.model_validate({**TASK, "outcome": Outcome.APPROVED, "decided_at": NOW}),
    TaskCancelled.model_validate({**TASK, "reason": "撤回", "cancelled_at": NOW}),
]


def record(event: Event) -> Taken:
    encoded = encode(event, source="approval")
    headers = tuple((name, text.encode()) for name, text in encoded.headers.items())
    return Taken(0, encoded.key.encode(), encoded.value, headers)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_sixty_kinds_and_more_and_every_one_means_nothing(event: Event):
    kinds = poison(record(event))
    assert len(kinds) >= 60
    assert all(means_nothing(each) for each in kinds.values())
    # The broker takes each of them, and none is a copy of another.
    assert all(len(each.value or b"") < 1_000_000 for each in kinds.values())
    assert len({(each.value, each.headers) for each in kinds.values()}) == len(kinds)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_a_good_record_is_not_nonsense(event: Event):
    assert not means_nothing(record(event))


def test_poison_says_nothing_about_anybody_where_all_can_read_it():
    for each in poison(record(EVENTS[0])).values():
        assert each.key == b"poison"
        assert all("王秀英".encode() not in text for _, text in each.headers)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_the_checker_reads_past_all_of_it(event: Event):
    headers = dict(record(event).headers)
    for each in poison(record(event)).values():
        told = read_value(headers["ce_type"].decode(), parsed(each.value or b""), Fingerprints())
        assert all(isinstance(text, str) for text in (told.application, told.task, *told.said))


def test_stretches_leave_nothing_out():
    records = [record(EVENTS[0])] * 7
    assert [len(each) for each in window(records, 3)] == [3, 3, 1]
