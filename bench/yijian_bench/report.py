"""The results as tables, and as JSON for a machine."""

import json
import os
import platform as machine
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from statistics import geometric_mean, mean

import psutil
from rich.console import Console
from rich.table import Table
from yijian_contracts.departments import departments

from yijian_bench.measure import Measurement
from yijian_bench.reading import Reading
from yijian_bench.sizes import Size

PARTS = ("kafka", "postgres", "approval", "departments", "data-exchange", "identity")
REST = "rating, witness"
SATURATION, STEADY, FLOOR, NAIVE = "saturation", "steady 5/s", "floor", "naive"
ONE, TWO, BOTH = "one worker", "two workers", "two workers and relays"
"""What replicas are measured under, each several times."""


@dataclass(slots=True)
class Results:
    """All that one run found out; `sizes` are those at its end."""

    measurements: list[Measurement] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    sizes: list[Size] = field(default_factory=list)

    def add(self, found: Measurement | Reading) -> None:
        if isinstance(found, Reading):
            self.readings.append(found)
        else:
            self.measurements.append(found)


def as_json(results: Results) -> str:
    """Everything measured, with the machine it was measured on."""
    return json.dumps({"machine": _machine(), **asdict(results)}, indent=2)


def line(found: Measurement | Reading) -> str:
    """One figure, for whoever watches."""
    if isinstance(found, Reading):
        return f"{found.name}, {found.stored:,} stored: p50 {found.p50 * 1000:.1f} ms, p99 {found.p99 * 1000:.1f} ms"
    return (
        f"{found.name}, {_stored(found)} stored: {found.completed_per_second:.1f} a second, p95 {found.p95:.3f} s,"
        f" {sum(found.cpu_ms_per_application.values()):.1f} ms CPU an application"
    )


def _stored(found: Measurement) -> str:
    beside = "" if found.beside is None else f" (beside {found.beside:,})"
    return f"{found.stored:,}{beside}"


