"""A lean HTTP/1.1 client that says exactly how far a request came.

A connection for each request: on one that is kept, nobody could tell a request that was never read from one that was
carried out before its server died.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

CONNECT_WITHIN_S = 2.0


class RefusedError(Exception):
    """Nobody took the connection, so the request was certainly not carried out."""


class UnansweredError(Exception):
    """The request may have been carried out: it was sent in part or whole, and no answer came. `why` is the class."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: its status, its headers by lower-case name, its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, or None where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def retry_after(self) -> float | None:
        """How many seconds the server asks to wait."""
        said = self.headers.get("retry-after", "")
        return float(said) if said.isdigit() else None


async def request(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    within_s: float,
) -> Answer:
    """Send one request and read its answer. Raises `RefusedError` or `UnansweredError`, nothing else."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    content = b"" if body is None else body
    fields = {"Host": f"{host}:{port}", "Connection": "close", "Content-Length": str(len(content)), **(headers or {})}
    if body is not None:
        fields["Content-Type"] = "application/json"
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    try:
        async with asyncio.timeout(min(CONNECT_WITHIN_S, within_s)):
            reader, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        raise RefusedError(type(error).__name__) from None
    try:
        async with asyncio.timeout(within_s):
            writer.write(head.encode() + b"\r\n" + content)
            await writer.drain()
            return await _read(reader)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
        raise UnansweredError(type(error).__name__) from None
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Answer:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
    if "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    else:
        body = await reader.read()
    version, _, status = lines[0].partition(" ")
    if not version.startswith("HTTP/"):
        raise ValueError(version)
    return Answer(int(status[:3]), headers, body)
