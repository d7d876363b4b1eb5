"""A lean HTTP/1.1 client: the load must cost as little as it can, since it shares the machine with what it measures."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: its status, its body, and when to come back, if it says so."""

    status: int
    body: bytes
    retry_after: str = ""

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One kept-alive connection; one request at a time."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Send a JSON body and read the answer; a connection that the server closed is opened again."""
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n{head}\r\n"
        ).encode() + body
        return await self._send(request)

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask and read the answer."""
        head = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        return await self._send(f"GET {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n{head}\r\n".encode())

    async def _send(self, request: bytes) -> Answer:
        try:
            return await self._exchange(request)
        except (ConnectionError, asyncio.IncompleteReadError):
            await self.close()
            return await self._exchange(request)

    async def _exchange(self, request: bytes) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        if fields.get("connection") == "close":
            await self.close()
        return Answer(int(head[0].split(" ")[1]), body, retry_after=fields.get("retry-after", ""))

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
