"""Each fault on a real stage: it truly does what it says, and afterwards everything runs again."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from uuid import uuid4

import psutil
import psycopg
import pytest
import pytest_asyncio
from confluent_kafka.admin import AdminClient
from yijian_chaos.faults import Skipped, heal, heal_everything, inject
from yijian_chaos.faults.tap import Taken, put, take_latest
from yijian_chaos.matrix import Family, FaultKind
from yijian_chaos.schedule import Planned
from yijian_chaos.stage import Stage, StageError
from yijian_contracts.cloudevents import encode
from yijian_contracts.departments import get_department
from yijian_contracts.events import TaskCancelled
from yijian_embedded.home import CHECKOUT, make_private_folder
from yijian_embedded.kafka_access import answers
from yijian_messaging.faultpoints import FaultPoint
from yijian_messaging.testing import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.asyncio(loop_scope="module")]

WITHIN_S = 180.0
TAXATION = get_department("taxation")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    folder = Path(mkdtemp(prefix="stage-", dir=make_private_folder(CHECKOUT / ".yijian" / "test")))
    made = Stage(folder, families=20, on_disks=True)
    try:
        await made.up()
        yield made
    finally:
        await made.down()


def planned(family: Family, fault: FaultKind, component: str, variant: str = "") -> Planned:
    return Planned(0, 0, 1, family.value, fault, component, variant, 60)


async def healed(stage: Stage, what: Planned) -> dict[str, Any]:
    """Heal it, twice, and wait until every process is ready."""
    detail = await heal(stage, what)
    await heal(stage, what)
    await stage.ready(within_s=WITHIN_S)
    return detail


def may_be_done(stage: Stage) -> None:
    if stage.disks.missing is not None:
        pytest.skip(stage.disks.missing)


def query(stage: Stage, statement: str) -> list[tuple[Any, ...]]:
    url = stage.platform.postgres_admin_url
    with closing(psycopg.connect(url, connect_timeout=2, autocommit=True)) as session:
        cursor = session.execute(statement)
        return cursor.fetchall() if cursor.description else []


def cancel_something(stage: Stage, count: int = 1) -> None:
    """Tell taxation of tasks that it never had: a batch to handle, and nothing comes of it."""
    records = []
    for _ in range(count):
        event = TaskCancelled(
            application_id=uuid4(),
            department="taxation",
            task_id=uuid4(),
            matter="B7",
            child=None,
            life_event="birth",
            attempt=1,
            reason="撤回",
            cancelled_at=datetime.now(UTC),
        )
        encoded = encode(event, source="approval")
        headers = tuple((name, text.encode()) for name, text in encoded.headers.items())
        records.append(Taken(0, encoded.key.encode(), encoded.value, headers))
    put(stage.platform.kafka_credentials("approval"), TAXATION.tasks_topic, records)


def letters(stage: Stage) -> set[tuple[int, int]]:
    """Where the records stood that taxation has buried: partition and offset."""
    store = stage.platform.home.department_store("taxation")
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=10)) as session:
        return set(session.execute("SELECT partition, record_offset FROM dead_letter"))


async def are_buried(stage: Stage, places: set[tuple[int, int]]) -> None:
    async def buried() -> bool:
        return places <= letters(stage)

    await wait_until(buried, what="all of it to be buried", within=WITHIN_S)


async def is_gone(stage: Stage, name: str) -> None:
    async def gone() -> bool:
        return stage.process(name) is None

    await wait_until(gone, what=f"{name} to end", within=WITHIN_S)


# --- processes -------------------------------------------------------------------------------------------------------


async def test_what_is_killed_is_gone_and_comes_back_as_another_process(stage: Stage):
    kill = planned(Family.PROCESSES, FaultKind.KILL, "rating")
    detail = await inject(stage, kill)
    assert stage.process("rating") is None
    await healed(stage, kill)
    assert stage.pid("rating") not in (None, detail["pid"])


async def test_what_is_paused_lives_and_says_nothing(stage: Stage):
    pause = planned(Family.PROCESSES, FaultKind.PAUSE, "rating")
    before = stage.pid("rating")
    await inject(stage, pause)
    process = stage.process("rating")
    assert process is not None

    async def stopped() -> bool:
        return process.status() == psutil.STATUS_STOPPED

    await wait_until(stopped, what="the process to stop", within=10)
    assert not stage.is_ready("rating")
    await healed(stage, pause)
    assert stage.pid("rating") == before


async def test_what_is_waited_for_in_vain_is_said_at_once(stage: Stage):
    kill = planned(Family.PROCESSES, FaultKind.KILL, "rating")
    await inject(stage, kill)
    with pytest.raises(StageError, match=r"not running: rating; the log of rating closes with:\n."):
        await stage.ready(within_s=WITHIN_S)
    await healed(stage, kill)


async def test_an_armed_process_dies_at_its_point_and_not_before(stage: Stage):
    point = planned(Family.PROCESSES, FaultKind.KILL_POINT, "taxation", FaultPoint.BATCH_BEFORE_COMMIT)
    await inject(stage, point)
    await stage.ready(within_s=WITHIN_S)
    cancel_something(stage)
    await is_gone(stage, "taxation")
    assert (await healed(stage, point))["reached"]


async def test_a_process_that_never_came_to_its_point_is_disarmed(stage: Stage):
    point = planned(Family.PROCESSES, FaultKind.KILL_POINT, "taxation", FaultPoint.RELAY_BEFORE_SEND)
    await inject(stage, point)
    await stage.ready(within_s=WITHIN_S)
    assert not (await healed(stage, point))["reached"]
    process = stage.process("taxation")
    assert process is not None
    assert "YIJIAN_FAULTPOINT" not in process.environ()


# --- wires -----------------------------------------------------------------------------------------------------------


def by_wire(stage: Stage) -> str:
    """Approval's database as its API dials it."""
    port = stage.wires["approval-api>postgres"].port
    return stage.platform.database_url("approval").replace(f":{stage.platform.ports['postgres']}/", f":{port}/")


