"""Twice what the platform can take, for minutes: who is answered how and how soon, what grows, and what completes."""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import asyncpg
from rich.console import Console
from rich.table import Table

from yijian_bench.measure import measure, percentile
from yijian_bench.platform import Bench
from yijian_bench.pressure import Pressure
from yijian_bench.report import SATURATION

WARM_UP = 100
CONNECTIONS = 48
TIMES = 2.0
# So many may be accepted a second before families run out; the two cores that this was written on accept about 120.
MOST_ACCEPTED_PER_SECOND = 160
SAMPLE_SECONDS = 2.0
LEAST_DRAIN_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Plan:
    """`applications` measure what saturates the platform; then twice as many arrive for `seconds`."""

    seconds: float = 300.0
    applications: int = 1000

    @property
    def families(self) -> int:
        return WARM_UP + self.applications + self.pressing_families

    @property
    def pressing_families(self) -> int:
        return round(self.seconds * MOST_ACCEPTED_PER_SECOND)


@dataclass(frozen=True, slots=True)
class Overload:
    """What became of it. Times are seconds, memory is MB of resident memory.

    `memory_mb` are by process the mean of the second fifth of the time and of the last: what grows without bound grows
    between them. `statuses` counts the answers, 0 being none; `without_retry_after` are the refusals that do not say
    when to come back. `completed` of the accepted applications were granted in full when the drain ended.
    """

    saturation_per_second: float
    offered_per_second: float
    seconds: float
    statuses: Mapping[int, int]
    without_retry_after: int
    p50: float
    p99: float
    longest: float
    accepted: int
    completed: int
    drained_after: float
    memory_mb: Mapping[str, tuple[float, float]]

    @property
    def accepted_per_second(self) -> float:
        return self.accepted / self.seconds


async def run(folder: Path, plan: Plan, console: Console) -> Overload:
    """Bring a platform up in `folder`, find out what saturates it, press twice as hard, and take it down."""
    bench = Bench(folder, plan.families)
    try:
        with console.status("Starting the platform"):
            await asyncio.to_thread(bench.up)
        with console.status("Warming up"):
            await measure(bench, "warm-up", count=WARM_UP, connections=8)
        with console.status("Saturation"):
            saturated = await measure(bench, SATURATION, count=plan.applications, connections=CONNECTIONS)
        with console.status(f"Twice as many for {plan.seconds:.0f} s"):
            return await press(bench, plan, saturated.completed_per_second)
    finally:
        with console.status("Stopping the platform"):
            await asyncio.to_thread(bench.down)


async def press(bench: Bench, plan: Plan, saturation: float) -> Overload:
    """The overload itself, and the wait until what was accepted is completed."""
    first = bench.take_families(plan.pressing_families)
    order = Pressure(
        urls=[bench.platform.url("approval")],
        identity_url=bench.platform.url("identity"),
        rate=TIMES * saturation,
        seconds=plan.seconds,
        first=first,
        last=first + plan.pressing_families - 1,
        today=bench.today.isoformat(),
    )
    samples: list[Mapping[str, float]] = []
    sampling = asyncio.create_task(_sample(bench, samples))
    answers = await _answers(order)
    ended = time.monotonic()
    sampling.cancel()
    accepted = [answer["id"] for answer in answers if answer["status"] == 202]
    completed = await _drained(bench, accepted, within=max(LEAST_DRAIN_SECONDS, 2 * plan.seconds))
    waits = sorted(float(answer["seconds"]) for answer in answers)
    return Overload(
        saturation_per_second=saturation,
        offered_per_second=len(answers) / plan.seconds,
        seconds=plan.seconds,
        statuses=dict(Counter(answer["status"] for answer in answers)),
        without_retry_after=sum(answer["status"] == 503 and not answer["retry_after"] for answer in answers),
        p50=percentile(waits, 50),
        p99=percentile(waits, 99),
        longest=waits[-1],
        accepted=len(accepted),
        completed=completed,
        drained_after=time.monotonic() - ended,
        memory_mb=grown(samples or [bench.memory_mb()]),
    )


async def _answers(order: Pressure) -> list[dict[str, Any]]:
    """Run the pressure to its end; one line for each arrival."""
    command = (sys.executable, "-m", "yijian_bench.pressure")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=os.environ)
    said, _ = await process.communicate(json.dumps(asdict(order)).encode())
    if process.returncode:
        raise RuntimeError(f"the pressure ended with {process.returncode}")
    return [json.loads(line) for line in said.splitlines()]


async def _sample(bench: Bench, samples: list[Mapping[str, float]]) -> None:
    while True:
        samples.append(await asyncio.to_thread(bench.memory_mb))
        await asyncio.sleep(SAMPLE_SECONDS)


def grown(samples: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """By process, the mean of the second fifth and of the last."""
    fifth = max(1, len(samples) // 5)
    early, late = samples[fifth : 2 * fifth] or samples[:1], samples[-fifth:]
    return {name: (mean(each[name] for each in early), mean(each[name] for each in late)) for name in samples[-1]}


async def _drained(bench: Bench, accepted: Sequence[str], *, within: float) -> int:
    """Wait until everything accepted is granted in full, but no longer than that; says how many are."""
    granted = (
        "SELECT count(*) FROM application"
        " WHERE id = ANY($1::uuid[]) AND status = 'COMPLETED' AND state::jsonb ->> 'outcome' = 'ALL_GRANTED'"
    )
    open_ones = "SELECT count(*) FROM application WHERE id = ANY($1::uuid[]) AND status = 'IN_PROGRESS'"
    connection = await asyncpg.connect(bench.platform.database_url("approval"))
    try:
        deadline = time.monotonic() + within
        while await connection.fetchval(open_ones, accepted) and time.monotonic() < deadline:  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(1)
        count: int = await connection.fetchval(granted, accepted)
        return count
    finally:
        await connection.close()


def show(found: Overload, console: Console) -> None:
    """The tables for a person."""
    console.print(
        f"Saturated at {found.saturation_per_second:.1f} completed a second; {found.offered_per_second:.1f} a second"
        f" arrived for {found.seconds:.0f} s. Answers: p50 {found.p50:.2f} s, p99 {found.p99:.2f} s, longest"
        f" {found.longest:.2f} s. Of {found.accepted:,} accepted ({found.accepted_per_second:.1f} a second)"
        f" {found.completed:,} were granted in full {found.drained_after:.0f} s after the end."
        f" Refusals that do not say when to come back: {found.without_retry_after:,}."
    )
    answers = Table(title="Answers")
    for title in ("status", "answers"):
        answers.add_column(title, justify="right")
    for status, count in sorted(found.statuses.items()):
        answers.add_row(str(status) if status else "none", f"{count:,}")
    console.print(answers)
    memory = Table(title="Memory, MB")
    for title in ("process", "in the second fifth", "in the last"):
        memory.add_column(title, justify="left" if title == "process" else "right")
    for name, (early, late) in found.memory_mb.items():
        memory.add_row(name, f"{early:.0f}", f"{late:.0f}")
    console.print(memory)
