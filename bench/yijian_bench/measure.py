"""One measurement: submit, wait until everything is completed, and read off the database what it took."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg

from yijian_bench.platform import Bench

GIVE_UP_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a run took: seconds from sending to completion, and applications per second from the first one sent to the
    last one completed (or accepted), start and stragglers included.
    """

    name: str
    stored: int
    applications: int
    completed_per_second: float
    accepted_per_second: float
    p50: float
    p95: float
    p99: float
    accept_p99: float
    beside: int | None = None
    cpu_ms_per_application: dict[str, float] = field(default_factory=dict)
    memory_mb: dict[str, float] = field(default_factory=dict)


async def measure(
    bench: Bench, name: str, *, count: int, connections: int, rate: float | None = None, stored: int = 0
) -> Measurement:
    """Submit `count` applications and wait for all of them. Raises if one is refused or not granted in full."""
    first = bench.take_families(count)
    tokens, words = await bench.tokens(first, count), await bench.authorisations(first, count)
    before = bench.cpu_seconds()
    sent = await asyncio.to_thread(bench.submit, first, tokens, words, connections=connections, rate=rate)
    refused = [line for line in sent if line["status"] != 202]
    if refused:
        raise RuntimeError(f"{len(refused)} of {count} applications were refused, the first with {refused[0]}")
    ids = [UUID(str(line["id"])) for line in sent]
    completed = await _completions(bench, ids)
    after = bench.cpu_seconds()
    return summarise(
        name,
        sent,
        {str(identity): moment for identity, moment in completed.items()},
        cpu={process: after[process] - before[process] for process in after},
        stored=stored,
        memory_mb=bench.memory_mb(),
    )


def summarise(
    name: str,
    sent: Sequence[Mapping[str, object]],
    completed: Mapping[str, float],
    *,
    cpu: Mapping[str, float],
    stored: int = 0,
    memory_mb: Mapping[str, float] | None = None,
) -> Measurement:
    """What the load's lines, the moments of completion by id and the CPU seconds by process come to."""
    count = len(sent)
    began = min(float(str(line["sent"])) for line in sent)
    last = max(completed[str(line["id"])] for line in sent)
    latencies = sorted(completed[str(line["id"])] - float(str(line["sent"])) for line in sent)
    answers = sorted(float(str(line["answered"])) - float(str(line["sent"])) for line in sent)
    return Measurement(
        name=name,
        stored=stored,
        applications=count,
        completed_per_second=count / (last - began),
        accepted_per_second=count / (max(float(str(line["answered"])) for line in sent) - began),
        p50=percentile(latencies, 50),
        p95=percentile(latencies, 95),
        p99=percentile(latencies, 99),
        accept_p99=percentile(answers, 99),
        cpu_ms_per_application={process: seconds / count * 1000 for process, seconds in cpu.items()},
        memory_mb=dict(memory_mb or {}),
    )


async def _completions(bench: Bench, ids: Sequence[UUID]) -> dict[UUID, float]:
    """When each application was completed, as the database says it. Waits for the last one."""
    connection = await asyncpg.connect(bench.platform.database_url("approval"))
    try:
        deadline = time.monotonic() + GIVE_UP_SECONDS
        waiting = "SELECT count(*) FROM application WHERE id = ANY($1) AND status = 'IN_PROGRESS'"
        while open_ones := await connection.fetchval(waiting, ids):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{open_ones} of {len(ids)} applications are not completed")
            await asyncio.sleep(0.5)
        rows = await connection.fetch("SELECT id, state FROM application WHERE id = ANY($1)", ids)
    finally:
        await connection.close()
    completed = {}
    for row in rows:
        state = json.loads(row["state"])
        if state["outcome"] != "ALL_GRANTED":
            raise RuntimeError(
                f"application {row['id']} ended with {state['outcome']}: the run does not measure births"
            )
        completed[row["id"]] = datetime.fromisoformat(state["completed_at"]).timestamp()
    return completed


def percentile(ordered: Sequence[float], percent: float) -> float:
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]
