"""Clients, nemesis and whoever watches, beside each other: from a platform that is up to one that is at rest."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from yijian_chaos import history
from yijian_chaos.client import Clients
from yijian_chaos.history import History
from yijian_chaos.nemesis import Nemesis
from yijian_chaos.operations import plan_operations
from yijian_chaos.outcome import Facts
from yijian_chaos.people import People, Waits
from yijian_chaos.profiles import FIRST_FAMILY, WARM_UP_FAMILIES, Profile
from yijian_chaos.recovery import Hit, Recovery
from yijian_chaos.rest import any_completed, why_not_at_rest
from yijian_chaos.sampling import Sampler
from yijian_chaos.schedule import Planned
from yijian_chaos.stage import Stage
from yijian_chaos.timeline import Timeline
from yijian_chaos.whereabouts import addresses_of, databases, where_to_look

WARM_WITHIN_S = 300.0
DECIDED_WITHIN_S = 120.0
BEGIN_AFTER_S = 3.0
LOOK_EVERY_S = 2.0
PROBE_EVERY_S = 3.0


@dataclass(frozen=True, slots=True)
class Attack:
    """What is done to a stage, and where it is written down. `tell` hears how it goes."""

    stage: Stage
    profile: Profile
    seed: int
    schedule: Sequence[Planned]
    folder: Path
    tell: Callable[[str], None]

    async def carry_out(self) -> tuple[Facts, Waits]:
        """All of it, until the platform is at rest or that took too long; what was seen."""
        async with History(self.folder / "history.jsonl") as written:
            people = People(self.stage.url("identity"))
            clients = Clients(addresses_of(self.stage), people, written, today=self.stage.today, seed=self.seed)
            try:
                facts = await self._with(clients)
            finally:
                await clients.stop()
        return facts, people.waits

    async def _with(self, clients: Clients) -> Facts:
        timeline = Timeline(self.folder / "timeline.jsonl", self.tell)
        recovery = Recovery(timeline, unready=self._unready, served_since=self._served_since(clients))
        nemesis = Nemesis(self.stage, self.schedule, timeline, recovery)
        database = databases(self.stage.platform)["approval"]
        sampler = Sampler(self.folder / "samples.jsonl", self.stage.processes, pid=self.stage.pid, database=database)
        await self._warm_up(clients)
        self.tell(f"warm; {self.profile.load_s:.0f} s of load begin")
        async with beside(sampler.run(), recovery.watch()):
            begins_at, began = time.monotonic() + BEGIN_AFTER_S, time.time() + BEGIN_AFTER_S
            timeline.begin()
            async with asyncio.TaskGroup() as both:
                both.create_task(clients.run(plan_operations(self.profile, self.seed), begins_at=begins_at))
                both.create_task(nemesis.run(begins_at=begins_at))
            ended, healed = time.time(), time.monotonic()
            self.tell("everything is healed; until each operation is decided and all is at rest")
            async with beside(self._probe(clients, recovery)):
                undecided = await clients.drain(within_s=DECIDED_WITHIN_S)
                rested, waiting = await self._rest(lambda: recovery.pending, since=healed)
        await sampler.sample()
        return Facts(
            profile=self.profile,
            attempts=history.read(self.folder / "history.jsonl"),
            plan=self.schedule,
            timeline=timeline.events,
            skipped=nemesis.skipped,
            completed=sampler.completed,
            load=(began, ended),
            undecided=undecided,
            rested_s=rested,
            waiting=waiting,
            failures=[f"{type(error).__name__}: {error}" for error in (*clients.failures, *nemesis.failures)],
        )

    async def _warm_up(self, clients: Clients) -> None:
        """Have the first families apply, and wait until theirs are decided: caches, plans and partitions are warm."""
        numbers = range(FIRST_FAMILY, FIRST_FAMILY + WARM_UP_FAMILIES)
        async with asyncio.timeout(WARM_WITHIN_S):
            await asyncio.gather(*(clients.apply(number, address=number % 2) for number in numbers))
            await self._rest(lambda: (), since=time.monotonic())

    async def _waiting(self) -> dict[str, str]:
        return await asyncio.to_thread(why_not_at_rest, where_to_look(self.stage.platform))

    async def _probe(self, clients: Clients, recovery: Recovery) -> None:
        """The load is over: while it is not known whether what was healed is healthy, one application after another."""
        first = self.profile.first_probe
        numbers = iter(range(first, first + self.profile.probe_families))
        while True:
            if recovery.pending and (number := next(numbers, None)) is not None:
                clients.begin(clients.probe(number))
            await asyncio.sleep(PROBE_EVERY_S)

    async def _rest(self, pending: Callable[[], Iterable[Hit]], *, since: float) -> tuple[float | None, dict[str, str]]:
        """Seconds from the last heal until nothing waits, or None and what still waits."""
        while True:
            waiting = await self._waiting()
            waiting |= {f"{hit.fault} {hit.component}": "not known to be healthy" for hit in pending()}
            if not waiting:
                return time.monotonic() - since, {}
            if time.monotonic() - since > self.profile.rest_within_s:
                return None, waiting
            await asyncio.sleep(LOOK_EVERY_S)

    async def _unready(self, held: Collection[str]) -> Collection[str]:
        names = [name for name in self.stage.processes if name not in held]
        ready = await asyncio.gather(*(asyncio.to_thread(self.stage.is_ready, name) for name in names))
        return [name for name, is_ready in zip(names, ready, strict=True) if not is_ready]

    def _served_since(self, clients: Clients) -> Callable[[float], Coroutine[Any, Any, bool]]:
        url = databases(self.stage.platform)["approval"]

        async def served(moment: float) -> bool:
            candidates = clients.accepted_since(moment)
            if not candidates:
                return False
            try:
                return await asyncio.to_thread(any_completed, url, candidates)
            except psycopg.Error:
                return False

        return served


@asynccontextmanager
async def beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Let these go on beside what stands inside, and end them with it; what one of them raised is raised."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ended:
        if isinstance(end, Exception):
            raise end
