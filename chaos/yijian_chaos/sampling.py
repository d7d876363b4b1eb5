"""What every process holds while a run goes on, and how far the applications are: a line each few seconds."""

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil
import psycopg

from yijian_chaos.rest import count

EVERY_S = 5.0


class Sampler:
    """`samples.jsonl` of a run. `pid` says which process bears a name at the moment, if any does."""

    def __init__(
        self, path: Path, processes: Iterable[str], *, pid: Callable[[str], int | None], database: str
    ) -> None:
        self.completed: list[tuple[float, int]] = []
        self._path = path
        self._processes = tuple(processes)
        self._pid = pid
        self._database = database

    async def run(self) -> None:
        """Sample until cancelled. A database that hangs holds up nothing but its own line."""
        await asyncio.gather(self._repeat(self._of_processes), self._repeat(self._of_database))

    async def sample(self) -> None:
        """Everything once, now."""
        await asyncio.gather(self._once(self._of_processes), self._once(self._of_database))

    async def _repeat(self, look: Callable[[], list[dict[str, Any]]]) -> None:
        while True:
            began = time.monotonic()
            await self._once(look)
            await asyncio.sleep(max(0.0, began + EVERY_S - time.monotonic()))

    async def _once(self, look: Callable[[], list[dict[str, Any]]]) -> None:
        lines = await asyncio.to_thread(look)
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)

    def _of_processes(self) -> list[dict[str, Any]]:
        return [line for name in self._processes for line in self._of_process(name)]

    def _of_process(self, name: str) -> list[dict[str, Any]]:
        try:
            process = psutil.Process(self._pid(name) or -1)
            with process.oneshot():
                held = {"rss": process.memory_info().rss, "fds": process.num_fds(), "threads": process.num_threads()}
        except (psutil.Error, ValueError):
            return []
        return [{"at": round(time.time(), 2), "process": name, "pid": process.pid, **held}]

    def _of_database(self) -> list[dict[str, Any]]:
        """Nothing while the database does not answer."""
        at = round(time.time(), 2)
        try:
            found = count(self._database)
        except psycopg.Error:
            return []
        self.completed.append((at, found.over))
        postgres = {"backends": found.backends, "idle_in_transaction_over_30s": found.idle_in_transaction}
        return [
            {"at": at, "postgres": postgres},
            {"at": at, "applications": {"over": found.over, "under_way": found.under_way}},
        ]
