"""A nemesis beside a load: nothing is lost, nothing happens twice, everything comes back; and a planted bug is seen.

`yijian chaos` with the seed that a failing test prints repeats the run.
"""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

import psutil
import pytest
from yijian_chaos import report
from yijian_chaos.outcome import OF_TIME
from yijian_chaos.planted.bugs import BUGS
from yijian_chaos.planted.scenarios import SCENARIOS
from yijian_chaos.planted.trial import attempt
from yijian_chaos.profiles import SMOKE, STANDARD, Profile
from yijian_chaos.run import Order, Result, run
from yijian_embedded.home import CHECKOUT, make_private_folder

pytestmark = [pytest.mark.e2e]

FIXED_SEED = 20261121
# The quickest to be seen: it needs one kill and no more than twenty seconds of load.
SMOKE_BUG = "commit-after-response"


@pytest.fixture
def chaos_seed() -> int:
    """The same in every run, unless the variable CHAOS_SEED says otherwise."""
    chosen = int(os.environ.get("CHAOS_SEED") or FIXED_SEED)
    print(f"CHAOS_SEED={chosen}")  # noqa: T201 - for whoever repeats a failure
    return chosen


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Where the run keeps its platform and its evidence; left for whoever looks into it when the test fails."""
    failed_before = request.session.testsfailed
    made = Path(mkdtemp(prefix="chaos-", dir=make_private_folder(CHECKOUT / ".yijian" / "test")))
    yield made
    if request.session.testsfailed == failed_before:
        shutil.rmtree(made, ignore_errors=True)


async def attacked(profile: Profile, seed: int, folder: Path) -> Result:
    result = await run(Order(profile=profile, seed=seed, folder=folder), print)
    report.write(result)
    return result


def said(result: Result) -> str:
    """What was found, for whoever reads the failure."""
    found = [*(f"{f.rule}: {f.what}" for f in result.findings), *map(str, result.verdict.violations[:10])]
    return "\n".join([f"seed {result.order.seed}, evidence {result.evidence}", *found])


@pytest.mark.timeout(600)
async def test_processes_killed_and_paused_under_load_lose_and_repeat_nothing(chaos_seed: int, folder: Path):
    result = await attacked(SMOKE, chaos_seed, folder)

    # How soon it came back is for runs that have the machine to themselves.
    assert result.verdict.ok, said(result)
    assert {finding.rule for finding in result.findings} <= OF_TIME, said(result)
    assert {event["fault"] for event in result.facts.timeline} & {"kill", "kill-point", "pause"}


@pytest.mark.timeout(400)
async def test_a_planted_bug_is_seen(folder: Path):
    trial = await attempt(SCENARIOS[SMOKE_BUG], planted=SMOKE_BUG, folder=folder)

    assert BUGS[SMOKE_BUG].caught_by in trial.verdict.broken, trial.verdict


@pytest.mark.slow
@pytest.mark.timeout(2400)
async def test_ten_minutes_of_every_family_of_faults_lose_and_repeat_nothing(chaos_seed: int, folder: Path):
    result = await attacked(STANDARD, chaos_seed, folder)

    assert result.ok, said(result)


@pytest.mark.slow
@pytest.mark.timeout(2400)
async def test_ten_minutes_without_a_fault_lose_and_repeat_nothing(chaos_seed: int, folder: Path):
    result = await attacked(STANDARD.without_faults(), chaos_seed, folder)

    assert result.ok, said(result)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("asked_by", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
async def test_whoever_is_asked_to_stop_leaves_nothing_running(folder: Path, asked_by: signal.Signals):
    command = [str(Path(sys.executable).with_name("yijian")), "chaos", "--profile", "smoke", "--folder", str(folder)]
    run = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    assert run.stderr is not None
    async for line in run.stderr:
        if line.strip().endswith(b"of load begin"):
            break
    mine = psutil.Process(run.pid)
    assert of_folder(folder), "nothing was running"

    run.send_signal(asked_by)
    await run.stderr.read()

    assert await run.wait() == 130
    assert not mine.is_running()
    assert of_folder(folder) == []


def of_folder(folder: Path) -> list[str]:
    """The command lines of processes that work in this folder, but for whoever started them."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = [*process.cmdline(), process.environ().get("YIJIAN_KEY_FILE", "")]
            if any(str(folder / "platform") in word for word in words):
                found.append(" ".join(process.cmdline()))
    return found
