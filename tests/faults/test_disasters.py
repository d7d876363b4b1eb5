"""Data is destroyed under load and brought back: what was accepted is there, once, and the ledger did not go back.

Who applies writes down what came of it, as the clients of a chaos run do, and asks again with the same key whatever was
not answered; afterwards the checker of chaos runs judges, from raw sources, all that happened on this platform so far.
The figures that a drill comes to are printed; docs/how-to/back-up-and-restore.md has those of one machine.
"""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from yijian_chaos import checker
from yijian_chaos.checker.verdict import EXPLAINED, Verdict
from yijian_chaos.client import Addresses, Clients
from yijian_chaos.history import History
from yijian_chaos.people import People
from yijian_chaos.whereabouts import sources_of
from yijian_embedded.home import CHECKOUT, make_private_folder
from yijian_embedded.platform import Platform
from yijian_embedded.postgres_access import connect
from yijian_embedded.processes import end
from yijian_embedded.testing import FAMILIES, KINDS
from yijian_examples.population import family
from yijian_examples.records import find_population, write_records
from yijian_messaging.testing import wait_until

from tests.e2e.city import City
from tests.faults.births import Births

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="module"),
]

RPO_S, RTO_S = 60, 600
SETTLED_WITHIN_S = 200
DECIDED_WITHIN_S = 60
CANARY_FAMILIES = 20
RATE = 3.0


@dataclass
class Doomed:
    """A platform of its own, archived to a folder beside it, and what its operator types."""

    platform: Platform
    archive: Path
    births: Births
    clients: Clients
    evidence: Path
    told: dict[str, float] = field(default_factory=dict)

    async def yijian(self, *arguments: str) -> Any:
        """What a command prints with --json; a command that fails fails the drill."""
        command = [str(Path(sys.executable).with_name("yijian")), *arguments, "--json"]
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            capture_output=True,
            text=True,
            env={"YIJIAN_HOME": str(self.platform.home.folder), "PATH": "/usr/bin:/bin"},
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def destroy(self, *servers: str) -> None:
        """These lose power and disk in one moment."""
        processes = [process for name in servers if (process := self.platform.process(name))]
        end([*processes, *(each for one in processes for each in one.children(recursive=True))], by=signal.SIGKILL)
        for name in servers:
            rmtree(getattr(self.platform.home, name) / "data")

    async def ledger_is_whole(self) -> None:
        """Signed and witnessed to the last leaf, every table agrees, and the witness's root is in the tree."""

        async def witnessed() -> bool:
            told = await self.yijian("ledger", "status")
            return bool(told["leaves"] == told["signed"]["size"] == told["witnessed"]["size"])

        await wait_until(witnessed, what="the witness to have the last leaf", within=SETTLED_WITHIN_S)
        await self.yijian("ledger", "verify")
        await self.yijian("ledger", "fsck")

    async def settled(self, lost: set[UUID]) -> None:
        """What was accepted before is complete, once, whatever was lost after it; nothing waits and nothing halted."""
        births = self.births
        # Whoever was not answered asks again, until it is decided; those count too.
        assert await self.clients.drain(within_s=DECIDED_WITHIN_S) == 0
        assert self.clients.failures == []
        births.accepted = {one: mother for one, mother in births.accepted.items() if one not in lost}
        # What was read before the request that it answers has its turn.
        await self.yijian("reconcile", "--replay")
        births.city._tokens.clear()
        await births.all_granted(within=SETTLED_WITHIN_S)
        await wait_until(births.at_rest, what="outboxes empty, offsets at the ends", within=SETTLED_WITHIN_S)
        births.applied_once()
        births.answered_once()
        made = {place: count - births.effects_before[place] for place, count in births.effects().items()}
        assert all(len(births.accepted) <= count <= len(births.accepted) + len(lost) for count in made.values()), made
        await self.ledger_is_whole()
        assert not [one for one in await self.yijian("reconcile") if one["where"] in ("ledger", "Kafka")]
        verdict = await asyncio.to_thread(self.judged)
        assert verdict.violations == ()
        self.told["explained"] = sum(times for what, times in verdict.notes.items() if what.startswith(EXPLAINED))

    def went_back(self, service: str, *, to: datetime) -> None:
        """Write down, for whoever judges, that this service's database was put back to this moment and is back."""
        told = {"event": "restored", "component": service, "at": time.time(), "detail": {"to": to.timestamp()}}
        with (self.evidence / "timeline.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")

    def judged(self) -> Verdict:
        """What the checker says of everything that happened on this platform."""
        families = [family(number, today=self.births.today) for number in range(21, 21 + CANARY_FAMILIES)]
        snapshot = checker.collect(sources_of(self.platform, families), history=self.evidence / "history.jsonl")
        # Nobody samples the processes here.
        return checker.check(self.evidence, snapshot, may_be_empty=("I9", "I11"))


