"""More load than can be taken, a process of its own: so many arrive a second, whatever became of those before.

    python -m yijian_bench.pressure < order.json > answers.jsonl

Whoever is told to come back later joins those who have yet to arrive, with the same request and the same key, so the
pressure lasts. Tokens and the other parents' words are asked for as they are needed, since none lasts for long.
"""

import asyncio
import json
import sys
import time
from collections import deque
from dataclasses import dataclass
from itertools import cycle

import uvloop

from yijian_bench.http_client import Answer, Connection
from yijian_bench.load import Order, requests

NO_ANSWER_SECONDS = 30.0
STOCK = 300
SIGNERS = 4
LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Pressure:
    """`rate` arrivals a second for `seconds`, at one after the other of `urls`: families from `first` to `last`."""

    urls: list[str]
    identity_url: str
    rate: float
    seconds: float
    first: int
    last: int
    today: str


class Arrivals:
    """Those who have yet to arrive, and the connections on which they come."""

    def __init__(self, order: Pressure) -> None:
        self._order = order
        self._waiting: deque[tuple[bytes, dict[str, str]]] = deque()
        self._families = iter(range(order.first, order.last + 1))
        self._urls = cycle(order.urls)
        self._idle: dict[str, list[Connection]] = {url: [] for url in order.urls}

    async def come(self) -> None:
        """Let them come at their moments; returns when the last one is answered."""
        signing = [asyncio.create_task(self._sign()) for _ in range(SIGNERS)]
        while len(self._waiting) < STOCK and not all(task.done() for task in signing):  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(LOOK_SECONDS)
        tasks: set[asyncio.Task[None]] = set()
        start = time.monotonic()
        for number in range(round(self._order.rate * self._order.seconds)):
            await asyncio.sleep(max(0.0, start + number / self._order.rate - time.monotonic()))
            if self._waiting:
                task = asyncio.create_task(self._one(*self._waiting.popleft()))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        for signer in signing:
            signer.cancel()
        await asyncio.gather(*tasks)

    async def _sign(self) -> None:
        """Keep some ready to arrive."""
        identity = Connection(self._order.identity_url)
        for number in self._families:
            mother, father = f"mother-{number:06}", f"father-{number:06}"
            token = await _signed(identity, "/dev/token", account=mother, audience="approval")
            word = await _signed(identity, "/dev/authorisation", account=father, actor=mother, life_event="birth")
            order = Order(
                url="",
                first=number,
                count=1,
                tokens=[token["access_token"]],
                authorisations=[word["authorisation"]],
                connections=0,
                rate=None,
                today=self._order.today,
            )
            self._waiting.extend(requests(order))
            while len(self._waiting) >= STOCK:  # noqa: ASYNC110 - the queue is others' too
                await asyncio.sleep(LOOK_SECONDS)

    async def _one(self, body: bytes, headers: dict[str, str]) -> None:
        url = next(self._urls)
        connection = self._idle[url].pop() if self._idle[url] else Connection(url)
        came = time.time()
        try:
            async with asyncio.timeout(NO_ANSWER_SECONDS):
                answer = await connection.post("/v1/applications", body, headers)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            await connection.close()
            _say(came, status=0, problem=type(error).__name__)
            return
        self._idle[url].append(connection)
        if answer.status == 503:
            self._waiting.append((body, headers))
        _say(came, status=answer.status, **_about(answer))


async def _signed(identity: Connection, path: str, **wanted: str) -> dict[str, str]:
    signed: dict[str, str] = (await identity.post(path, json.dumps(wanted).encode(), {})).json()
    return signed


def _about(answer: Answer) -> dict[str, str]:
    if answer.status == 202:
        return {"id": answer.json()["id"]}
    return {"retry_after": answer.retry_after, "problem": str(answer.json().get("type", ""))}


def _say(came: float, *, status: int, **more: str) -> None:
    sys.stdout.write(json.dumps({"at": came, "seconds": time.time() - came, "status": status, **more}) + "\n")


async def main() -> None:
    await Arrivals(Pressure(**json.load(sys.stdin))).come()
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main())