async def dials(stage: Stage) -> None:
    connection = await psycopg.AsyncConnection.connect(by_wire(stage), connect_timeout=3)
    await connection.execute("SELECT 1")
    await connection.close()


@pytest.mark.parametrize("kind", [FaultKind.HANG, FaultKind.REFUSE])
async def test_who_dials_over_a_cut_wire_does_not_get_through(stage: Stage, kind: FaultKind):
    cut = planned(Family.NETWORK, kind, "approval-api>postgres")
    await dials(stage)
    assert (await inject(stage, cut))["connections"] > 0
    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError):
        await dials(stage)
    # One is told at once, the other has to give up.
    assert (time.monotonic() - began < 2) == (kind is FaultKind.REFUSE)
    await healed(stage, cut)
    await dials(stage)


async def test_over_a_slow_wire_everything_takes_its_time(stage: Stage):
    slow = planned(Family.NETWORK, FaultKind.SLOW, "approval-api>postgres")
    await inject(stage, slow)
    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError):
        # A handshake is several turns, each of them a second.
        await dials(stage)
    assert time.monotonic() - began > 2
    await healed(stage, slow)


# --- servers ---------------------------------------------------------------------------------------------------------


def kafka_answers(stage: Stage) -> bool:
    return answers(AdminClient(stage.platform.kafka_admin.client_config()))


@pytest.mark.parametrize("kind", [FaultKind.BROKER_KILL, FaultKind.BROKER_RESTART, FaultKind.BROKER_PAUSE])
async def test_a_broker_that_is_away_answers_nobody(stage: Stage, kind: FaultKind):
    away = planned(Family.KAFKA, kind, "kafka-1")
    await inject(stage, away)
    assert not await asyncio.to_thread(kafka_answers, stage)
    await healed(stage, away)
    assert await asyncio.to_thread(kafka_answers, stage)


async def test_without_a_leader_nothing_is_written(stage: Stage):
    leaderless = planned(Family.KAFKA, FaultKind.LEADERLESS, "kafka")
    assert (await inject(stage, leaderless))["brokers"] == ["kafka-1"]
    with pytest.raises(TimeoutError):
        await asyncio.to_thread(cancel_something, stage)
    await healed(stage, leaderless)
    await asyncio.to_thread(cancel_something, stage)


@pytest.mark.parametrize("kind", [FaultKind.POSTGRES_KILL, FaultKind.POSTGRES_RESTART, FaultKind.POSTGRES_PAUSE])
async def test_a_database_that_is_away_answers_nobody(stage: Stage, kind: FaultKind):
    away = planned(Family.POSTGRES, kind, "postgres")
    await inject(stage, away)
    with pytest.raises(psycopg.OperationalError):
        query(stage, "SELECT 1")
    await healed(stage, away)
    assert query(stage, "SELECT 1") == [(1,)]


# --- disks -----------------------------------------------------------------------------------------------------------


async def test_a_database_without_room_says_so_and_goes_on_when_there_is_some(stage: Stage):
    may_be_done(stage)
    query(stage, "CREATE TABLE IF NOT EXISTS filling (words text)")
    full = planned(Family.DISK, FaultKind.DISK_FULL, "postgres")
    await inject(stage, full)
    with pytest.raises(psycopg.errors.DiskFull):
        query(stage, "INSERT INTO filling SELECT repeat('x', 1000) FROM generate_series(1, 10000)")
    await healed(stage, full)
    query(stage, "INSERT INTO filling SELECT repeat('x', 1000) FROM generate_series(1, 100)")
    query(stage, "DROP TABLE filling")


async def test_a_database_whose_log_has_no_room_ends_and_recovers(stage: Stage):
    may_be_done(stage)
    full = planned(Family.DISK, FaultKind.DISK_FULL, "pg_wal")
    await inject(stage, full)
    await is_gone(stage, "postgres")
    assert (await healed(stage, full))["ended"] == ["postgres"]
    assert query(stage, "SELECT 1") == [(1,)]


