"""Servers that pretend to be approval and identity and misbehave as a test says: the real ones cannot be told to."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, uuid5


@dataclass(frozen=True)
class Seen:
    """A request that arrived."""

    server: str
    method: str
    path: str
    key: str | None
    body: Any


Say = tuple[int, Mapping[str, Any]] | None
"""Status and body; None: take the request and never answer."""


@dataclass
class Pretence:
    """One server. `behave` decides by request; what it says 202 to, it did, and remembers by key."""

    name: str
    seen: list[Seen]
    behave: Callable[[Seen], Say]
    url: str = ""
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            writer.close()
        await self._server.wait_closed()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        request = await self._read(reader)
        self.seen.append(request)
        said = self.behave(request)
        if said is None:
            return
        status, content = said
        body = json.dumps(content).encode()
        again = "Retry-After: 0\r\n" if status == 503 else ""
        writer.write(f"HTTP/1.1 {status} X\r\n{again}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()
        self._open.discard(writer)

    async def _read(self, reader: asyncio.StreamReader) -> Seen:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        body = await reader.readexactly(int(fields["content-length"]))
        method, path, _ = lines[0].split(" ")
        return Seen(self.name, method, path, fields.get("idempotency-key"), json.loads(body) if body else None)


def application_of(request: Seen) -> str:
    """The id under which a key's application is accepted, wherever it arrives."""
    return str(uuid5(NAMESPACE_URL, request.key or ""))


def well(request: Seen) -> Say:
    """As both should: accept, show, and give tokens."""
    match request.path:
        case "/dev/token":
            return 200, {"access_token": "token", "expires_in": 300}
        case "/dev/authorisation":
            return 200, {"authorisation": f"word of {request.body['account']}"}
        case "/v1/applications" if request.method == "POST":
            return 202, {"id": application_of(request), "status": "IN_PROGRESS"}
        case "/v1/applications":
            return 200, {"items": [], "next": None}
        case _:
            return 200, {"id": "a", "version": 3, "status": "COMPLETED", "tasks": []}