@pytest.fixture(scope="module")
def doomed_platform() -> Iterator[Platform]:
    folder = Path(mkdtemp(prefix="doomed-", dir=make_private_folder(CHECKOUT / ".yijian" / "test")))
    platform = Platform(folder / "home")
    try:
        write_records(platform.home.records, FAMILIES, kinds=KINDS)
        platform.up()
        yield platform
    finally:
        platform.clean()
        rmtree(folder)


@pytest.fixture(scope="module")
def waiting_families() -> deque[int]:
    """Those of this module, which has a platform to itself; the first twenty have stories of their own."""
    return deque(number for number in range(21, 201) if number % 20)


@pytest.fixture(scope="module")
def today(doomed_platform: Platform) -> date:
    population = find_population(doomed_platform.home.records)
    assert population is not None
    return population.today


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evidence")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clients(doomed_platform: Platform, today: date, evidence: Path) -> AsyncIterator[Clients]:
    """Everybody who applies in this module: all that they did is in one history."""
    approval = doomed_platform.url("approval")
    identity = doomed_platform.url("identity")
    addresses = Addresses({"approval": approval, "again": approval}, doomed_platform.url("data-exchange"), identity)
    async with History(evidence / "history.jsonl") as history:
        yield Clients(addresses, People(identity), history, today=today, seed=0)


@pytest_asyncio.fixture(loop_scope="module")
async def doomed(
    doomed_platform: Platform, waiting_families: deque[int], today: date, clients: Clients, evidence: Path
) -> AsyncIterator[Doomed]:
    async with httpx.AsyncClient(trust_env=False, timeout=20, limits=httpx.Limits(max_connections=64)) as http:
        city = City(doomed_platform, families=None, http=http)  # type: ignore[arg-type] # its stories' own
        births = Births(city, waiting_families, today)
        archive = doomed_platform.home.folder.parent / "archive"
        made = Doomed(doomed_platform, archive, births, clients, evidence)
        if not made.archive.exists():
            await made.yijian("backup", "start", "--to", str(made.archive))
        else:
            await made.yijian("backup", "now")
        yield made
    print(json.dumps(made.told))  # noqa: T201 - for whoever reads the drill


@asynccontextmanager
async def load(doomed: Doomed) -> AsyncIterator[dict[UUID, float]]:
    """Mothers who apply one after the other while the block lasts; when each application was accepted.

    Whoever was not answered by then goes on asking, with the same key.
    """
    births, accepted, stopping = doomed.births, dict[UUID, float](), asyncio.Event()

    async def apply(number: int) -> None:
        application = UUID(await doomed.clients.apply(number))
        accepted[application] = time.time()
        births.accepted[application] = births.city.resident(f"mother-{number:06}")

    async def come() -> None:
        while not stopping.is_set():
            doomed.clients.begin(apply(births.waiting.popleft()))
            await asyncio.sleep(1 / RATE)

    coming = asyncio.create_task(come())
    try:
        yield accepted
    finally:
        stopping.set()
        await coming


def lost_of(doomed: Doomed, accepted: dict[UUID, float]) -> set[UUID]:
    """Those of them that are not there any more."""
    return set(accepted) - {row["id"] for row in doomed.births.city.query("approval", "SELECT id FROM application")}