def _machine() -> dict[str, object]:
    return {
        "cpus": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": f"{machine.system()} {machine.machine()}",
        "python": machine.python_version(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def show(results: Results, console: Console) -> None:
    """How fast, what it costs, how long readers wait, and what is stored."""
    measurements = results.measurements
    console.print(f"\n{_machine()}\n")
    speed = Table(title="Applications per second, and seconds from submitting to completion")
    for column in (
        "run",
        "stored before",
        "applications",
        "completed/s",
        "accepted/s",
        "p50",
        "p95",
        "p99",
        "accept p99",
    ):
        speed.add_column(column, justify="right" if column != "run" else "left")
    for m in measurements:
        speed.add_row(
            m.name,
            _stored(m),
            f"{m.applications:,}",
            f"{m.completed_per_second:.1f}",
            f"{m.accepted_per_second:.1f}",
            *(f"{seconds:.3f}" for seconds in (m.p50, m.p95, m.p99, m.accept_p99)),
        )
    console.print(speed)
    _show_cost(measurements, console)
    _compare(measurements, console)
    _show_readings(results.readings, console)
    _show_memory(measurements, console)
    _show_sizes(results.sizes, console)


def _show_cost(measurements: Sequence[Measurement], console: Console) -> None:
    """What each took of the processors; departments and the smallest services together, `--json` has each."""
    table = Table(title="CPU milliseconds per application")
    for column in ("run", "stored", *PARTS, REST, "all"):
        table.add_column(column, justify="right" if column != "run" else "left")
    for m in measurements:
        parts = _parts(m.cpu_ms_per_application)
        table.add_row(m.name, _stored(m), *(f"{parts[name]:.1f}" for name in (*PARTS, REST, "all")))
    console.print(table)


def _parts(by_process: Mapping[str, float]) -> dict[str, float]:
    known = {name: by_process.get(name, 0.0) for name in PARTS}
    known["departments"] = sum(by_process.get(name, 0.0) for name in departments())
    whole = sum(by_process.values())
    return known | {REST: whole - sum(known.values()), "all": whole}


def _show_readings(readings: Sequence[Reading], console: Console) -> None:
    table = Table(title="Milliseconds from asking to the whole answer")
    table.add_column("question")
    for column in ("stored", "asked", "p50", "p95", "p99", "slowest"):
        table.add_column(column, justify="right")
    for r in readings:
        times = (f"{seconds * 1000:.1f}" for seconds in (r.p50, r.p95, r.p99, r.slowest))
        table.add_row(r.name, f"{r.stored:,}", f"{r.questions:,}", *times)
    console.print(table)


def _show_memory(measurements: Sequence[Measurement], console: Console) -> None:
    """What each process holds after the load, at each size."""
    after = {m.stored: m.memory_mb for m in measurements if m.name == SATURATION}
    table = Table(title="Resident memory after the last saturation, MB")
    table.add_column("process")
    for stored in after:
        table.add_column(f"{stored:,} stored", justify="right")
    for name in sorted({name for memory in after.values() for name in memory}):
        table.add_row(name, *(f"{memory.get(name, 0):.0f}" for memory in after.values()))
    console.print(table)


def _show_sizes(sizes: Sequence[Size], console: Console) -> None:
    table = Table(title="On the disk at the end, with most stored")
    table.add_column("table")
    for column in ("rows", "table MB", "indexes MB"):
        table.add_column(column, justify="right")
    for size in sizes:
        megabytes = (f"{part / 1e6:,.0f}" for part in (size.table_bytes, size.index_bytes))
        table.add_row(f"{size.service} {size.table}", f"{size.rows:,}", *megabytes)
    table.add_section()
    table.add_row(
        "all", "", f"{sum(s.table_bytes for s in sizes) / 1e6:,.0f}", f"{sum(s.index_bytes for s in sizes) / 1e6:,.0f}"
    )
    console.print(table)


def _compare(measurements: Sequence[Measurement], console: Console) -> None:
    """What the figures are of each other, by the means of runs under one name."""
    alone = [m for m in measurements if m.beside is None]
    saturated, floor, naive, one, two, both = (
        _mean([m for m in alone if m.name == name]) for name in (SATURATION, FLOOR, NAIVE, ONE, TWO, BOTH)
    )
    if saturated and floor:
        console.print(f"Of the floor, the same rows and records without a meaning: {saturated / floor:.0%}.")
    if one and two and both:
        console.print(
            f"Against one worker and relay, in turn: a second worker {two / one:.0%},"
            f" a second worker and relay {both / one:.0%}."
        )
    if saturated and naive:
        console.print(f"Batches against one message at a time: {saturated / naive:.1f} times as many.")
    for growth in growths(measurements):
        console.print(growth.told())


@dataclass(frozen=True, slots=True)
class Growth:
    """What more stored rows change, each pair of turns for itself: many divided by few."""

    few: int
    many: int
    throughput: list[float]
    cpu: list[float]
    p95: dict[str, list[float]]

    def told(self) -> str:
        longer = ", ".join(f"p95 at {name} times {_spread(ratios)}" for name, ratios in self.p95.items())
        return (
            f"With {self.many:,} stored against {self.few:,}, in {len(self.throughput)} pairs of turns:"
            f" throughput times {_spread(self.throughput)}, CPU times {_spread(self.cpu)}, {longer}."
        )


def growths(measurements: Sequence[Measurement]) -> list[Growth]:
    """One for each size that was measured beside a smaller one."""
    sizes = dict.fromkeys((m.beside, m.stored) for m in measurements if m.beside is not None and m.beside < m.stored)
    return [_growth(measurements, few, many) for few, many in sizes if few is not None]


def _growth(measurements: Sequence[Measurement], few: int, many: int) -> Growth:
    def ratios(name: str, of: Callable[[Measurement], float]) -> list[float]:
        small = [of(m) for m in measurements if (m.name, m.stored, m.beside) == (name, few, many)]
        large = [of(m) for m in measurements if (m.name, m.stored, m.beside) == (name, many, few)]
        return [after / before for before, after in zip(small, large, strict=True)]

    return Growth(
        few=few,
        many=many,
        throughput=ratios(SATURATION, lambda m: m.completed_per_second),
        cpu=ratios(SATURATION, lambda m: sum(m.cpu_ms_per_application.values())),
        p95={name: ratios(name, lambda m: m.p95) for name in (SATURATION, STEADY)},
    )


def _spread(ratios: Sequence[float]) -> str:
    """The geometric mean, which treats twice and half alike, with the least and the most."""
    return f"{geometric_mean(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def _mean(measurements: Sequence[Measurement]) -> float:
    """The mean throughput; 0 where nothing was measured."""
    return mean(m.completed_per_second for m in measurements) if measurements else 0.0
