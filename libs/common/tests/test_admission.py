"""More requests than can be answered soon: some are let in, the others are told at once, and health is always told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from yijian_common.admission import ALWAYS, AT_ONCE, LONG_SECONDS, Admission


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Office:
    """An app whose answers wait until somebody opens the door."""

    def __init__(self) -> None:
        self.door = asyncio.Event()
        self.clock = Clock()
        self.app = FastAPI()
        self.app.add_api_route("/work", self._work)
        self.app.add_api_route("/stream", self._stream)
        self.app.add_api_route("/broken", self._broken)
        self.app.add_api_route("/readyz", self._ready)
        self.app.add_middleware(Admission, clock=self.clock)
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self._http = httpx.AsyncClient(transport=transport, base_url="http://office")

    async def _work(self) -> str:
        await self.door.wait()
        return "done"

    async def _stream(self) -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            yield "first"
            await self.door.wait()

        return StreamingResponse(lines())

    async def _broken(self) -> str:
        raise ValueError("broken")

    async def _ready(self) -> str:
        return "ready"

    async def ask(self, path: str = "/work") -> httpx.Response:
        return await self._http.get(path)

    @asynccontextmanager
    async def waiting(self, count: int, path: str = "/work") -> AsyncIterator[list["asyncio.Task[httpx.Response]"]]:
        """So many have asked and wait."""
        tasks = [asyncio.create_task(self.ask(path)) for _ in range(count)]
        for _ in range(20):
            await asyncio.sleep(0)
        yield tasks
        self.door.set()
        await asyncio.gather(*tasks)


@pytest.fixture
async def office() -> Office:
    return Office()


async def test_as_many_as_can_be_answered_soon_are_let_in_and_the_next_is_told_when_to_come_back(office: Office):
    async with office.waiting(AT_ONCE) as let_in:
        refused = await office.ask()
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert refused.headers["content-type"] == "application/problem+json"
    assert {task.result().status_code for task in let_in} == {200}
    assert (await office.ask()).status_code == 200


async def test_fewer_are_let_in_where_those_before_wait_long(office: Office):
    async with office.waiting(ALWAYS):
        office.clock.now += LONG_SECONDS + 0.01
        assert (await office.ask()).status_code == 503
        assert (await office.ask("/readyz")).status_code == 200


async def test_some_that_are_stuck_turn_nobody_away(office: Office):
    async with office.waiting(ALWAYS // 4):
        office.clock.now += 60
        async with office.waiting(ALWAYS):
            assert (await office.ask("/broken")).status_code == 500


async def test_a_stream_that_has_begun_waits_for_nothing(office: Office):
    async with office.waiting(AT_ONCE, "/stream"):
        assert (await office.ask("/broken")).status_code == 500


async def test_who_failed_waits_no_more(office: Office):
    for _ in range(AT_ONCE + 1):
        assert (await office.ask("/broken")).status_code == 500
