"""No body reaches a handler unless it is small, complete in time and, when JSON, read strictly.

Refused here, before any route runs: more than the limit (by Content-Length or while streaming), a body that dribbles
in, duplicate names, NaN, nesting, invalid UTF-8, and characters that no table can store (NUL, lone surrogates).
"""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from yijian_contracts import strict_json

from yijian_common.errors import MalformedRequest, Problem, RequestTimeout, TooLarge
from yijian_common.problem_pages import respond

BODY_SECONDS = 20


class BodyGuard:
    """Pure ASGI middleware: reads the whole body, checks it, and hands it on as one message."""

    def __init__(self, app: ASGIApp, *, limit_bytes: int) -> None:
        self._app = app
        self._limit = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            _check_target(scope)
            headers = _headers(scope)
            body = await self._read(headers, receive)
            if body is None:
                return
            if body and any(is_json(value) for name, value in scope["headers"] if name == b"content-type"):
                check_json(body)
        except Problem as problem:
            await respond(problem)(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    async def _read(self, headers: dict[bytes, bytes], receive: Receive) -> bytes | None:
        """The whole body, or None when the client went away."""
        length = headers.get(b"content-length")
        if length is None and b"transfer-encoding" not in headers:
            return b""
        if length is not None and (not length.isdigit() or int(length) > self._limit):
            raise self._too_large()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await self._collect(receive)
        except TimeoutError:
            raise RequestTimeout from None

    async def _collect(self, receive: Receive) -> bytes | None:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self._limit:
                raise self._too_large()
            if not message.get("more_body", False):
                return bytes(body)

    def _too_large(self) -> TooLarge:
        # The unread rest would be taken for the next request, so the connection ends here.
        return TooLarge(f"内容不能超过 {self._limit} 字节", headers={"Connection": "close"})


def _headers(scope: Scope) -> dict[bytes, bytes]:
    return {name: value for name, value in scope["headers"] if name in _READ}


_READ = frozenset({b"content-length", b"transfer-encoding"})


def _check_target(scope: Scope) -> None:
    if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
        raise MalformedRequest("地址中有不能使用的字符")


def is_json(content_type: bytes) -> bool:
    media_type = content_type.split(b";", 1)[0].strip().lower()
    return media_type == b"application/json" or media_type.endswith(b"+json")


def check_json(body: bytes) -> None:
    """Raises `MalformedRequest` unless `body` is JSON that we accept."""
    try:
        strict_json.parse(body)
    except strict_json.InvalidJsonError as error:
        raise MalformedRequest(f"JSON 无法读懂：{error}") from None


def _replay(body: bytes, receive: Receive) -> Receive:
    handed_on = False

    async def replay() -> Message:
        nonlocal handed_on
        if handed_on:
            return await receive()  # what follows the body is the client's leaving
        handed_on = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
