"""The whole benchmark: saturation, a steady 5 per second, one message at a time, and what stored rows change."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from rich.console import Console

from yijian_bench import report
from yijian_bench.floor.run import measure_floor
from yijian_bench.floor.shape import Shape, read_counters, read_shape
from yijian_bench.measure import Measurement, measure
from yijian_bench.platform import ONE_BY_ONE, Bench
from yijian_bench.reading import Reading, measure_reading
from yijian_bench.report import BOTH, NAIVE, ONE, SATURATION, STEADY, TWO, Results
from yijian_bench.sizes import read_sizes
from yijian_bench.stored import Template, fill, read_template, readable

NAIVE_APPLICATIONS = 200
STEADY_RATE = 5.0
READERS = 50
SECOND = {TWO: "worker", BOTH: "worker,relay"}
JOINED_SECONDS = 10.0
# Whoever has left is missed after a session's time-out.
LEFT_SECONDS = 25.0
REPLICAS = (ONE, TWO, BOTH, ONE, TWO, BOTH, ONE)
# Postgres counts what a session did when it has been idle for so long.
COUNTED_SECONDS = 11.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure. `stored` are the sizes at which saturation and latency are measured.

    Saturation is measured `saturations` times at each size: single runs scatter by more than what is looked for.
    `warm_up` are the applications before: the broker goes on compiling itself for many hundred of them, and the floor,
    which is measured last, finds it compiled.
    """

    applications: int = 2000
    saturations: int = 3
    warm_up: int = 1000
    steady_seconds: int = 30
    reading_seconds: int = 15
    connections: int = 48
    stored: tuple[int, ...] = (0, 10_000, 100_000)
    naive: bool = True
    floor: bool = True
    replicas: bool = True

    @property
    def families(self) -> int:
        """How many families all runs together need."""
        each = self.saturations * self.applications + round(self.steady_seconds * STEADY_RATE)
        naive = NAIVE_APPLICATIONS if self.naive else 0
        replicas = len(REPLICAS) * self.applications if self.replicas else 0
        return len(self.stored) * (self.warm_up + each) + naive + replicas


async def run(folder: Path, plan: Plan, console: Console) -> Results:
    """Bring a platform up in `folder`, measure, and take it down. Each figure is told as soon as it is there."""
    bench = Bench(folder, plan.families)
    results, past = Results(), Stored()
    try:
        with console.status("Starting the platform"):
            await asyncio.to_thread(bench.up)
        for stored in plan.stored:
            if stored:
                with console.status(f"Storing {stored:,} applications"):
                    await _store(bench, past, stored)
            async for found in _measure_all(bench, plan, past.readable, console, stored=stored):
                results.add(found)
                console.print(report.line(found))
        results.sizes += await read_sizes(bench)
    finally:
        with console.status("Stopping the platform"):
            await asyncio.to_thread(bench.down)
    return results


async def _measure_all(
    bench: Bench, plan: Plan, many: Sequence[UUID], console: Console, *, stored: int
) -> AsyncIterator[Measurement | Reading]:
    """Everything at one size; what is compared with something else than a size only at the first."""
    first = stored == plan.stored[0]
    with console.status("Warming up"):
        await measure(bench, "warm-up", count=plan.warm_up, connections=plan.connections)
    with console.status(f"Reading, {stored:,} stored"):
        readings = await measure_reading(
            bench, stored=stored, seconds=plan.reading_seconds, families=READERS, many=many
        )
    for reading in readings:
        yield reading
    before = await read_counters(bench)
    for _ in range(plan.saturations):
        yield await _saturation(bench, plan, stored, console)
    shape = None
    if plan.floor and first:
        # Of the saturation alone: at five a second offsets and leases move once for nearly each record.
        await asyncio.sleep(COUNTED_SECONDS)
        shape = await read_shape(bench, before, plan.saturations * plan.applications)
    yield await _steady(bench, plan, stored, console)
    if plan.replicas and first:
        async for replicated in _replicas(bench, plan, console, stored=stored):
            yield replicated
    if shape is not None:
        yield await _floor(bench, plan, shape, console)
    if plan.naive and first:
        yield await _naive(bench, console, stored=stored)


async def _saturation(bench: Bench, plan: Plan, stored: int, console: Console) -> Measurement:
    with console.status(f"Saturation, {stored:,} stored"):
        return await measure(bench, SATURATION, count=plan.applications, connections=plan.connections, stored=stored)


async def _steady(bench: Bench, plan: Plan, stored: int, console: Console) -> Measurement:
    with console.status(f"{STEADY.capitalize()}, {stored:,} stored"):
        count = round(plan.steady_seconds * STEADY_RATE)
        return await measure(bench, STEADY, count=count, connections=8, rate=STEADY_RATE, stored=stored)


async def _naive(bench: Bench, console: Console, *, stored: int) -> Measurement:
    """The same programs, told by setting to take one message a transaction and to commit each offset."""
    with console.status("One message at a time"):
        await asyncio.to_thread(bench.stop_services)
        await asyncio.to_thread(bench.start_services, ONE_BY_ONE)
        naive = await measure(bench, NAIVE, count=NAIVE_APPLICATIONS, connections=8, stored=stored)
        await asyncio.to_thread(bench.stop_services)
        await asyncio.to_thread(bench.start_services, {})
        return naive


async def _replicas(bench: Bench, plan: Plan, console: Console, *, stored: int) -> AsyncIterator[Measurement]:
    """One worker and relay of approval; a second worker beside it, then a second relay too. In turn: machines drift."""
    for name in REPLICAS:
        with console.status(name.capitalize()):
            roles = SECOND.get(name)
            if roles:
                settings = {"YIJIAN_ROLES": roles}
                await asyncio.to_thread(bench.platform.start_service, "approval", replica=2, settings=settings)
                await asyncio.sleep(JOINED_SECONDS)
            yield await measure(bench, name, count=plan.applications, connections=plan.connections, stored=stored)
            if roles:
                await asyncio.to_thread(bench.platform.stop_service, "approval", replica=2)
                await asyncio.sleep(LEFT_SECONDS)


async def _floor(bench: Bench, plan: Plan, shape: Shape, console: Console) -> Measurement:
    """As many rows and records without a meaning."""
    with console.status("The floor"):
        await asyncio.to_thread(bench.stop_services)
        floor = await measure_floor(bench, shape, count=plan.applications, connections=plan.connections)
        await asyncio.to_thread(bench.start_services, {})
        return floor


@dataclass
class Stored:
    """How many applications of the past are stored, as copies of which, and which of them one citizen can read."""

    template: Template | None = None
    count: int = 0
    readable: list[UUID] = field(default_factory=list)


async def _store(bench: Bench, stored: Stored, wanted: int) -> None:
    """Add what is missing; the template is read once, so that what comes later fits what is there."""
    await asyncio.to_thread(bench.stop_services)
    stored.template = stored.template or await read_template(bench)
    await fill(bench, stored.template, have=stored.count, wanted=wanted)
    stored.readable += readable(stored.template.past, have=stored.count, wanted=wanted)
    stored.count = wanted
    await asyncio.to_thread(bench.start_services, {})


def show_or_dump(results: Results, console: Console, *, as_json: bool) -> None:
    """The tables for a person, or JSON for a machine."""
    if as_json:
        print(report.as_json(results))
    else:
        report.show(results, console)