async def test_a_broker_without_room_ends_and_comes_back(stage: Stage):
    may_be_done(stage)
    full = planned(Family.DISK, FaultKind.DISK_FULL, "kafka")
    await inject(stage, full)
    with pytest.raises(TimeoutError):
        await asyncio.to_thread(cancel_something, stage, 5000)
    await is_gone(stage, "kafka-1")
    assert (await healed(stage, full))["ended"] == ["kafka-1"]
    await asyncio.to_thread(cancel_something, stage)


async def test_bureaus_without_room_bury_nothing_and_go_on_when_there_is_some(stage: Stage):
    may_be_done(stage)
    full = planned(Family.DISK, FaultKind.DISK_FULL, "stores")
    await inject(stage, full)
    # More than fits into the files that the store has already.
    nonsense = [Taken(0, b"poison", b"x" * 100_000, ())] * 100
    stood = put(stage.platform.kafka_credentials("approval"), TAXATION.tasks_topic, nonsense)
    places = {(each.partition, each.offset) for each in stood}
    await asyncio.sleep(10)
    assert not places <= letters(stage)
    await healed(stage, full)
    await are_buried(stage, places)


# --- records ---------------------------------------------------------------------------------------------------------


async def test_in_a_storm_partitions_come_and_go(stage: Stage):
    storm = planned(Family.RECORDS, FaultKind.STORM, f"{TAXATION.principal}.tasks")
    await inject(stage, storm)
    await asyncio.sleep(15)
    told = await healed(stage, storm)
    assert told["joined"] >= 3
    assert told["partitions_given"] >= 1


async def test_poison_is_buried_kind_by_kind(stage: Stage):
    cancel_something(stage)
    poison = planned(Family.RECORDS, FaultKind.POISON, TAXATION.tasks_topic)
    records = (await inject(stage, poison))["records"]
    assert len(records) >= 60
    assert {record["kind"] for record in records} == {"poison"}
    await are_buried(stage, {(record["partition"], record["offset"]) for record in records})
    await healed(stage, poison)


@pytest.mark.parametrize("kind", [FaultKind.DUPLICATES, FaultKind.REORDER])
async def test_what_comes_again_is_what_was_there(stage: Stage, kind: FaultKind):
    cancel_something(stage, 100)
    again = planned(Family.RECORDS, kind, TAXATION.tasks_topic)
    records = (await inject(stage, again))["records"]
    assert len(records) >= 60
    assert {record["kind"] for record in records} == {"duplicate"}
    latest = take_latest(stage.platform.kafka_credentials(TAXATION.principal), TAXATION.tasks_topic, at_most=2000)
    # Nothing is on the topic that was not there before.
    assert {(each.key, each.value) for each in latest[-len(records) :]} <= {
        (each.key, each.value) for each in latest[: -len(records)]
    }
    await healed(stage, again)


async def test_a_topic_without_records_has_none_to_repeat(stage: Stage):
    again = planned(Family.RECORDS, FaultKind.DUPLICATES, get_department("civil-affairs").results_topic)
    with pytest.raises(Skipped, match="nothing was on the topic"):
        await inject(stage, again)
    assert await heal(stage, again) == {}


# --- clocks ----------------------------------------------------------------------------------------------------------


def says(stage: Stage, name: str) -> float:
    """How far this process's clock is from ours, by what it writes over its answers."""
    connection = HTTPConnection("127.0.0.1", stage.platform.ports[name], timeout=5)
    try:
        connection.request("GET", "/livez")
        written = connection.getresponse().getheader("date")
    finally:
        connection.close()
    assert written is not None
    return parsedate_to_datetime(written).timestamp() - time.time()


@pytest.mark.parametrize("seconds", ["+300", "-300", "+86400"])
async def test_a_skewed_process_says_the_skewed_time(stage: Stage, seconds: str):
    skew = planned(Family.CLOCK, FaultKind.SKEW, "rating", seconds)
    try:
        await inject(stage, skew)
    except Skipped as skipped:
        pytest.skip(str(skipped))

    async def differs(by: float) -> bool:
        return abs(says(stage, "rating") - by) < 30

    await wait_until(lambda: differs(float(seconds)), what="the clock to jump", within=WITHIN_S)
    await healed(stage, skew)
    await wait_until(lambda: differs(0), what="the clock to jump back", within=WITHIN_S)


# --- all of it -------------------------------------------------------------------------------------------------------


async def test_healing_everything_leaves_nothing_as_faults_made_it(stage: Stage):
    await inject(stage, planned(Family.PROCESSES, FaultKind.KILL, "identity"))
    await inject(stage, planned(Family.PROCESSES, FaultKind.PAUSE, "witness"))
    await inject(stage, planned(Family.NETWORK, FaultKind.HANG, "departments>kafka"))
    await inject(stage, planned(Family.KAFKA, FaultKind.BROKER_KILL, "kafka-1"))
    await inject(stage, planned(Family.POSTGRES, FaultKind.POSTGRES_KILL, "postgres"))
    await heal_everything(stage)
    await stage.ready(within_s=WITHIN_S)
    assert {wire.mode for wire in stage.wires.values()} == {"pass"}
