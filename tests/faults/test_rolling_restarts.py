"""Processes are replaced one after the other while residents apply and look: nobody notices, and nothing is lost.

Also: two processes of one department on one SQLite file share its work.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from uuid import UUID

import httpx
import psycopg
import pytest
import pytest_asyncio
from yijian_chaos.stage import Stage
from yijian_embedded.home import CHECKOUT
from yijian_messaging.testing import wait_until

from tests.faults.crowd import Crowd, exits, standard_families

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

STOPPED_WITHIN_S = 15
COMPLETED_WITHIN_S = 400
FIRST, LAST = 101, 2_500


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    """Two of each of approval's roles, and two of public security."""
    made = Stage(CHECKOUT / ".yijian" / "test" / "stage", families=LAST, wired=False)
    try:
        await made.up()
        yield made
    finally:
        await made.down()


@pytest.fixture(scope="module")
def families() -> Iterator[int]:
    return standard_families(FIRST, LAST)


async def granted(stage: Stage, accepted: dict[UUID, str]) -> None:
    """Everything that was accepted gets everything."""
    url = stage.platform.database_url("approval")

    async def nothing_waits() -> bool:
        with psycopg.connect(url) as approval:
            rows = approval.execute(
                "SELECT status, state::jsonb ->> 'outcome', count(*) FROM application WHERE id = ANY(%s) GROUP BY 1, 2",
                [list(accepted)],
            ).fetchall()
        return rows == [("COMPLETED", "ALL_GRANTED", len(accepted))]

    await wait_until(nothing_waits, what="everything accepted to be granted", within=COMPLETED_WITHIN_S)


async def completed(stage: Stage, accepted: dict[UUID, str]) -> None:
    """Everything that was accepted gets everything, once; nobody applies any more."""
    await granted(stage, accepted)
    mothers = list(accepted.values())
    assert len(set(mothers)) == len(mothers)
    with psycopg.connect(stage.platform.database_url("approval")) as approval:
        found = approval.execute("SELECT count(*) FROM application").fetchall()
    assert registrations(stage) == found[0][0]


def registrations(stage: Stage) -> int:
    """How many newborns public security has entered."""
    store = stage.platform.home.department_store("public-security")
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=10)) as db:
        count: int = db.execute("SELECT count(*) FROM registration WHERE task_id IS NOT NULL").fetchone()[0]
    return count


async def roll(stage: Stage, rounds: int) -> None:
    """Replace API, worker and relay of one number, then those of the other, so many times in all."""
    for turn in range(rounds):
        names = [f"approval-{role}-{turn % 2 + 1}" for role in ("api", "worker", "relay")]
        assert await asyncio.to_thread(exits, stage, names, within_s=STOPPED_WITHIN_S) == [0, 0, 0]
        for name in names:
            await asyncio.to_thread(stage.start, name, wait=False)
        await stage.ready()


@pytest.mark.parametrize(
    "rounds", [3, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])], ids=["3", "50"]
)
async def test_no_request_in_flight_fails(stage: Stage, families: Iterator[int], rounds: int):
    crowd = Crowd(stage, families)
    async with crowd.at_work():
        await crowd.more_accepted(3)
        await roll(stage, rounds)
        await crowd.more_accepted(3)
    assert crowd.unanswered == {}, crowd.outcomes
    await completed(stage, crowd.accepted)


async def test_processes_end_in_time_with_kafka_down(stage: Stage, families: Iterator[int]):
    crowd = Crowd(stage, families, readers=2)
    names = ["approval-api-1", "approval-worker-1", "approval-relay-1", "public-security-1", "data-exchange", "rating"]
    async with crowd.at_work():
        await crowd.more_accepted(3)
        stage.kill("kafka-1")
        await crowd.more_accepted(3)
        began = time.monotonic()
        assert await asyncio.to_thread(exits, stage, names, within_s=STOPPED_WITHIN_S) == [0] * len(names)
        assert time.monotonic() - began < STOPPED_WITHIN_S
        for name in ("kafka-1", *names):
            await asyncio.to_thread(stage.start, name, wait=False)
    await stage.ready()
    assert crowd.unanswered == {}, crowd.outcomes
    await completed(stage, crowd.accepted)


async def test_two_processes_of_a_department_share_its_work_and_each_goes_on_alone(
    stage: Stage, families: Iterator[int]
):
    crowd = Crowd(stage, families, readers=0, rate=8)
    both = ("public-security-1", "public-security-2")
    async with crowd.at_work():

        async def both_have_decided() -> bool:
            return all([await decided(stage, name) for name in both])

        await wait_until(both_have_decided, what="both to have decided something", within=60)
        for name in both:
            stage.kill(name)
            await crowd.more_accepted(10)
            await granted(stage, dict(crowd.accepted))
            await asyncio.to_thread(stage.start, name)
    assert crowd.unanswered == {}, crowd.outcomes
    await completed(stage, crowd.accepted)


async def decided(stage: Stage, name: str) -> float:
    """How many tasks this process has decided since it started."""
    async with httpx.AsyncClient(trust_env=False) as http:
        metrics = (await http.get(f"{stage.url(name)}/metrics")).text
    lines = [line for line in metrics.splitlines() if line.startswith("yijian_department_tasks_total{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)
