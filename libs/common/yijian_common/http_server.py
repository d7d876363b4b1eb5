"""The HTTP server of a process, and how it takes its leave: whoever was let in gets an answer.

Left to itself the server closes what looks idle at once: a request that was sent and not yet read would be answered by
a closed connection. So nobody new is let in, everybody who is in is answered with `Connection: close` (`Access` adds
it), and only who has said nothing for a while is sent away.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import socket
import struct
import sys
import termios
from collections.abc import Iterator, Sequence

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server

from yijian_common.settings import ProcessSettings

BACKLOG = 2048
KEEP_ALIVE_SECONDS = 30
LINGER_SECONDS = 1.0
FIRST_REQUEST_SECONDS = 3.0
SILENCE_SECONDS = FIRST_REQUEST_SECONDS + 0.5
REQUESTS_SECONDS = 4
STOP_SECONDS = SILENCE_SECONDS + REQUESTS_SECONDS + 0.5
LOOK_SECONDS = 0.05
HANDSHAKE_SECONDS = 0.05

# Linux, <asm-generic/socket.h> and <linux/filter.h>: a program of (code, jump if true, jump if false, operand) that
# sees a segment from its TCP header on.
_ATTACH_FILTER = 26
_ANYTHING_BUT_SYN = (
    (0x30, 0, 0, 13),  # load the byte with the flags
    (0x54, 0, 0, 0x12),  # of which SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # take the rest
)


def listening_place(host: str, port: int) -> socket.socket:
    """The bound socket of a server that does not listen yet: who comes too early is refused, and asks elsewhere.

    Raises `OSError`, also when another program listens there.
    """
    place = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind((host, port))
    except OSError:
        place.close()
        raise
    return place


class PoliteServer(Server):
    """Signals are `process.serve`'s, which decides what stops first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let nobody in any more, answer those who are in, then end."""
        for place in sockets or ():
            refuse_newcomers(place)
        # For the handshakes that had begun.
        await asyncio.sleep(HANDSHAKE_SECONDS)
        arrived = [connection for place in sockets or () for connection in _arrived(place)]
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for connection in arrived:
            # Who was gone by the time that we came to it is not waited for.
            with contextlib.suppress(OSError):
                await loop.connect_accepted_socket(self._protocol, connection)
        await self._send_away()
        await super().shutdown(sockets)

    async def _send_away(self) -> None:
        """Wait for those who say nothing; in the end, close their connections."""
        clock = asyncio.get_running_loop().time
        began = clock()
        while silent := [
            connection
            for connection in self.server_state.connections
            if isinstance(connection, HttpToolsProtocol) and _is_silent(connection)
        ]:
            waited = clock() - began
            for connection in silent:
                # Whoever has just connected is about to ask, however slow it is; others may ask again, or never.
                longest = LINGER_SECONDS if connection.cycle else FIRST_REQUEST_SECONDS
                if waited >= longest and not _has_spoken(connection):
                    connection.shutdown()
            if waited > SILENCE_SECONDS:
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def refuse_newcomers(place: socket.socket) -> None:
    """Have the kernel drop what would begin a connection; what has begun goes on.

    Between the last `accept` and `close` somebody may connect, who would be reset with a request under way. Who is
    dropped here tries again after a second, and is refused by then. Where the kernel cannot, that moment is left open.
    """
    if sys.platform != "linux":
        return
    program = b"".join(struct.pack("HBBI", *step) for step in _ANYTHING_BUT_SYN)
    buffer = ctypes.create_string_buffer(program)
    filter_ = struct.pack("HL", len(_ANYTHING_BUT_SYN), ctypes.addressof(buffer))
    with contextlib.suppress(OSError):
        place.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, filter_)


def _arrived(place: socket.socket) -> Sequence[socket.socket]:
    """Who has connected and was not let in yet: closing the door would reset them."""
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            connection, _ = place.accept()
            connection.setblocking(False)
            found.append(connection)
    return found


def _is_silent(connection: HttpToolsProtocol) -> bool:
    """Whether it waits for no answer."""
    cycle: RequestResponseCycle | None = connection.cycle
    return cycle is None or cycle.response_complete


def _has_spoken(connection: HttpToolsProtocol) -> bool:
    """Whether a request has come in that nobody has read yet."""
    place = connection.transport.get_extra_info("socket")
    if place is None or connection.transport.is_closing():
        return False
    waiting = fcntl.ioctl(place.fileno(), termios.FIONREAD, b"\0" * 4)
    return bool(struct.unpack("i", waiting)[0])


def build_server(settings: ProcessSettings, app: FastAPI) -> PoliteServer:
    """The server of this app, on a socket that it is given."""
    config = uvicorn.Config(
        app,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        backlog=BACKLOG,
        timeout_graceful_shutdown=REQUESTS_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    return PoliteServer(config)
