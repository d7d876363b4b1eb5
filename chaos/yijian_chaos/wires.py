"""Wires between processes and their servers, which can be cut and made slow while both ends live on.

    async with Switchboard() as board:
        wire = await board.lay("approval-api>postgres", Leg(port=0, target=5432))
        connect(wire.port)
        await wire.hang()

They run in one process of their own (`yijian_chaos.switchboard`), so that a busy runner does not slow the platform. It
ends with whoever started it.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Any, Final, Self

from yijian_chaos.switchboard import Pace

ANSWERS_WITHIN_S: Final = 20.0


class WireError(Exception):
    """The switchboard refuses, or does not answer."""


@dataclass(frozen=True, slots=True)
class Leg:
    """From a port on loopback, 0 for a free one, to the port of a server that may come and go."""

    port: int
    target: int


class Switchboard:
    """The process in which the wires run."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the process; nothing happens if it runs."""
        if self._process is None:
            pipe = asyncio.subprocess.PIPE
            command = (sys.executable, "-m", "yijian_chaos.switchboard")
            # In a session of its own: an interrupt is for the runner, which then heals and ends this one.
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=pipe, start_new_session=True
            )

    async def stop(self) -> None:
        """End every connection and the process."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            await asyncio.wait_for(process.wait(), ANSWERS_WITHIN_S)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def lay(self, name: str, *legs: Leg) -> "Wire":
        """A wire that passes everything; further legs for a name that is there already belong to the same wire."""
        ports = await self.ask({"do": "lay", "wire": name, "legs": [(leg.port, leg.target) for leg in legs]})
        return Wire(self, name, tuple(replace(leg, port=port) for leg, port in zip(legs, ports, strict=True)))

    async def ask(self, command: Mapping[str, Any]) -> Any:
        """One command and its answer."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise WireError("the switchboard does not run")
        async with self._turn, asyncio.timeout(ANSWERS_WITHIN_S):
            process.stdin.write(json.dumps(command).encode() + b"\n")
            line = await process.stdout.readline()
        answer = json.loads(line) if line else {"error": "the switchboard has ended"}
        if "error" in answer:
            raise WireError(f"{command['wire']}: {answer['error']}")
        return answer["ok"]


class Wire:
    """One wire. Each of its four modes takes the place of the one before."""

    def __init__(self, board: Switchboard, name: str, legs: tuple[Leg, ...]) -> None:
        self._board = board
        self.name = name
        self.legs = legs
        self.mode = "pass"

    @property
    def port(self) -> int:
        """Where its first leg is dialled."""
        return self.legs[0].port

    async def pass_through(self) -> None:
        """As if it were not there. What was held back arrives now, late and in its order, as TCP sends it again."""
        await self._set("pass")

    async def refuse(self) -> None:
        """Every connection is reset, and new ones are refused."""
        await self._set("refuse")

    async def hang(self) -> None:
        """Nothing arrives and nobody is told: connections stay, new ones are taken, nothing is answered."""
        await self._set("hang")

    async def slow(
        self, latency_s: float, jitter_s: float = 0.0, bytes_per_s: float | None = None, *, loss: float = 0.0
    ) -> None:
        """So late in each direction, and so many bytes a second for all connections together in each direction.

        `loss` is the share of segments that TCP has to send again, which here come 0.2 to 1 s later.
        """
        await self._set("slow", Pace(latency_s, jitter_s, bytes_per_s, loss))

    async def connections(self) -> int:
        """How many there are now."""
        count: int = await self._board.ask({"do": "connections", "wire": self.name})
        return count

    async def cut(self) -> None:
        """Take the wire away for good."""
        await self._board.ask({"do": "cut", "wire": self.name})

    async def _set(self, mode: str, pace: Pace | None = None) -> None:
        await self._board.ask({"do": "mode", "wire": self.name, "mode": mode, "pace": asdict(pace or Pace())})
        self.mode = mode
