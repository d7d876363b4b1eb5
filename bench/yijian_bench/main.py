"""The whole benchmark: saturation, a steady 5 per second, one message at a time, and what stored rows change."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from rich.console import Console

from yijian_bench import report
from yijian_bench.measure import Measurement, measure
from yijian_bench.platform import ONE_BY_ONE, Bench
from yijian_bench.stored import fill

WARM_UP = 200
NAIVE = 200
STEADY_RATE = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure. `stored` are the sizes at which saturation and latency are measured."""

    applications: int = 2000
    steady_seconds: int = 30
    connections: int = 48
    stored: tuple[int, ...] = (0, 10_000, 100_000)
    naive: bool = True

    @property
    def families(self) -> int:
        """How many families all runs together need."""
        each = self.applications + round(self.steady_seconds * STEADY_RATE)
        return WARM_UP + len(self.stored) * each + (NAIVE if self.naive else 0)


async def run(folder: Path, plan: Plan, console: Console) -> Sequence[Measurement]:
    """Bring a platform up in `folder`, measure, and take it down."""
    bench = Bench(folder, plan.families)
    measurements = []
    try:
        with console.status("Starting the platform"):
            await asyncio.to_thread(bench.up)
        with console.status("Warming up"):
            await measure(bench, "warm-up", count=WARM_UP, connections=8)
        for stored in plan.stored:
            if stored:
                with console.status(f"Storing {stored:,} applications"):
                    await _store(bench, stored)
            measurements += await _at_size(bench, plan, stored, console)
            if plan.naive and stored == plan.stored[0]:
                measurements.append(await _naive(bench, console, stored=stored))
    finally:
        with console.status("Stopping the platform"):
            await asyncio.to_thread(bench.down)
    return measurements


async def _at_size(bench: Bench, plan: Plan, stored: int, console: Console) -> list[Measurement]:
    with console.status(f"Saturation, {stored:,} stored"):
        saturation = await measure(
            bench, "saturation", count=plan.applications, connections=plan.connections, stored=stored
        )
    with console.status(f"{STEADY_RATE:.0f} per second, {stored:,} stored"):
        count = round(plan.steady_seconds * STEADY_RATE)
        steady = await measure(bench, "steady 5/s", count=count, connections=8, rate=STEADY_RATE, stored=stored)
    return [saturation, steady]


async def _naive(bench: Bench, console: Console, *, stored: int) -> Measurement:
    """The same programs, told by setting to take one message a transaction and to commit each offset."""
    with console.status("One message at a time"):
        await asyncio.to_thread(bench.stop_services)
        await asyncio.to_thread(bench.start_services, ONE_BY_ONE)
        naive = await measure(bench, "naive", count=NAIVE, connections=8, stored=stored)
        await asyncio.to_thread(bench.stop_services)
        await asyncio.to_thread(bench.start_services, {})
        return naive


async def _store(bench: Bench, stored: int) -> None:
    await asyncio.to_thread(bench.stop_services)
    connection = await asyncpg.connect(bench.platform.database_url("approval"))
    try:
        originals = [r["id"] for r in await connection.fetch("SELECT id FROM application ORDER BY id LIMIT 100")]
    finally:
        await connection.close()
    await fill(bench, originals, stored)
    await asyncio.to_thread(bench.start_services, {})


def show_or_dump(measurements: Sequence[Measurement], console: Console, *, as_json: bool) -> None:
    """The tables for a person, or JSON for a machine."""
    if as_json:
        print(report.as_json(measurements))
    else:
        report.show(measurements, console)
