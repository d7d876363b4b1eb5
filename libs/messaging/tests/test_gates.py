"""What waits behind a gate waits alone; what has none is not held up by it, even of the same key."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asyncpg.connection import LoggedQuery
from yijian_messaging import NoSealer, Relay
from yijian_messaging.gates import GOOD_SECONDS, REMEMBERED_SECONDS, Gates
from yijian_messaging.postgres import PostgresStore
from yijian_messaging.record import Outgoing
from yijian_messaging.store import Unsent
from yijian_messaging.testing import wait_until

from .conftest import Bench
from .line import FAST, Line

ALL_SHARDS = list(range(16))


def message(number: int, *, gate: str | None = None, topic: str = "t", key: str = "k") -> Outgoing:
    value = json.dumps({"id": f"e{number}", "text": f"{number:05}"}).encode()
    return Outgoing(id=f"e{number}", topic=topic, key=key, headers={}, value=value, personal=True, gate=gate)


async def publish(bench: Bench, *messages: Outgoing) -> None:
    async with bench.store.transaction() as transaction:
        await transaction.publish(messages)


async def waiting(bench: Bench, *open_gates: str, limit: int = 10) -> list[str]:
    return [u.message.id for u in await bench.store.unsent(ALL_SHARDS, limit, open_gates=open_gates)]


async def test_a_row_behind_a_gate_is_read_only_while_that_gate_is_open(bench: Bench):
    await publish(bench, message(1, gate="consents"), message(2), message(3, gate="other"), message(4))
    assert await waiting(bench) == ["e2", "e4"]
    assert await waiting(bench, "consents") == ["e1", "e2", "e4"]
    assert await waiting(bench, "other", "unused", "consents", limit=3) == ["e1", "e2", "e3"]
    (first, *_) = await bench.store.unsent(ALL_SHARDS, 1, open_gates=["consents"])
    assert first.message == message(1, gate="consents")


async def test_rows_behind_a_closed_gate_do_not_use_up_the_places_of_others(bench: Bench):
    await publish(bench, *(message(n, gate="closed") for n in range(50)), message(50))
    assert await waiting(bench, limit=5) == ["e50"]
    assert (await bench.store.backlog())[0] == 51


async def test_rows_behind_a_gate_are_marked_taken_back_and_parked_like_others(bench: Bench):
    await bench.store.lease_shards("relay", 30)
    await publish(bench, *(message(n, gate="g", key=f"k{n}") for n in range(4)), message(4))
    sent, _, parked, *_ = await bench.store.unsent(ALL_SHARDS, 10, open_gates=["g"])
    await bench.store.mark_sent("relay", [sent])
    async with bench.store.transaction() as transaction:
        assert await transaction.cancel_unsent(["e1"]) == 1
    await bench.store.park(parked, "too large")
    assert await waiting(bench, "g") == ["e3", "e4"]

    (letter,) = await bench.store.letters()
    assert await bench.store.request_replay(letter.id, note="shortened", value=b"short")
    assert await waiting(bench, "g") == ["e2", "e3", "e4"]
    assert await waiting(bench) == ["e4"]


@pytest.mark.parametrize("bench", ["postgres"], indirect=True)
async def test_reading_does_not_pass_by_what_waits_behind_a_closed_gate(bench: Bench):
    await publish(bench, *(message(n, gate="closed") for n in range(3_000)), message(3_000))
    ran: list[LoggedQuery] = []
    async with bench.store._pool.acquire() as connection:
        with connection.query_logger(ran.append):
            store = PostgresStore(connection, sealer=NoSealer())
            assert [u.message.id for u in await store.unsent(ALL_SHARDS, 1000)] == ["e3000"]
        await asyncio.sleep(0)  # the logger is called by the loop
        (read,) = ran
        explained = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {read.query}", *read.args)
    met = [n for n in nodes(json.loads(explained)[0]["Plan"]) if n.get("Relation Name") == "outbox_unsent"]
    assert [(n["Actual Rows"], n.get("Rows Removed by Filter", 0)) for n in met] == [(1, 0)]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)


@asynccontextmanager
async def relaying(line: Line, **gates: Any) -> AsyncIterator[None]:
    """A consumer, and a relay with these gates."""
    async with line.running(relay=False):
        stopping = asyncio.Event()
        relay = Relay(store=line.bench.store, kafka=line.kafka, tuning=FAST, gates=gates)
        task = asyncio.create_task(relay.run(stopping))
        try:
            yield
        finally:
            stopping.set()
            await asyncio.wait_for(task, 15)


async def test_the_relay_holds_back_exactly_what_its_gate_holds_back(line: Line):
    opened = False

    async def gate() -> bool:
        return opened

    gated = [message(n, gate="g", topic=line.topic) for n in (1, 2)]
    unknown = message(9, gate="nobody-knows-it", topic=line.topic)
    async with relaying(line, g=gate):
        await publish(line.bench, *gated, message(3, topic=line.topic), unknown, message(4, topic=line.topic))
        await line.arrived(2)
        assert await line.bench.effects() == ["00003", "00004"]
        opened = True
        await line.arrived(4)
        await wait_until(lambda: _only(line.bench, 1), what="all but the row behind the unknown gate to be sent")
    assert await line.bench.effects() == ["00001", "00002", "00003", "00004"]
    assert await waiting(line.bench, "nobody-knows-it") == ["e9"]


async def test_a_gate_that_fails_holds_up_nobody_else(line: Line):
    asked = 0

    async def gate() -> bool:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise RuntimeError("no answer")
        return True

    async with relaying(line, g=gate):
        await publish(line.bench, message(1, gate="g", topic=line.topic), message(2, topic=line.topic))
        await line.arrived(2)
    assert asked > 1


async def test_a_gate_is_asked_again_after_a_second_and_not_before(monkeypatch: pytest.MonkeyPatch):
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    answers = iter([True, False])

    async def gate() -> bool:
        return next(answers)

    gates = Gates({"g": gate})
    assert await gates.open() == ("g",)
    now += REMEMBERED_SECONDS * 0.99
    assert await gates.open() == ("g",)
    now += REMEMBERED_SECONDS * 0.02
    assert await gates.open() == ()


async def test_an_answer_that_took_long_lets_nothing_pass(line: Line, monkeypatch: pytest.MonkeyPatch):
    """The process stood still, or the database did: what was allowed then is asked anew before anything is sent."""
    read, slow = line.bench.store.unsent, True

    async def unsent(*args: Any, **options: Any) -> list[Unsent]:
        found = await read(*args, **options)
        if slow and any(row.message.gate for row in found):
            await asyncio.sleep(GOOD_SECONDS)
        return found

    async def gate() -> bool:
        return True

    monkeypatch.setattr(line.bench.store, "unsent", unsent)
    async with relaying(line, g=gate):
        await publish(line.bench, message(1, gate="g", topic=line.topic), message(2, topic=line.topic))
        await line.arrived(1)
        await asyncio.sleep(GOOD_SECONDS)
        assert await line.bench.effects() == ["00002"]
        slow = False
        await line.arrived(2)


async def test_a_gate_without_a_name_is_refused():
    async def gate() -> bool:
        return True

    with pytest.raises(ValueError, match="name"):
        Gates({"": gate})


async def _only(bench: Bench, rows: int) -> bool:
    return (await bench.store.backlog())[0] == rows
