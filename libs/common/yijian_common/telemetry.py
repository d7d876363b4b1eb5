"""Logs, traces and metrics of a process, without personal data.

Logs are one JSON object a line on stderr. A redaction step is the last defence, not the rule: whoever logs, logs ids.
Traces follow W3C Trace Context; the decision to sample is made where a trace begins and kept everywhere after.
"""

import importlib
import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, TextIO

import structlog
from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Counter, Gauge, Histogram
from structlog.typing import EventDict

from yijian_common.settings import ProcessSettings

HTTP_SECONDS = Histogram(
    "http_server_request_duration_seconds",
    "Time from the request's head to the last byte of its answer.",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
HTTP_ACTIVE = Gauge("http_server_active_requests", "Requests being answered now.")
HTTP_TURNED_AWAY = Counter("http_server_turned_away_total", "Requests told to come back later, since too many wait.")
COMPONENT_CRASHES = Counter("component_crashes_total", "Background loops that ended by an error.", ["component"])

_propagator = TraceContextTextMapPropagator()

# Digits that stand alone: an identity number (18, last may be X), a mobile, a bank card of 16 to 19 digits.
# Ids of ours (UUIDs) and instants never match, since a neighbouring letter, digit, dot or hyphen forbids it.
_PERSONAL = re.compile(r"(?<![\w.-])(?:\d{17}[\dXx]|(?:\+?86)?1[3-9]\d{9}|\d{16,19})(?![\w-])", re.ASCII)


def redact(text: str) -> str:
    """`text` with every identity number, mobile and bank card number replaced."""
    return _PERSONAL.sub("[redacted]", text)


def _redact_value(value: Any) -> Any:
    match value:
        case None | bool() | float():
            return value
        case int():
            return value if redact(str(value)) == str(value) else redact(str(value))
        case dict():
            return {key: _redact_value(member) for key, member in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_redact_value(item) for item in value]
        case _:
            return redact(str(value))


def redact_event(_: object, __: str, event: EventDict) -> EventDict:
    """A structlog processor; runs last before rendering."""
    return {key: _redact_value(value) for key, value in event.items()}


def _add_trace(_: object, __: str, event: EventDict) -> EventDict:
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = f"{span.trace_id:032x}"
    return event


def _frames_only(_: object, __: str, event: EventDict) -> EventDict:
    """An error's type and where it arose; its text may quote the row or the message that caused it."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["error"] = type(error).__qualname__
        event["frames"] = list(frames(error))
    return event


def frames(error: BaseException) -> Iterator[str]:
    """The places `error` passed, innermost last."""
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        yield f"{code.co_filename}:{step.tb_lineno} {code.co_qualname}"
        step = step.tb_next


def configure(settings: ProcessSettings, *, stream: TextIO | None = None) -> None:
    """Set up logging and tracing of this process; call once, first."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        _frames_only,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _add_service(settings.service),
                redact_event,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for chatty in ("httpx", "httpcore", "uvicorn.error", "aiokafka", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if settings.trace_endpoint is not None:
        # Loaded only here: the SDK and its exporter cost every small program 15 MB that most runs never use.
        importlib.import_module("yijian_common.trace_export").start(settings)


def _add_service(service: str) -> structlog.typing.Processor:
    def add(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {"service": service, **event}

    return add


def flush_traces(timeout_seconds: float) -> None:
    """Send what is queued, but wait no longer than this."""
    provider = trace.get_tracer_provider()
    force_flush = getattr(provider, "force_flush", None)  # only the SDK's provider has it
    if force_flush is not None:
        force_flush(int(timeout_seconds * 1000))


def current_traceparent() -> str | None:
    """The W3C `traceparent` of the current span, to travel in a message; None outside any trace."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def attached(traceparent: str | None) -> Iterator[None]:
    """What runs inside continues the trace that `traceparent` names (none when it is None or malformed)."""
    carrier = {} if traceparent is None else {"traceparent": traceparent}
    token = context.attach(_propagator.extract(carrier, context=context.Context()))
    try:
        yield
    finally:
        context.detach(token)
