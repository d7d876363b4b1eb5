"""The two loads that every size is measured under: as much as it takes, and five a second."""

from rich.console import Console

from yijian_bench.measure import Measurement, measure
from yijian_bench.plan import STEADY_RATE, Plan
from yijian_bench.platform import Bench
from yijian_bench.report import SATURATION, STEADY

STEADY_CONNECTIONS = 8


async def warm_up(bench: Bench, plan: Plan, count: int, console: Console) -> None:
    with console.status("Warming up"):
        await measure(bench, "warm-up", count=count, connections=plan.connections)


async def saturate(bench: Bench, plan: Plan, console: Console, *, stored: int) -> Measurement:
    """As many connections as are enough for the pipeline to have always something to do."""
    with console.status(f"Saturation, {stored:,} stored"):
        return await measure(bench, SATURATION, count=plan.applications, connections=plan.connections, stored=stored)


async def load_steadily(bench: Bench, plan: Plan, console: Console, *, stored: int) -> Measurement:
    """So few that nobody waits for anybody else."""
    with console.status(f"{STEADY.capitalize()}, {stored:,} stored"):
        count = plan.steady_applications
        return await measure(
            bench, STEADY, count=count, connections=STEADY_CONNECTIONS, rate=STEADY_RATE, stored=stored
        )
