"""One run: bring a platform up, attack it under load, heal it, let it come to rest, and judge what became of it.

up → warm up → clients ∥ nemesis ∥ samples → heal → every key decided → rest → collect → check → verdict
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop
from yijian_embedded import stopping
from yijian_embedded.home import CHECKOUT
from yijian_examples.population import family

from yijian_chaos import checker, evidence
from yijian_chaos.attack import Attack
from yijian_chaos.checker.storage import write_snapshot
from yijian_chaos.checker.verdict import Verdict
from yijian_chaos.outcome import Availability, Facts, Finding, availability, findings
from yijian_chaos.people import Waits
from yijian_chaos.profiles import FIRST_FAMILY, Profile
from yijian_chaos.schedule import Planned, plan
from yijian_chaos.stage import Stage
from yijian_chaos.whereabouts import sources_of, spread

CHAOS = CHECKOUT / ".yijian" / "chaos"
# Of about so many families, from the first to the last that applies, the data must be found nowhere in the open; more
# would only make the search slower.
CANARY_FAMILIES = 60
# Threads wait for servers that hang, and must leave some for the others.
THREADS = 32


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to run. `schedule` instead of the one that the seed gives; `keep` keeps data that nothing is wrong with."""

    profile: Profile
    seed: int
    planted: str | None = None
    schedule: Sequence[Planned] | None = None
    keep: bool = False
    folder: Path = CHAOS


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of it. `evidence` is the run's folder; `data` is where the platform's data was left, if it was."""

    order: Order
    commit: str
    facts: Facts
    seen: Availability
    findings: Sequence[Finding]
    verdict: Verdict
    waits: Waits
    seconds: float
    evidence: Path
    data: Path | None

    @property
    def ok(self) -> bool:
        return self.verdict.ok and not self.findings


def run_until_stopped(order: Order, tell: Callable[[str], None]) -> Result | None:
    """Run to the end, or until somebody asks to stop (SIGINT, SIGTERM): then None, and everything is stopped too."""
    return stopping.run_until_stopped(run(order, tell), loop_factory=uvloop.new_event_loop)


async def run(order: Order, tell: Callable[[str], None]) -> Result:
    """The whole run; `tell` hears how it goes. Nothing is left running, however it ends."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    began, commit, profile = time.monotonic(), evidence.commit(), order.profile
    schedule = plan(profile, order.seed) if order.schedule is None else order.schedule
    folder = evidence.make_folder(order.folder, profile=profile.name, seed=order.seed)
    heading = {"seed": order.seed, "commit": commit, "brokers": profile.brokers, "planted": order.planted}
    evidence.write_heading(folder, **heading, profile=asdict(profile))
    evidence.write_schedule(folder, schedule)
    tell(f"profile {profile.name}, seed {order.seed}, commit {commit}, evidence in {folder}")
    stage = Stage(
        order.folder / "platform",
        families=profile.families,
        brokers=profile.brokers,
        planted=order.planted,
        wired="network" in profile.faults,
        on_disks="disk" in profile.faults,
    )
    kept = True
    try:
        await stage.up()
        tell(f"up after {time.monotonic() - began:.0f} s")
        attack = Attack(stage, profile, order.seed, schedule, folder, tell)
        facts, waits = await attack.carry_out()
        tell("judging")
        verdict = await asyncio.to_thread(_judge, stage, folder, order)
        seen = availability(facts)
        found = findings(facts, seen)
        is_clean = verdict.ok and not found
        kept = order.keep or not (is_clean or order.planted)
        if not is_clean:
            await asyncio.to_thread(_keep, stage, folder)
    except BaseException:
        await asyncio.shield(asyncio.to_thread(_keep, stage, folder))
        raise
    finally:
        await asyncio.shield(stage.down(keep=kept))
    return Result(
        order=order,
        commit=commit,
        facts=facts,
        seen=seen,
        findings=found,
        verdict=verdict,
        waits=waits,
        seconds=time.monotonic() - began,
        evidence=folder,
        data=stage.platform.home.folder if kept else None,
    )


def _judge(stage: Stage, folder: Path, order: Order) -> Verdict:
    applied = range(FIRST_FAMILY, order.profile.first_probe)
    families = [family(number, today=stage.today) for number in spread(applied, CANARY_FAMILIES)]
    snapshot = checker.collect(sources_of(stage.platform, families), history=folder / "history.jsonl")
    verdict = checker.check(folder, snapshot, all_fine=True)
    if order.keep or not verdict.ok:
        write_snapshot(snapshot, folder / "snapshot")
    return verdict


def _keep(stage: Stage, folder: Path) -> None:
    evidence.keep_logs(stage, folder)
    evidence.keep_positions(stage, folder)