async def test_the_databases_disk_is_destroyed_under_load(doomed: Doomed):
    async with load(doomed) as accepted:
        await asyncio.sleep(8)
        doomed.destroy("postgres")
        destroyed_at = time.time()
        await asyncio.sleep(1)

    await doomed.yijian("down")
    restored = await doomed.yijian("restore", "server")
    await doomed.yijian("up")
    took = time.time() - destroyed_at

    lost = lost_of(doomed, accepted)
    gap = destroyed_at - min((accepted[one] for one in lost), default=destroyed_at)
    doomed.told = {"accepted": len(accepted), "lost": len(lost), "rpo_s": gap, "rto_s": took, **_numbers(restored)}
    assert len(accepted) > 5
    assert gap <= RPO_S
    assert took <= RTO_S
    await doomed.yijian("backup", "now")
    await doomed.settled(lost)
    assert (await doomed.yijian("backup", "verify"))["faults"] == {}


async def test_a_table_is_dropped_and_its_database_put_back_to_the_second_before(doomed: Doomed):
    async with load(doomed) as accepted:
        await asyncio.sleep(6)
        dropped_at = datetime.now(UTC)
        with connect(doomed.births.city.platform.database_url("approval")) as session:
            session.execute("DROP TABLE application CASCADE")
        await asyncio.sleep(2)

    moment = dropped_at - timedelta(seconds=1)
    started = time.time()
    await doomed.yijian("down")
    await doomed.yijian("up", "--infra-only")
    restored = await doomed.yijian("restore", "database", "approval", "--to", moment.isoformat())
    doomed.went_back("approval", to=moment)
    await doomed.yijian("up")
    took = time.time() - started

    lost = lost_of(doomed, accepted)
    doomed.told = {"accepted": len(accepted), "lost": len(lost), "rto_s": took, **_numbers(restored)}
    # Accepted before the point that was gone back to is there; the answer arrived a moment after the commit.
    assert all(accepted[one] >= moment.timestamp() for one in lost)
    assert took <= RTO_S
    await doomed.settled(lost)
    known = [one for one in await doomed.yijian("reconcile") if one["where"] == "applications"]
    named = {UUID(one) for difference in known for one in difference["about"]}
    asked = {UUID(row) for code in ("health",) for row in _asked(doomed, code)}
    assert lost & asked <= named


async def test_the_ledgers_database_goes_back_and_the_ledger_does_not(doomed: Doomed):
    async with load(doomed):
        await asyncio.sleep(3)
        moment = datetime.now(UTC)
        await asyncio.sleep(3)
    await doomed.ledger_is_whole()
    before = await doomed.yijian("ledger", "status")

    await doomed.yijian("down")
    await doomed.yijian("up", "--infra-only")
    restored = await doomed.yijian("restore", "database", "data-exchange", "--to", moment.isoformat())
    doomed.went_back("data-exchange", to=moment)
    await doomed.yijian("up")

    assert restored["leaves"] > 0
    doomed.told = _numbers(restored) | {"leaves_brought_forward": restored["leaves"]}
    after = await doomed.yijian("ledger", "status")
    assert after["leaves"] >= before["leaves"]
    await doomed.settled(set())


async def test_kafka_is_destroyed_together_with_the_database(doomed: Doomed):
    async with load(doomed) as accepted:
        await asyncio.sleep(6)
        doomed.destroy("postgres", "kafka")
        destroyed_at = time.time()
        await asyncio.sleep(1)

    await doomed.yijian("down")
    restored = await doomed.yijian("restore", "server")
    await doomed.yijian("up", "--infra-only")
    said = await doomed.yijian("restore", "kafka", "--reason", "a drill")
    await doomed.yijian("up")
    took = time.time() - destroyed_at

    lost = lost_of(doomed, accepted)
    gap = destroyed_at - min((accepted[one] for one in lost), default=destroyed_at)
    again = sum(waiting for _, waiting in said["services"].values())
    doomed.told = {"lost": len(lost), "rpo_s": gap, "rto_s": took, "said_again": again, **_numbers(restored)}
    assert gap <= RPO_S
    assert took <= RTO_S
    await doomed.settled(lost)


def _numbers(told: dict[str, Any]) -> dict[str, float]:
    return {"restore_s": told["seconds"]}


def _asked(doomed: Doomed, code: str) -> list[str]:
    return [str(row[0]) for row in doomed.births.read_store(code, "SELECT DISTINCT application_id FROM task")]
