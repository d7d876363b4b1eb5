"""What the wires run in: `python -m yijian_chaos.switchboard`, steered by lines on its standard input.

Each line is a command as JSON, each answer a line. When the input ends, because whoever started this process is gone,
it ends as well. A wire may have several legs, such as one for each broker; its mode holds for all of them.
"""

import asyncio
import json
import random
import socket
import struct
import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import uvloop

HOST: Final = "127.0.0.1"
MOST_WAITING_BYTES: Final = 256 * 1024
RESET: Final = struct.pack("ii", 1, 0)
RETRANSMITTED_AFTER_S: Final = (0.2, 1.0)


@dataclass(frozen=True, slots=True)
class Pace:
    """How slow a wire is. What a real one loses, TCP sends again: a lost segment is a late one."""

    latency_s: float = 0.0
    jitter_s: float = 0.0
    bytes_per_s: float | None = None
    loss: float = 0.0


class Wire:
    """What is the same for every connection of a wire: its mode."""

    def __init__(self) -> None:
        self.hangs = False
        self.refuses = False
        self.pace: Pace | None = None
        self.ends: set[End] = set()
        self._free_at = {True: 0.0, False: 0.0}
        self._legs: list[Leg] = []

    async def lay(self, port: int, target: int) -> int:
        """One more way from a port, a free one for 0, to a server; says the port."""
        leg = Leg(self, port, target)
        self._legs.append(leg)
        if not self.refuses:
            await leg.listen()
        return leg.port

    async def set_mode(self, mode: str, pace: Pace) -> None:
        """`pass`, `slow`, `hang` or `refuse`. What a hanging or slow wire held back goes on in its order."""
        self.refuses, self.hangs = mode == "refuse", mode == "hang"
        self.pace = pace if mode == "slow" else None
        for leg in self._legs:
            await (leg.deafen() if self.refuses else leg.listen())
        for end in tuple(self.ends):
            end.follow()

    def due(self, end: "End", size: int) -> float:
        """When the other side gets what this one just sent."""
        now = asyncio.get_running_loop().time()
        pace = self.pace
        if pace is None:
            return now
        if pace.bytes_per_s:
            self._free_at[end.is_server] = max(now, self._free_at[end.is_server]) + size / pace.bytes_per_s
        arrival = max(now, self._free_at[end.is_server]) + pace.latency_s
        again = random.uniform(*RETRANSMITTED_AFTER_S) if random.random() < pace.loss else 0.0
        return arrival + random.uniform(-pace.jitter_s, pace.jitter_s) + again

    async def cut(self) -> None:
        """End every connection and stop listening for good."""
        await self.set_mode("refuse", Pace())
        for leg in self._legs:
            leg.close()


