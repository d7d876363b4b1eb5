"""What a bureau writes around its events is not ours to trust: it is bounded before it is kept and passed on."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from yijian_contracts.cloudevents import STRUCTURED, CloudEvent, UndecodableError, decode, encode
from yijian_contracts.events import Event, Outcome, TaskAnswered, TaskCancelled

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
EVENT = TaskCancelled(
    application_id=UUID(int=1),
    department="health",
    task_id=UUID(int=2),
    matter="birth-certificate",
    reason="withdrawn",
    cancelled_at=datetime(2026, 1, 1, tzinfo=UTC),
)
ENCODED = encode(EVENT, source="approval")


def binary(**changed: str) -> CloudEvent[Event]:
    headers = ENCODED.headers | changed
    return decode([(name, text.encode()) for name, text in headers.items()], ENCODED.value)


def structured(**changed: object) -> CloudEvent[Event]:
    attributes = {name.removeprefix("ce_"): text for name, text in ENCODED.headers.items() if name.startswith("ce_")}
    envelope = attributes | changed | {"data": json.loads(ENCODED.value)}
    return decode([("content-type", STRUCTURED.encode())], json.dumps(envelope).encode())


@pytest.mark.parametrize("read", [binary, structured])
def test_a_trace_is_carried_on(read):
    assert read(traceparent=TRACE).traceparent == TRACE
    assert read().traceparent is None


@pytest.mark.parametrize("read", [binary, structured])
@pytest.mark.parametrize(
    "odd", ["x" * 600_000, TRACE + "\n", TRACE.upper(), f"{TRACE}-more", TRACE[:-1], "00-张三", TRACE + "0" * 600_000]
)
def test_what_is_no_trace_is_dropped_and_the_event_stands(read, odd: str):
    event = read(traceparent=odd)
    assert event.traceparent is None
    assert event.data == EVENT


@pytest.mark.parametrize("name", ["id", "source"])
def test_an_id_or_source_has_its_limits(name: str):
    assert getattr(binary(**{f"ce_{name}": "x" * 200}), name) == "x" * 200
    assert getattr(structured(**{name: "x" * 200}), name) == "x" * 200
    with pytest.raises(UndecodableError, match="longer than 200"):
        binary(**{f"ce_{name}": "x" * 201})
    with pytest.raises(UndecodableError, match="longer than 200"):
        structured(**{name: "x" * 600_000})


@pytest.mark.parametrize(
    "corrections",
    [
        [{"pointer": f"/children/{n}", "message": "请核对"} for n in range(51)],
        [{"pointer": "", "message": "请核对"}],
        [{"pointer": "/mother/~name", "message": "请核对"}],
    ],
)
def test_a_return_points_at_no_more_than_fifty_places(corrections: list[dict[str, str]]):
    places = [{"pointer": "/mother/name", "message": "请核对"}, {"pointer": "/a~1b/~0", "message": "请核对"}]
    answered = TaskAnswered.model_validate(
        EVENT.model_dump()
        | {"outcome": Outcome.RETURNED, "corrections": places, "decided_at": datetime(2026, 1, 1, tzinfo=UTC)}
    )
    encoded = encode(answered, source="department.health")
    headers = [(name, text.encode()) for name, text in encoded.headers.items()]
    assert decode(headers, encoded.value).data == answered
    with pytest.raises(UndecodableError):
        decode(headers, json.dumps(json.loads(encoded.value) | {"corrections": corrections}).encode())
