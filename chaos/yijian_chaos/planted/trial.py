"""One trial: a scenario against a platform of its own, with its bug or without, and what the checker says of it.

    up → clients ∥ the scenario's attack → whatever is down is started → rest, or standstill → collect → check

Unlike a run of the nemesis it judges nothing but the data: a platform with a bug may be late, or never come to rest.
"""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from yijian_embedded.home import CHECKOUT
from yijian_examples.population import family

from yijian_chaos import checker, history
from yijian_chaos.checker.verdict import Verdict
from yijian_chaos.client import Clients
from yijian_chaos.evidence import make_folder, write_heading
from yijian_chaos.history import History
from yijian_chaos.operations import plan_operations
from yijian_chaos.people import People
from yijian_chaos.planted.bugs import BUGS
from yijian_chaos.profiles import FIRST_FAMILY, WARM_UP_FAMILIES, Profile
from yijian_chaos.rest import why_not_at_rest
from yijian_chaos.stage import Stage
from yijian_chaos.whereabouts import addresses_of, sources_of, spread, where_to_look

FOLDER = CHECKOUT / ".yijian" / "chaos" / "planted"
SEED = 12
BEGIN_AFTER_S = 5.0
DECIDED_WITHIN_S = 120.0
LOOK_EVERY_S = 2.0
# What has not moved for so long will not move: longer than a lease, a session, the consumers' watchdog and what the
# checker forgives a row. Judged earlier, a platform that is merely slow would be taken for one that lost something.
STANDSTILL_S = 75.0
REST_WITHIN_S = 240.0
CANARY_FAMILIES = 20
SPARE_FAMILIES = 400
THREADS = 32


@dataclass(frozen=True, slots=True)
class Attack:
    """What a scenario works with: the stage, the clients, and families that nobody else takes."""

    stage: Stage
    clients: Clients
    families: Iterator[int]

    async def apply(self) -> str | None:
        """Have one more family apply; its application's id."""
        number = next(self.families)
        return await self.clients.apply(number, address=number % 2)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A load, and the faults beside it that provoke one bug: always the same, and over within minutes."""

    load: Profile
    attack: Callable[[Attack], Awaitable[None]]
    wired: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one. `operations` are what clients wanted, each once.

    `attacked_s` is from the first operation until everything ran again, `seconds` all of it.
    """

    planted: str | None
    operations: int
    attacked_s: float
    seconds: float
    verdict: Verdict
    evidence: Path

    @property
    def is_caught(self) -> bool:
        """Whether the checker said of the bug what the bug does."""
        bug = BUGS[self.planted] if self.planted else None
        return any(bug and v.invariant == bug.caught_by and v.what in bug.says for v in self.verdict.violations)


async def attempt(scenario: Scenario, *, planted: str | None, folder: Path = FOLDER) -> Trial:
    """Carry the scenario out and judge it. Nothing is left running; the evidence stays in a folder of its own."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    began = time.monotonic()
    evidence = _folder(folder, scenario, planted)
    stage = Stage(folder / "platform", families=spare_families(scenario)[-1], planted=planted, wired=scenario.wired)
    try:
        await stage.up()
        attacked_s = await _attack(scenario, stage, evidence)
        await _come_to_rest(stage)
        verdict = await asyncio.to_thread(_judge, scenario, stage, evidence)
    finally:
        with suppress(OSError):
            shutil.copytree(stage.logs, evidence / "logs")
        await asyncio.shield(stage.down())
    verdict.write(evidence / "verdict.json")
    done = sum(each.call.retry_of is None for each in history.read(evidence / "history.jsonl"))
    return Trial(planted, done, attacked_s, time.monotonic() - began, verdict, evidence)


async def _attack(scenario: Scenario, stage: Stage, evidence: Path) -> float:
    """The load with the faults beside it; returns how many seconds it took until everything ran again."""
    async with History(evidence / "history.jsonl") as written:
        clients = Clients(addresses_of(stage), People(stage.url("identity")), written, today=stage.today, seed=SEED)
        begins = time.monotonic() + BEGIN_AFTER_S
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(clients.run(plan_operations(scenario.load, SEED), begins_at=begins))
                both.create_task(_beside(scenario, Attack(stage, clients, iter(spare_families(scenario)))))
            attacked_s = time.monotonic() - begins
            await clients.drain(within_s=DECIDED_WITHIN_S)
        finally:
            await clients.stop()
    if clients.failures:
        raise ExceptionGroup("clients failed", [error for error in clients.failures if isinstance(error, Exception)])
    return attacked_s


def spare_families(scenario: Scenario) -> range:
    """Families for the scenario's own use, after those of its load."""
    return range(scenario.load.families + 1, scenario.load.families + 1 + SPARE_FAMILIES)


async def _beside(scenario: Scenario, attack: Attack) -> None:
    await asyncio.sleep(BEGIN_AFTER_S)
    await scenario.attack(attack)
    down = [name for name in attack.stage.processes if attack.stage.pid(name) is None]
    for name in down:
        await asyncio.to_thread(attack.stage.start, name)


async def _come_to_rest(stage: Stage) -> None:
    """Wait until nothing waits, or until what waits does not move any more."""
    where = where_to_look(stage.platform)
    deadline = time.monotonic() + REST_WITHIN_S
    before, since = await asyncio.to_thread(why_not_at_rest, where), time.monotonic()
    while before and time.monotonic() < min(deadline, since + STANDSTILL_S):
        await asyncio.sleep(LOOK_EVERY_S)
        waiting = await asyncio.to_thread(why_not_at_rest, where)
        if waiting != before:
            before, since = waiting, time.monotonic()


def _judge(scenario: Scenario, stage: Stage, evidence: Path) -> Verdict:
    applied = range(FIRST_FAMILY + WARM_UP_FAMILIES, scenario.load.first_probe)
    families = [family(number, today=stage.today) for number in spread(applied, CANARY_FAMILIES)]
    snapshot = checker.collect(sources_of(stage.platform, families), history=evidence / "history.jsonl")
    # Nobody samples the processes here, and there need be no dead letter.
    return checker.check(evidence, snapshot, may_be_empty=(*checker.SAMPLED, "I11"), all_fine=True)


def _folder(folder: Path, scenario: Scenario, planted: str | None) -> Path:
    evidence = make_folder(folder, profile=planted or f"healthy-{scenario.load.name}", seed=SEED)
    write_heading(evidence, seed=SEED, profile=scenario.load.name, brokers=1, planted=planted)
    (evidence / "timeline.jsonl").touch()
    return evidence
