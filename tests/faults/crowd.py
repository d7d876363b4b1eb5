"""Residents who apply and look while processes come and go, and what each of their requests came to.

A request on a connection that somebody took is in flight: it has to be answered. Only who is refused asks elsewhere, or
who has let a kept connection lie for longer than a server that ends waits for another request (RFC 9112 §9.5).
"""

import asyncio
import itertools
import json
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import httpx
from yijian_chaos.people import People
from yijian_chaos.stage import Stage
from yijian_common.http_server import LINGER_SECONDS
from yijian_examples.forms import form_of
from yijian_examples.population import family
from yijian_messaging.testing import wait_until

ANSWERED_WITHIN_S = 15
NOBODY_THERE_S = 0.1
ACCEPTED_WITHIN_S = 60
GIVE_UP_AFTER = 300


@dataclass
class Visit:
    """What one resident asks, one request after the other, and when each address last answered on a kept connection."""

    ask: Callable[[str], Awaitable[httpx.Response]]
    answered: dict[str, float] = field(default_factory=dict)


class Crowd:
    """`readers` look again and again, each on a connection that it keeps; `rate` families apply every second."""

    def __init__(self, stage: Stage, families: Iterator[int], *, readers: int = 6, rate: float = 4.0) -> None:
        self.outcomes: Counter[str] = Counter()
        self.accepted: dict[UUID, str] = {}
        self._stage = stage
        self._families = families
        self._people = People(stage.url("identity"))
        self._addresses = itertools.cycle(stage.approval_urls)
        self._readers = readers
        self._rate = rate
        self._stopping = asyncio.Event()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """They come when this is entered, and on leaving those who are there are waited for."""
        tasks = [asyncio.create_task(self._apply()), *(asyncio.create_task(self._look()) for _ in range(self._readers))]
        try:
            yield
        finally:
            self._stopping.set()
            await asyncio.gather(*tasks)

    async def more_accepted(self, count: int) -> None:
        """Wait until so many more families have been accepted."""
        wanted = len(self.accepted) + count

        async def accepted() -> bool:
            return len(self.accepted) >= wanted

        await wait_until(accepted, what=f"{count} more applications to be accepted", within=ACCEPTED_WITHIN_S)

    @property
    def unanswered(self) -> dict[str, int]:
        """What in-flight requests came to that is neither an answer nor a refused connection, by kind."""
        fine = ("refused", "had lain too long", "200", "202")
        return {what: n for what, n in self.outcomes.items() if what not in fine}

    async def _apply(self) -> None:
        applying: set[asyncio.Task[None]] = set()
        while not self._stopping.is_set():
            applying.add(asyncio.create_task(self._apply_once(next(self._families))))
            await asyncio.sleep(1 / self._rate)
        await asyncio.gather(*applying)

    async def _apply_once(self, number: int) -> None:
        mother, father = f"mother-{number:06}", f"father-{number:06}"
        word = await self._people.word(father, mother)
        form = form_of(family(number, today=self._stage.today))
        body = json.dumps({"life_event": "birth", "form": form, "authorisations": [word]}, ensure_ascii=False).encode()
        headers = await self._headers(mother) | {"Idempotency-Key": uuid4().hex, "Content-Type": "application/json"}
        async with _client() as http:
            visit = Visit(lambda url: http.post(f"{url}/v1/applications", content=body, headers=headers))
            answer = await self._ask(visit)
        if answer is not None and answer.status_code == 202:
            self.accepted[UUID(answer.json()["id"])] = mother

    async def _look(self) -> None:
        async with _client() as http:

            async def look(url: str) -> httpx.Response:
                # Fifty replacements take longer than a token lasts.
                return await http.get(f"{url}/v1/applications", headers=await self._headers("mother-000101"))

            visit = Visit(look)
            while not self._stopping.is_set():
                await self._ask(visit)
                await asyncio.sleep(0.05)

    async def _ask(self, visit: "Visit") -> httpx.Response | None:
        """The answer of the first address that takes the connection; None when it took it and gave none."""
        for _ in range(GIVE_UP_AFTER):
            url = next(self._addresses)
            silent_for = time.monotonic() - visit.answered.get(url, math.inf)
            try:
                answer = await visit.ask(url)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                self.outcomes["refused"] += 1
                await asyncio.sleep(NOBODY_THERE_S)
                continue
            except httpx.HTTPError as error:
                if silent_for > LINGER_SECONDS and isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
                    self.outcomes["had lain too long"] += 1
                    continue
                self.outcomes[f"{type(error).__name__} after {silent_for:.1f} s"] += 1
                return None
            visit.answered[url] = time.monotonic()
            self.outcomes[str(answer.status_code)] += 1
            return answer
        raise AssertionError("nobody takes a connection")

    async def _headers(self, mother: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {await self._people.token(mother)}"}


def _client() -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=8, keepalive_expiry=60)
    return httpx.AsyncClient(trust_env=False, limits=limits, timeout=httpx.Timeout(ANSWERED_WITHIN_S, connect=3))


def standard_families(first: int, last: int) -> Iterator[int]:
    """Families whose births are all alike: none that is exempt from the contribution."""
    return (number for number in range(first, last + 1) if number % 20)


def exits(stage: Stage, names: Sequence[str], *, within_s: float) -> list[int | None]:
    """Ask these to end together; their exit codes. Raises `psutil.TimeoutExpired` when one takes too long."""
    running = [process for name in names if (process := stage.process(name))]
    assert len(running) == len(names)
    for process in running:
        process.terminate()
    return [process.wait(within_s) for process in running]