class Leg:
    """A listening port and where it leads. The port stays ours while we refuse whoever dials it."""

    def __init__(self, wire: Wire, port: int, target: int) -> None:
        self._wire = wire
        self._target = target
        # Bound and never listening: the kernel refuses for it, and nobody else gets the port.
        self._place = _bound(port)
        self.port: int = self._place.getsockname()[1]
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        if self._server is None:
            listener = _bound(self.port)
            self._server = await asyncio.get_running_loop().create_server(self._accept, sock=listener, backlog=1024)

    async def deafen(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def close(self) -> None:
        self._place.close()

    def _accept(self) -> "End":
        return End(self._wire, self._target)


class End(asyncio.Protocol):
    """One side of a connection: what it hears waits until it is due, then the other side gets it."""

    def __init__(self, wire: Wire, target: int | None = None, peer: "End | None" = None) -> None:
        self.wire = wire
        self.is_server = target is None
        self._target = target
        self._peer = peer
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._size = 0
        self._ended = False
        self._eof_sent = False
        self._is_full = False
        self._timer: asyncio.Handle | None = None
        self._wakes_at = 0.0
        self._dialling: asyncio.Task[Any] | None = None

    # --- what the event loop tells -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.wire.ends.add(self)
        self.follow()

    def data_received(self, data: bytes) -> None:
        due = self.wire.due(self, len(data))
        # What comes later never overtakes.
        self._waiting.append((max(due, self._waiting[-1][0]) if self._waiting else due, data))
        self._size += len(data)
        self._move()

    def eof_received(self) -> bool:
        if self._is_undialled:
            # Whoever gave up before a hanging wire passed again has never been at the server.
            self._give_up()
            return False
        self._ended = True
        self._move()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._ended = True
        if error is not None:
            self._give_up()
            if self._peer is not None:
                self._peer.reset()
        self._move()
        self._leave()

    def pause_writing(self) -> None:
        if self._peer:
            self._peer.hold(full=True)

    def resume_writing(self) -> None:
        if self._peer:
            self._peer.hold(full=False)

    # --- what the wire and the other end tell ------------------------------------------------------------------------

    def follow(self) -> None:
        """Do as the wire's mode says now."""
        if self.wire.refuses:
            self.reset()
            return
        if self.wire.pace is None:
            self._waiting = deque((0.0, data) for _, data in self._waiting)
        if self._is_undialled and self._target is not None and not self.wire.hangs:
            self._dialling = asyncio.get_running_loop().create_task(self._dial(self._target))
        self._move()

    def hold(self, *, full: bool) -> None:
        """Whether the other side takes no more at the moment."""
        self._is_full = full
        self._move()

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def write_eof(self) -> None:
        if self._transport is not None and not self._transport.is_closing() and not self._eof_sent:
            self._eof_sent = True
            self._transport.write_eof()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """End the connection by RST, so that the other side is told at once."""
        self._give_up()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._transport.abort()
        self._leave()

    @property
    def _is_undialled(self) -> bool:
        """Whether the server knows nothing of it yet: nobody who dials through a hanging wire reaches anybody."""
        return not self.is_server and self._dialling is None

    @property
    def is_done(self) -> bool:
        """Whether it said its last and the other side has it."""
        return self._ended and not self._waiting

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _dial(self, target: int) -> None:
        try:
            _, self._peer = await asyncio.get_running_loop().create_connection(
                lambda: End(self.wire, peer=self), HOST, target
            )
        except OSError:
            self.reset()
            return
        if self._transport is None:
            self._peer.close()
        self._move()

    def _move(self) -> None:
        """Hand over what is due, and hear more if there is room."""
        if self._peer is None:
            # Behind a hanging wire whoever dialled is heard as far as there is room: they may give up.
            self._listen(self._is_undialled and self._size < MOST_WAITING_BYTES)
            return
        now = asyncio.get_running_loop().time()
        while self._waiting and self._waiting[0][0] <= now and not self.wire.hangs:
            _, data = self._waiting.popleft()
            self._size -= len(data)
            self._peer.write(data)
        if self._waiting:
            self._wake_at(self._waiting[0][0])
        elif self._ended and not self.wire.hangs:
            self._say_ended(self._peer)
        self._listen(self._size < MOST_WAITING_BYTES and not self.wire.hangs and not self._is_full)

    def _say_ended(self, peer: "End") -> None:
        if self._transport is not None and not peer.is_done:
            peer.write_eof()
            return
        peer.close()
        self.close()
        self._leave()

    def _give_up(self) -> None:
        self._ended = True
        self._waiting.clear()
        self._size = 0
        self._stop_timer()

    def _leave(self) -> None:
        """Be forgotten once nothing is left to do: what still waits has to hear of the wire's next mode."""
        if self._transport is None and not self._waiting:
            self.wire.ends.discard(self)
            self._stop_timer()

    def _wake_at(self, due: float) -> None:
        if not self.wire.hangs and (self._timer is None or self._wakes_at != due):
            self._stop_timer()
            self._wakes_at = due
            self._timer = asyncio.get_running_loop().call_at(due, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._move()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _listen(self, listens: bool) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing() and transport.is_reading() != listens:
            transport.resume_reading() if listens else transport.pause_reading()


def _bound(port: int) -> socket.socket:
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    place.bind((HOST, port))
    place.setblocking(False)
    return place


async def _obey(wires: dict[str, Wire], command: Mapping[str, Any]) -> Any:
    match command["do"]:
        case "lay":
            wire = wires.setdefault(command["wire"], Wire())
            return [await wire.lay(port, target) for port, target in command["legs"]]
        case "mode":
            await wires[command["wire"]].set_mode(command["mode"], Pace(**command["pace"]))
        case "cut":
            await wires.pop(command["wire"]).cut()
        case "connections":
            return sum(not end.is_server for end in wires[command["wire"]].ends)
    return None


async def serve() -> None:
    """Obey until the input ends."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    wires: dict[str, Wire] = {}
    while line := await lines.readline():
        try:
            answer = {"ok": await _obey(wires, json.loads(line))}
        except (OSError, KeyError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(serve())
