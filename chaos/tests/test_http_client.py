"""How far a request came: servers that refuse, hang, break off and answer, as a fault makes them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from yijian_chaos.http_client import RefusedError, UnansweredError, request

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A server that does to each connection what the test says."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    return head + await reader.readexactly(length)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_an_answer_has_its_status_headers_and_body():
    received: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await read_request(reader))
        writer.write(b"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 15\r\n\r\n" + b'{"type": "/p" }')
        await writer.drain()

    async with serving(answer) as url:
        said = await request("POST", f"{url}/v1/x?a=1", body=b"{}", headers={"Idempotency-Key": "k"}, within_s=5)

    assert (said.status, said.retry_after, said.json()) == (503, 2.0, {"type": "/p"})
    assert received[0].startswith(b"POST /v1/x?a=1 HTTP/1.1\r\n")
    assert b"Idempotency-Key: k\r\n" in received[0]
    assert b"Connection: close\r\n" in received[0], "a kept connection could hide how far a request came"
    assert received[0].endswith(b"\r\n\r\n{}")


async def test_a_port_on_which_nobody_listens_refuses():
    with pytest.raises(RefusedError):
        await request("GET", f"http://127.0.0.1:{free_port()}/", within_s=5)


async def test_a_server_that_takes_the_request_and_is_silent_may_have_done_it():
    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await asyncio.sleep(30)

    async with serving(hang) as url:
        with pytest.raises(UnansweredError) as silence:
            await request("POST", url, body=b"{}", within_s=0.2)
    assert silence.value.why == "TimeoutError"


@pytest.mark.parametrize(
    "said",
    [b"", b"HTTP/1.1 202 Acc", b"HTTP/1.1 202 Accepted\r\nContent-Length: 50\r\n\r\n{", b"nonsense\r\n\r\n"],
    ids=["nothing", "half a head", "half a body", "no HTTP"],
)
async def test_a_server_that_dies_while_it_answers_may_have_done_it(said: bytes):
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(said)
        await writer.drain()

    async with serving(break_off) as url:
        with pytest.raises(UnansweredError):
            await request("POST", url, body=b"{}", within_s=5)


async def test_a_connection_reset_after_the_request_may_have_been_carried_out():
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        transport = writer.transport
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        transport.abort()

    async with serving(reset) as url:
        with pytest.raises(UnansweredError):
            await request("POST", url, body=b"{}", within_s=5)
