"""The load, a process of its own: submits applications of fictitious families and says what became of each.

    python -m yijian_bench.load < order.json > sent.jsonl

The order names the approval URL, the tokens by family, and either a number of connections that submit as fast as they
are answered (saturation) or a rate per second (steady, open loop: a slow answer does not slow the next one down).
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from uuid import uuid4

import uvloop
from yijian_examples.forms import form_of
from yijian_examples.population import family

from yijian_bench.http_client import Connection


@dataclass(frozen=True, slots=True)
class Order:
    """What to submit: families `first` to `first + count - 1`; `tokens` and `authorisations` in the same order.

    `today` is the day, YYYY-MM-DD, of which the bureaus' records of these families are.
    """

    url: str
    first: int
    count: int
    tokens: list[str]
    authorisations: list[str]
    connections: int
    rate: float | None
    today: str


def requests(order: Order) -> Iterator[tuple[bytes, dict[str, str]]]:
    """Body and headers of each application."""
    today = date.fromisoformat(order.today)
    for offset, (token, word) in enumerate(zip(order.tokens, order.authorisations, strict=True)):
        form = form_of(family(order.first + offset, today=today))
        application = {"life_event": "birth", "form": form, "authorisations": [word]}
        body = json.dumps(application, ensure_ascii=False).encode()
        yield body, {"Authorization": f"Bearer {token}", "Idempotency-Key": uuid4().hex}


async def _submit(connection: Connection, body: bytes, headers: dict[str, str]) -> None:
    while True:
        sent = time.time()
        answer = await connection.post("/v1/applications", body, headers)
        if answer.status != 503:
            break
        # Told to come back later: the same request, the same key.
        await asyncio.sleep(random.uniform(0.1, 0.5))  # noqa: S311 - jitter
    said = answer.json()
    line = {"sent": sent, "answered": time.time(), "status": answer.status, "id": said.get("id")}
    if answer.status != 202:
        line["problem"] = said
    sys.stdout.write(json.dumps(line) + "\n")


async def _saturate(order: Order) -> None:
    # Made beforehand: what is measured is the platform's work, not the making of forms.
    waiting = list(requests(order))
    waiting.reverse()

    async def work() -> None:
        connection = Connection(order.url)
        while waiting:
            await _submit(connection, *waiting.pop())
        await connection.close()

    await asyncio.gather(*(work() for _ in range(order.connections)))


async def _steady(order: Order, rate: float) -> None:
    idle = [Connection(order.url) for _ in range(order.connections)]
    start = time.monotonic()
    tasks = []

    async def one(body: bytes, headers: dict[str, str]) -> None:
        connection = idle.pop() if idle else Connection(order.url)
        await _submit(connection, body, headers)
        idle.append(connection)

    for number, (body, headers) in enumerate(list(requests(order))):
        await asyncio.sleep(max(0.0, start + number / rate - time.monotonic()))
        tasks.append(asyncio.create_task(one(body, headers)))
    await asyncio.gather(*tasks)


async def main() -> None:
    order = Order(**json.load(sys.stdin))
    await (_saturate(order) if order.rate is None else _steady(order, order.rate))
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main())
