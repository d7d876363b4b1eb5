"""The results as tables, and as JSON for a machine."""

import json
import os
import platform as machine
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import psutil
from rich.console import Console
from rich.table import Table

from yijian_bench.measure import Measurement


def as_json(measurements: Sequence[Measurement]) -> str:
    """Everything measured, with the machine it was measured on."""
    return json.dumps({"machine": _machine(), "measurements": [asdict(m) for m in measurements]}, indent=2)


def _machine() -> dict[str, object]:
    return {
        "cpus": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": f"{machine.system()} {machine.machine()}",
        "python": machine.python_version(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def show(measurements: Sequence[Measurement], console: Console) -> None:
    """Two tables: how fast, and what it costs."""
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
            f"{m.stored:,}",
            f"{m.applications:,}",
            f"{m.completed_per_second:.1f}",
            f"{m.accepted_per_second:.1f}",
            *(f"{seconds:.3f}" for seconds in (m.p50, m.p95, m.p99, m.accept_p99)),
        )
    console.print(speed)
    cost = Table(title="CPU milliseconds per application, by process")
    cost.add_column("process")
    for m in measurements:
        cost.add_column(f"{m.name}\n{m.stored:,} stored", justify="right")
    names = measurements[0].cpu_ms_per_application if measurements else {}
    for name in names:
        cost.add_row(name, *(f"{m.cpu_ms_per_application[name]:.2f}" for m in measurements))
    cost.add_section()
    cost.add_row("all", *(f"{sum(m.cpu_ms_per_application.values()):.2f}" for m in measurements))
    console.print(cost)
    _compare(measurements, console)


def _compare(measurements: Sequence[Measurement], console: Console) -> None:
    saturated = next((m for m in measurements if m.name == "saturation"), None)
    naive = next((m for m in measurements if m.name == "naive"), None)
    if saturated and naive:
        ratio = saturated.completed_per_second / naive.completed_per_second
        console.print(f"Batches against one message at a time, same run: {ratio:.1f} times as many.")
