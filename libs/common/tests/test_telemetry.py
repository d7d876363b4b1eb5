"""Logs without personal data, and one trace across processes."""

import io
import json
import logging

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from yijian_common.telemetry import attached, current_traceparent, redact

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    "personal",
    [
        "990101199001010019",
        "99010119880808003X",
        "99010119880808003x",
        "13812345678",
        "+8613812345678",
        "6222021234561234",
        "6222021234561234567",
    ],
)
def test_what_identifies_a_person_never_reaches_the_log(log: io.StringIO, personal: str) -> None:
    logger = structlog.get_logger("test")
    logger.info(personal, where=f"id={personal}", nested={"list": [personal, {"deep": personal}]})
    logger.warning("number", value=int(personal) if personal.isdigit() else personal)
    logging.getLogger("a.library").error("Key (id_no)=(%s) exists", personal)
    assert personal not in log.getvalue()
    assert len(lines(log)) == 3


@pytest.mark.parametrize(
    "harmless",
    [
        "0af7651916cd43dd8448eb211c80319c",
        "019ab1c2-7c0e-7d64-9c7e-012345678901",
        "2026-11-21T05:00:05.830251Z",
        "990101000000",
        "offset 1234567890",
    ],
)
def test_ids_and_instants_stay_readable(harmless: str) -> None:
    assert redact(harmless) == harmless


def fail() -> None:
    raise ValueError("张三 lives in 某街道")


def test_an_errors_text_stays_out_of_the_log(log: io.StringIO) -> None:
    try:
        fail()
    except ValueError:
        structlog.get_logger("test").exception("it failed")
    [line] = lines(log)
    assert line["error"] == "ValueError"
    assert "张三" not in log.getvalue()
    assert any("test_telemetry.py" in str(frame) for frame in line["frames"])  # type: ignore[attr-defined]


def test_a_trace_goes_on_in_the_next_process() -> None:
    tracer = TracerProvider(sampler=ParentBased(TraceIdRatioBased(0))).get_tracer("test")
    with attached(PARENT), tracer.start_as_current_span("step") as span:
        carried = current_traceparent()
        assert f"{span.get_span_context().trace_id:032x}" in PARENT
    assert carried is not None
    assert carried.startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert carried.endswith("-01"), "the decision to sample was made at the head and holds"


def test_what_the_head_did_not_sample_nobody_samples() -> None:
    tracer = TracerProvider(sampler=ParentBased(TraceIdRatioBased(1))).get_tracer("test")
    with attached(PARENT[:-1] + "0"), tracer.start_as_current_span("step") as span:
        assert not span.is_recording()


@pytest.mark.parametrize("odd", [None, "", "garbage", "00-0-0-00", "ff-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_an_odd_traceparent_begins_no_trace(odd: str | None) -> None:
    with attached(odd):
        assert current_traceparent() is None


def test_nothing_leaks_out_of_the_block() -> None:
    with attached(PARENT):
        assert current_traceparent() == PARENT
    assert current_traceparent() is None
    assert not trace.get_current_span().get_span_context().is_valid
