"""What is observed of every request: an id, one log line, a duration, a span, and that an error never shows its inside.

The route's template stands in logs, metrics and spans, never the path or the query: those may hold personal data.
"""

import re
import time
from uuid import uuid4

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from yijian_common.errors import InternalError
from yijian_common.problem_pages import Translation, respond
from yijian_common.telemetry import HTTP_ACTIVE, HTTP_SECONDS

log = structlog.get_logger(__name__)
_tracer = trace.get_tracer(__name__)
# What proxies make, a UUID with or without hyphens: any freer shape would carry whatever somebody writes into the log.
_ACCEPTED_ID = re.compile(rb"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_QUIET = frozenset({"/livez", "/readyz", "/startupz", "/metrics"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Access:
    """Pure ASGI middleware, the outermost one. `translate` names the problem behind an error of the infrastructure."""

    def __init__(self, app: ASGIApp, *, translate: Translation) -> None:
        self._app = app
        self._translate = translate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        stopping = scope["app"].state.process.stopping
        request_id = _request_id(headers.get(b"x-request-id", b""))
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        status = 0

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_every_answer(request_id)]
                if stopping.is_set():
                    # The next request is for another process; this one will close the connection itself.
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        # A trace begins here, whatever a caller sends: otherwise everyone could have their requests sampled.
        with (
            _tracer.start_as_current_span("HTTP", context=Context(), kind=SpanKind.SERVER) as span,
            HTTP_ACTIVE.track_inprogress(),
        ):
            try:
                await self._app(scope, receive, observed_send)
            except Exception as error:
                problem = self._translate(error)
                if problem is None:
                    log.exception("request failed", route=_route(scope))
                    problem = InternalError()
                if status:
                    raise  # half an answer is out: only closing the connection tells the client
                await respond(problem)(scope, receive, observed_send)
            route = _route(scope)
            method = scope["method"] if scope["method"] in _METHODS else "OTHER"
            span.update_name(f"{method} {route}")
            span.set_attribute("http.response.status_code", status)
            seconds = time.perf_counter() - started
            HTTP_SECONDS.labels(method, route, status).observe(seconds)
            if route not in _QUIET:
                log.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1))


def _request_id(offered: bytes) -> str:
    return offered.decode() if _ACCEPTED_ID.fullmatch(offered) else uuid4().hex


def _every_answer(request_id: str) -> list[tuple[bytes, bytes]]:
    return [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", None) or "(no route)"
