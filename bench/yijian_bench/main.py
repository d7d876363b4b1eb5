"""The whole benchmark: saturation, a steady 5 per second, one message at a time, and what stored rows change."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from rich.console import Console

from yijian_bench import report
from yijian_bench.floor.run import measure_floor
from yijian_bench.floor.shape import Shape, read_counters, read_shape
from yijian_bench.growth import Filled, compare, measure_reading_at
from yijian_bench.measure import Measurement, measure
from yijian_bench.plan import NAIVE_APPLICATIONS, REPLICAS, Plan
from yijian_bench.platform import ONE_BY_ONE, Bench
from yijian_bench.reading import Reading
from yijian_bench.report import BOTH, NAIVE, TWO, Results
from yijian_bench.runs import STEADY_CONNECTIONS, load_steadily, saturate, warm_up
from yijian_bench.sizes import read_sizes

SECOND = {TWO: "worker", BOTH: "worker,relay"}
JOINED_SECONDS = 10.0
# Whoever has left is missed after a session's time-out.
LEFT_SECONDS = 25.0
# Postgres counts what a session did when it has been idle for so long.
COUNTED_SECONDS = 11.0


async def run(folder: Path, plan: Plan, console: Console) -> Results:
    """Bring a platform up in `folder`, measure, and take it down. Each figure is told as soon as it is there.

    Sizes after the first are measured on a second platform beside it, in a folder inside.
    """
    few, many = Filled(Bench(folder, plan.families)), Filled(Bench(folder / "many", plan.families_beside))
    results = Results()
    try:
        with console.status("Starting the platform"):
            await asyncio.to_thread(few.bench.up)
        for measuring in (_measure_all(few, plan, console), compare(few, many, plan, console)):
            async for found in measuring:
                results.add(found)
                console.print(report.line(found))
        results.sizes += await read_sizes((many if many.stored else few).bench)
    finally:
        with console.status("Stopping the platform"):
            # In one go, which a second signal to stop does not come between.
            await asyncio.to_thread(_down, many.bench, few.bench)
    return results


def _down(first: Bench, second: Bench) -> None:
    try:
        first.down()
    finally:
        second.down()


async def _measure_all(filled: Filled, plan: Plan, console: Console) -> AsyncIterator[Measurement | Reading]:
    """Everything at the first size, and what is compared with something else than a size."""
    bench, stored = filled.bench, plan.stored[0]
    await warm_up(bench, plan, plan.warm_up, console)
    await filled.grow(stored, plan, console)
    for reading in await measure_reading_at(filled, plan, console):
        yield reading
    before = await read_counters(bench)
    for _ in range(plan.saturations):
        yield await saturate(bench, plan, console, stored=stored)
    shape = None
    if plan.floor:
        # Of the saturation alone: at five a second offsets and leases move once for nearly each record.
        await asyncio.sleep(COUNTED_SECONDS)
        shape = await read_shape(bench, before, plan.saturations * plan.applications)
    yield await load_steadily(bench, plan, console, stored=stored)
    if plan.replicas:
        async for replicated in _replicas(bench, plan, console, stored=stored):
            yield replicated
    if shape is not None:
        yield await _floor(bench, plan, shape, console)
    if plan.naive:
        yield await _naive(bench, console, stored=stored)


async def _naive(bench: Bench, console: Console, *, stored: int) -> Measurement:
    """The same programs, told by setting to take one message a transaction and to commit each offset."""
    with console.status("One message at a time"):
        await asyncio.to_thread(bench.stop_services)
        await asyncio.to_thread(bench.start_services, ONE_BY_ONE)
        naive = await measure(bench, NAIVE, count=NAIVE_APPLICATIONS, connections=STEADY_CONNECTIONS, stored=stored)
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


def show_or_dump(results: Results, console: Console, *, as_json: bool) -> None:
    """The tables for a person, or JSON for a machine."""
    if as_json:
        print(report.as_json(results))
    else:
        report.show(results, console)
