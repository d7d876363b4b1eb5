"""Clients against servers that misbehave: the load goes on, every key is decided, and the history tells it all."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest
from yijian_chaos import client
from yijian_chaos.client import Addresses, Clients
from yijian_chaos.history import Attempt, History, Kind, Phase, read
from yijian_chaos.operations import Operation, Story, Wish
from yijian_chaos.people import People

from .pretence import Pretence, Say, Seen, application_of, well

TODAY = date(2026, 11, 21)
FAMILY = 130


class World:
    """Two approvals, identity, data-exchange, and clients of theirs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen: list[Seen] = []
        names = ("approval-api-1", "approval-api-2", "data-exchange", "identity")
        self.servers = {name: Pretence(name, self.seen, well) for name in names}

    def clients(self, history: History) -> Clients:
        urls = {name: server.url for name, server in self.servers.items()}
        addresses = Addresses(
            approval={name: urls[name] for name in ("approval-api-1", "approval-api-2")},
            data_exchange=urls["data-exchange"],
            identity=urls["identity"],
        )
        return Clients(addresses, People(urls["identity"]), history, today=TODAY, seed=1)

    def attempts(self, kind: Kind = Kind.SUBMIT) -> list[Attempt]:
        return [attempt for attempt in read(self.path) if attempt.call.kind is kind]

    def submitted(self) -> list[Seen]:
        return [request for request in self.seen if (request.method, request.path) == ("POST", "/v1/applications")]


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(client, "ANSWER_WITHIN_S", 0.5)
    monkeypatch.setattr(client, "LOOK_WITHIN_S", 0.5)
    made = World(tmp_path / "history.jsonl")
    for server in made.servers.values():
        await server.start()
    yield made
    for server in made.servers.values():
        await server.stop()


def phases(attempts: list[Attempt]) -> list[Phase]:
    return [attempt.phase for attempt in attempts]


async def test_a_time_out_is_asked_again_with_the_same_key_and_body_at_the_other_address(world: World):
    world.servers["approval-api-1"].behave = lambda _: None
    async with History(world.path) as history:
        accepted = await world.clients(history).apply(FAMILY)

    first, second = world.submitted()
    assert (first.server, second.server) == ("approval-api-1", "approval-api-2")
    assert (first.key, first.body) == (second.key, second.body)
    assert accepted == application_of(first)
    attempts = world.attempts()
    assert phases(attempts) == [Phase.INFO, Phase.OK]
    assert [attempt.call.retry_of for attempt in attempts] == [None, attempts[0].op]
    assert attempts[0].call.digest == attempts[1].call.digest


async def test_a_connection_refused_goes_to_the_other_address_and_was_certainly_not_done(world: World):
    await world.servers["approval-api-1"].stop()
    async with History(world.path) as history:
        assert await world.clients(history).apply(FAMILY) is not None
    await world.servers["approval-api-1"].start()

    assert phases(world.attempts()) == [Phase.FAIL, Phase.OK]
    assert [request.server for request in world.submitted()] == ["approval-api-2"]


async def test_busy_servers_are_asked_until_one_accepts(world: World):
    answers = iter([503, 503, 503])

    def busy(request: Seen) -> Say:
        status = next(answers, None)
        return (status, {"type": "/problems/service-unavailable"}) if status else well(request)

    for name in ("approval-api-1", "approval-api-2"):
        world.servers[name].behave = busy
    async with History(world.path) as history:
        assert await world.clients(history).apply(FAMILY) is not None

    assert phases(world.attempts()) == [Phase.FAIL] * 3 + [Phase.OK]
    assert len({request.key for request in world.submitted()}) == 1


async def test_a_refusal_is_the_end_of_it(world: World):
    for name in ("approval-api-1", "approval-api-2"):
        world.servers[name].behave = lambda _: (422, {"type": "/problems/form-refused"})
    async with History(world.path) as history:
        assert await world.clients(history).apply(FAMILY) is None

    assert phases(world.attempts()) == [Phase.FAIL]


async def test_whatever_was_in_doubt_is_asked_once_more_in_the_end(world: World):
    silent = iter([None])

    def silent_once(request: Seen) -> Say:
        return next(silent, well(request))

    world.servers["approval-api-1"].behave = silent_once
    async with History(world.path) as history:
        clients = world.clients(history)
        accepted = await clients.apply(FAMILY)
        await clients.apply(FAMILY + 1)
        assert await clients.drain(within_s=5) == 0

    doubtful = [attempt for attempt in world.attempts() if attempt.call.actor == f"mother-{FAMILY:06}"]
    assert phases(doubtful) == [Phase.INFO, Phase.OK, Phase.OK]
    assert [attempt.call.deliberate for attempt in doubtful] == [False, False, True]
    assert {attempt.ending.application for attempt in doubtful[1:] if attempt.ending} == {accepted}
    assert len(world.attempts()) == 4, "nobody asks again about what was never in doubt"


async def test_what_nobody_decides_is_given_up_in_the_end_and_counted(world: World):
    for name in ("approval-api-1", "approval-api-2"):
        world.servers[name].behave = lambda _: None
    async with History(world.path) as history:
        clients = world.clients(history)
        clients.begin(clients.probe(FAMILY))
        assert await clients.drain(within_s=1.5) == 1

    assert set(phases(world.attempts())) == {Phase.INFO}


async def test_slow_answers_hold_up_no_other_operation(world: World):
    for name in ("approval-api-1", "approval-api-2"):
        world.servers[name].behave = lambda _: None
    plan = [Operation(n / 20, Wish.SUBMIT, FAMILY + n, Story.PLAIN, n % 2) for n in range(10)]
    async with History(world.path) as history:
        clients = world.clients(history)
        begins = time.monotonic() + 0.5
        await clients.run(plan, begins_at=begins)
        await asyncio.sleep(0.2)
        began = [attempt for attempt in world.attempts() if attempt.call.retry_of is None]
        await clients.stop()

    assert len(began) == 10, "all began although none was answered"


async def test_a_token_that_is_not_good_any_more_is_replaced(world: World):
    bad = iter([(401, {"type": "/problems/unauthenticated"})])
    for name in ("approval-api-1", "approval-api-2"):
        world.servers[name].behave = lambda request: next(bad, well(request))
    async with History(world.path) as history:
        assert await world.clients(history).apply(FAMILY) is not None

    tokens = [request for request in world.seen if request.path == "/dev/token"]
    assert len(tokens) == 2


async def test_identity_away_delays_and_leaves_nothing_in_the_history(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("yijian_chaos.people.ASK_AGAIN_AFTER_S", 0.05)
    answers = iter([(503, {}), (500, {})])
    world.servers["identity"].behave = lambda request: next(answers, well(request))
    async with History(world.path) as history:
        clients = world.clients(history)
        assert await clients.apply(FAMILY) is not None

    assert clients.people.waits.unanswered == 2
    assert phases(world.attempts()) == [Phase.OK]
