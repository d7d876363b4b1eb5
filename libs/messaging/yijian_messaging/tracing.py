"""Spans for processing a message, made by us: an instrumentation of the client knows only that it was fetched."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from yijian_messaging.record import Message

T = TypeVar("T")

_propagator = TraceContextTextMapPropagator()
_tracer = trace.get_tracer("yijian_messaging")

# W3C Trace Context §3.2.2.5: the flags are bits, "sampled" is the lowest, and others may be set beside it.
_SAMPLED = frozenset("13579bdf")


@contextmanager
def processing(consumer: str, messages: Sequence[Message[T]]) -> Iterator[list[Message[T]]]:
    """The same messages, those of a sampled trace with a span of their own open while the batch is handled."""
    traced = []
    spans = []
    for message in messages:
        context = _sampled(message.traceparent)
        if message.traceparent is None or context is None:
            traced.append(message)
            continue
        span = _tracer.start_span(f"process {consumer}", context=context, kind=trace.SpanKind.CONSUMER)
        span.set_attribute("messaging.destination.name", message.record.topic)
        span.set_attribute("messaging.message.id", message.id)
        spans.append(span)
        carrier: dict[str, str] = {}
        _propagator.inject(carrier, trace.set_span_in_context(span))
        traced.append(replace(message, traceparent=carrier.get("traceparent", message.traceparent)))
    try:
        yield traced
    except BaseException as error:
        for span in spans:
            # The type alone: an exception's text may repeat what it could not handle.
            span.set_status(trace.Status(trace.StatusCode.ERROR, type(error).__name__))
        raise
    finally:
        for span in spans:
            span.end()


def _sampled(traceparent: str | None) -> Context | None:
    """The context of a trace that is sampled; None for the others, and for what names no trace."""
    if traceparent is None or traceparent[-1:] not in _SAMPLED:
        return None
    context = _propagator.extract({"traceparent": traceparent})
    return context if trace.get_current_span(context).get_span_context().is_valid else None
