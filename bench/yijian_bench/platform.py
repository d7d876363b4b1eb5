"""The platform under measurement: its own folder, its own families, its processes' CPU time."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import psutil
from yijian_embedded.platform import Platform
from yijian_embedded.topology import SERVICES
from yijian_examples.population import SHANGHAI
from yijian_examples.records import write_records

from yijian_bench.http_client import Connection

INFRASTRUCTURE = ("kafka", "postgres")
ONE_BY_ONE = {"YIJIAN_BATCH_RECORDS": "1", "YIJIAN_RELAY_BATCH": "1", "YIJIAN_COMMIT_EACH_BATCH": "true"}
TOKEN_CONNECTIONS = 8
# The first families are stories of their own, such as twins; births that are all alike come after them.
FIRST_FAMILY = 101


class Bench:
    """A platform whose services can be started with other settings."""

    def __init__(self, folder: Path, families: int) -> None:
        self.platform = Platform(folder)
        self._families = FIRST_FAMILY + families - 1
        self._next_family = FIRST_FAMILY
        self._turn = threading.Lock()
        self._over = False
        # Forms go on being of the day of the records, though it may end while they are handed in.
        self.today = datetime.now(SHANGHAI).date()

    def up(self) -> None:
        """Start from nothing, with what every bureau holds about the families."""
        with self._turn:
            self.platform.clean()
            self.platform.home.records.mkdir(parents=True, exist_ok=True)
            write_records(self.platform.home.records, families=self._families, today=self.today)
            self.platform.up(services=False)
        self.start_services({})

    def down(self) -> None:
        """Stop everything and leave nothing behind; a start that is still under way elsewhere starts nothing more."""
        self._over = True
        with self._turn:
            self.platform.clean()

    def start_services(self, settings: Mapping[str, str]) -> None:
        for service in SERVICES:
            with self._turn:
                if not self._over:
                    self.platform.start_service(service.name, settings=settings)

    def stop_services(self) -> None:
        for service in SERVICES:
            self.platform.stop_service(service.name)

    def take_families(self, count: int) -> int:
        """The first of `count` families that nobody has applied for yet."""
        first, self._next_family = self._next_family, self._next_family + count
        if self._next_family > self._families + 1:
            raise ValueError(f"{self._families} families are not enough for this run")
        return first

    def cpu_seconds(self) -> dict[str, float]:
        """CPU time used so far, by service; a server's children count with it, and so does a second replica."""
        used = {}
        for name in (*INFRASTRUCTURE, *(service.name for service in SERVICES)):
            replicas = (self.platform.process(name), self.platform.process(f"{name}-2"))
            used[name] = sum(cpu_seconds(process) for process in replicas if process)
        return used

    def memory_mb(self) -> dict[str, float]:
        """Resident memory by process."""
        used = {}
        for name in (*INFRASTRUCTURE, *(service.name for service in SERVICES)):
            process = self.platform.process(name)
            used[name] = process.memory_info().rss / 1e6 if process else 0.0
        return used

    async def tokens(self, first: int, count: int) -> list[str]:
        """A token for the mother of each family."""
        wanted = [{"account": f"mother-{n:06}", "audience": "approval"} for n in range(first, first + count)]
        return await self._signed("/dev/token", "access_token", wanted)

    async def authorisations(self, first: int, count: int) -> list[str]:
        """The word of the father of each family."""
        wanted = [
            {"account": f"father-{n:06}", "actor": f"mother-{n:06}", "life_event": "birth"}
            for n in range(first, first + count)
        ]
        return await self._signed("/dev/authorisation", "authorisation", wanted)

    async def _signed(self, path: str, member: str, wanted: Sequence[Mapping[str, str]]) -> list[str]:
        """What identity's tools sign for each of these."""
        url = self.platform.url("identity")
        signed = [""] * len(wanted)
        numbers = iter(range(len(wanted)))

        async def work() -> None:
            connection = Connection(url)
            for number in numbers:
                answer = await connection.post(path, json.dumps(wanted[number]).encode(), {})
                signed[number] = answer.json()[member]
            await connection.close()

        await asyncio.gather(*(work() for _ in range(TOKEN_CONNECTIONS)))
        return signed

    def submit(
        self, first: int, tokens: list[str], words: list[str], *, connections: int, rate: float | None
    ) -> list[dict[str, object]]:
        """Run the load to its end; returns one line for each application."""
        order = {
            "url": self.platform.url("approval"),
            "first": first,
            "count": len(tokens),
            "tokens": tokens,
            "authorisations": words,
            "connections": connections,
            "rate": rate,
            "today": self.today.isoformat(),
        }
        done = subprocess.run(
            [sys.executable, "-m", "yijian_bench.load"],
            input=json.dumps(order).encode(),
            stdout=subprocess.PIPE,
            check=True,
            env=os.environ,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]


def cpu_seconds(process: psutil.Process) -> float:
    """CPU time that a process and its children have used so far."""
    times = process.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in process.children(recursive=True):
        try:
            of_child = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += of_child.user + of_child.system
    return float(total)
