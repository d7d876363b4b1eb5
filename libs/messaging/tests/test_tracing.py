"""A message of a sampled trace has a span of its own, and what it leads to hangs on that span."""

from uuid import uuid4

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from yijian_messaging import Message, Record, tracing

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    return exporter


def message(traceparent: str | None) -> Message[str]:
    record = Record("a.topic", 0, 7, b"key", b"{}", (), 0)
    return Message(str(uuid4()), "content", record, traceparent)


@pytest.mark.parametrize("flags", ["01", "03", "ff"])
def test_a_sampled_trace_goes_on_whatever_other_flags_it_has(spans: InMemorySpanExporter, flags: str):
    with tracing.processing("a.consumer", [message(f"{PARENT}-{flags}")]) as (traced,):
        pass

    (span,) = spans.get_finished_spans()
    assert (span.name, f"{span.context.trace_id:032x}") == ("process a.consumer", TRACE)
    assert traced.traceparent is not None
    assert traced.traceparent.startswith(f"00-{TRACE}-{span.context.span_id:016x}-")


@pytest.mark.parametrize(
    "traceparent", [None, "", f"{PARENT}-00", f"{PARENT}-02", "noise-01", f"00-{'0' * 32}-{'0' * 16}-01"]
)
def test_other_messages_get_no_span_and_stay_as_they_are(spans: InMemorySpanExporter, traceparent: str | None):
    given = message(traceparent)

    with tracing.processing("a.consumer", [given]) as traced:
        assert traced == [given]

    assert spans.get_finished_spans() == ()


def test_a_span_tells_that_the_handler_failed_and_not_with_which_words(spans: InMemorySpanExporter):
    with pytest.raises(ValueError, match="somebody"), tracing.processing("a.consumer", [message(f"{PARENT}-01")]):
        raise ValueError("somebody lives somewhere")

    (span,) = spans.get_finished_spans()
    assert span.status.description == "ValueError"
    assert "somebody" not in span.to_json()
