"""What the clients saw, on disk before it counts: two lines an attempt, the first before the request leaves.

Whoever judges a run trusts this file and nothing that the platform says of itself. So a line is durable (fsync) before
its writer goes on; lines that are ready at the same moment share one fsync.
"""

import asyncio
import json
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self


class Kind(StrEnum):
    """What a client wants."""

    SUBMIT = "submit"
    WITHDRAW = "withdraw"
    CORRECT = "correct"
    CONSENT_WITHDRAW = "consent-withdraw"
    QUERY = "query"


class Phase(StrEnum):
    """INVOKE, and how it ended: OK (done), FAIL (definitely not done), INFO (may have been done or not)."""

    INVOKE = "invoke"
    OK = "ok"
    FAIL = "fail"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Call:
    """An attempt as it is about to be made. `retry_of` is the first attempt of the same key.

    `deliberate` marks a repetition of something already done, which must be answered as it was before.
    """

    kind: Kind
    actor: str
    target: str
    key: str | None = None
    application: str | None = None
    digest: str | None = None
    retry_of: int | None = None
    deliberate: bool = False


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended. `error` is an error's class or a problem's type, `problem` all that a refusal said."""

    phase: Phase
    status: int | None = None
    application: str | None = None
    version: int | None = None
    state: str | None = None
    error: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """Both lines of an attempt; without `ending`, the client never learned anything."""

    op: int
    call: Call
    began: float
    ended: float | None = None
    ending: Ending | None = None

    @property
    def phase(self) -> Phase:
        """How it ended, INFO where nobody knows."""
        return self.ending.phase if self.ending else Phase.INFO


class History:
    """The file of one run. Use as an async context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = 0
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._ready = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        # A thread of its own: those that everybody shares may all be waiting for a server that hangs.
        self._disk = ThreadPoolExecutor(1)

    async def __aenter__(self) -> Self:
        self._file = self._path.open("ab", buffering=0)
        self._writer = asyncio.create_task(self._write())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        self._disk.shutdown(wait=True)
        self._flush()
        self._file.close()

    async def invoke(self, call: Call) -> tuple[int, float]:
        """Write down that an attempt is about to be made; its number, and when (Unix seconds). Durable on return."""
        op, began = self._next, time.time()
        self._next += 1
        await self._append(invoke_line(op, began, call))
        return op, began

    async def end(self, op: int, ending: Ending) -> float:
        """Write down how an attempt ended, and when. Durable on return."""
        ended = time.time()
        await self._append(end_line(op, ended, ending))
        return ended

    async def _append(self, line: Mapping[str, Any]) -> None:
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n", durable))
        self._ready.set()
        # A client that gives up waiting must not take the line of another with it.
        await asyncio.shield(durable)

    async def _write(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            batch, self._waiting = self._waiting, []
            lines = b"".join(line for line, _ in batch)
            await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._disk, self._persist, lines))
            for _, durable in batch:
                if not durable.done():
                    durable.set_result(None)

    def _flush(self) -> None:
        batch, self._waiting = self._waiting, []
        self._persist(b"".join(line for line, _ in batch))
        for _, durable in batch:
            if not durable.done():
                durable.set_result(None)

    def _persist(self, lines: bytes) -> None:
        self._file.write(lines)
        os.fsync(self._file.fileno())


def invoke_line(op: int, at: float, call: Call) -> dict[str, Any]:
    """The first line of an attempt."""
    line = {
        "op": op,
        "phase": Phase.INVOKE,
        "at": round(at, 4),
        "kind": call.kind,
        "key": call.key,
        "actor": call.actor,
        "application": call.application,
        "digest": call.digest,
        "target": call.target,
        "retry_of": call.retry_of,
    }
    return {**line, "deliberate": True} if call.deliberate else line


def end_line(op: int, at: float, ending: Ending) -> dict[str, Any]:
    """The second line of an attempt."""
    return {
        "op": op,
        "phase": ending.phase,
        "at": round(at, 4),
        "status": ending.status,
        "application": ending.application,
        "version": ending.version,
        "state": ending.state,
        "error": ending.error,
        # The checker searches it: whatever is wrong, no answer may name anybody.
        **({"problem": ending.problem} if ending.problem else {}),
    }


def read(path: Path) -> list[Attempt]:
    """The attempts in the order in which they began; a last line that was cut off says nothing."""
    begun: dict[int, Attempt] = {}
    for line in _lines(path):
        op = line["op"]
        if line["phase"] == Phase.INVOKE:
            begun[op] = Attempt(op, _call(line), line["at"])
        else:
            first = begun[op]
            begun[op] = Attempt(op, first.call, first.began, line["at"], _ending(line))
    return list(begun.values())


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for text in file:
            if text.endswith("\n"):
                yield json.loads(text)


def _call(line: Mapping[str, Any]) -> Call:
    return Call(
        kind=Kind(line["kind"]),
        actor=line["actor"],
        target=line["target"],
        key=line["key"],
        application=line["application"],
        digest=line["digest"],
        retry_of=line["retry_of"],
        deliberate=line.get("deliberate", False),
    )


def _ending(line: Mapping[str, Any]) -> Ending:
    return Ending(
        phase=Phase(line["phase"]),
        status=line["status"],
        application=line["application"],
        version=line["version"],
        state=line["state"],
        error=line["error"],
        problem=line.get("problem"),
    )
