"""How long people wait who look how their application stands: few questions a second, each as if nobody else asked."""

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from yijian_bench.http_client import Connection
from yijian_bench.platform import FIRST_FAMILY, Bench

RATE = 40.0
CONNECTIONS = 4
OK, BUSY = 200, 503
PAUSE_S, PATIENCE = 0.2, 100


@dataclass(frozen=True, slots=True)
class Reading:
    """Seconds that one kind of question took, from asking to the whole answer."""

    name: str
    stored: int
    questions: int
    p50: float
    p95: float
    p99: float
    slowest: float


@dataclass(frozen=True, slots=True)
class Question:
    path: str
    token: str


async def measure_reading(
    bench: Bench, *, stored: int, seconds: float, families: int, many: Sequence[UUID]
) -> list[Reading]:
    """Where an application stands, and which ones somebody has; asked by citizens with one, and by one with `many`.

    The first family's mother is the one who has `many`, spread over all that is stored: hardly any is in memory.
    """
    tokens = await bench.tokens(FIRST_FAMILY, families)
    newest = [await _newest(bench, token) for token in tokens]
    chance = random.Random(stored)  # noqa: S311 - the same questions every time
    count = round(seconds * RATE)
    own = list(zip(tokens, newest, strict=True))[1:]
    asked = {
        "progress": [Question(f"/v1/applications/{one}", token) for token, one in chance.choices(own, k=count)],
        "list mine": [Question("/v1/applications", token) for token, _ in chance.choices(own, k=count)],
    }
    if many:
        old = chance.choices(many, k=count)
        asked["progress of an old one"] = [Question(f"/v1/applications/{one}", tokens[0]) for one in old]
        asked[f"list mine, of {len(many):,}"] = [
            Question(f"/v1/applications?cursor={one}", tokens[0]) for one in chance.choices(many, k=count)
        ]
    return [await _ask_all(bench, name, questions, stored=stored) for name, questions in asked.items()]


async def _newest(bench: Bench, token: str) -> str:
    connection = Connection(bench.platform.url("approval"))
    answer = await connection.get("/v1/applications?limit=1", _as(token))
    await connection.close()
    newest: str = answer.json()["items"][0]["id"]
    return newest


async def _ask_all(bench: Bench, name: str, questions: Sequence[Question], *, stored: int) -> Reading:
    """Open loop: a slow answer delays no other question."""
    idle = [Connection(bench.platform.url("approval")) for _ in range(CONNECTIONS)]
    start = time.monotonic()
    asking = []
    for number, question in enumerate(questions):
        await asyncio.sleep(max(0.0, start + number / RATE - time.monotonic()))
        asking.append(asyncio.create_task(_ask(bench, idle, question)))
    took = sorted(await asyncio.gather(*asking))
    for connection in idle:
        await connection.close()
    p50, p95, p99 = _percentiles(took, 50, 95, 99)
    return Reading(name, stored, len(took), p50=p50, p95=p95, p99=p99, slowest=took[-1])


async def _ask(bench: Bench, idle: list[Connection], question: Question) -> float:
    asked = time.monotonic()
    connection = idle.pop() if idle else Connection(bench.platform.url("approval"))
    for _ in range(PATIENCE):
        answer = await connection.get(question.path, _as(question.token))
        if answer.status != BUSY:
            break
        # Told to come back: the time until then is waited for as well.
        await asyncio.sleep(PAUSE_S)
    if answer.status != OK:
        raise RuntimeError(f"{question.path} was answered with {answer.status}: {answer.body[:300]!r}")
    took = time.monotonic() - asked
    idle.append(connection)
    return took


def _as(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _percentiles(ordered: Sequence[float], *percents: int) -> Iterator[float]:
    for percent in percents:
        yield ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]
