"""Every rule of a run is one that can be broken, and the report says so."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from yijian_chaos import report
from yijian_chaos.checker.verdict import Verdict, Violation
from yijian_chaos.history import Attempt, Call, Ending, Kind, Phase
from yijian_chaos.matrix import FaultKind
from yijian_chaos.outcome import Facts, availability, bound, cells, findings, not_tested, operations
from yijian_chaos.people import Waits
from yijian_chaos.profiles import SMOKE, STANDARD, Profile
from yijian_chaos.run import Order, Result
from yijian_chaos.schedule import Planned, plan

ACCEPTED = Ending(Phase.OK, 202, application="a")
PROFILE = replace(SMOKE, load_s=120, least_operations=100, least_faults=1)
SEED = 1


def submit(op: int, at: float, ending: Ending = ACCEPTED) -> Attempt:
    return Attempt(op, Call(Kind.SUBMIT, f"mother-{op}", "approval-api-1", key=f"k{op}"), at, at + 0.05, ending)


def event(kind: str, planned: Planned, at: float, **members: Any) -> dict[str, Any]:
    names = {"planned": planned.index, "fault": planned.fault.value, "component": planned.component}
    return {"event": kind, "at": at, **names, **members}


def timeline(planned: Planned, *, after_s: float = 2.0) -> list[dict[str, Any]]:
    at = planned.at
    recovered = event("recovered", planned, at + 6 + after_s, after_s=after_s, limit_s=planned.limit_s)
    return [event("inject", planned, at), event("heal", planned, at + 6), recovered]


def facts(
    *,
    attempts: Sequence[Attempt] | None = None,
    events: Sequence[Mapping[str, Any]] | None = None,
    **other: Any,
) -> Facts:
    """A run in which nothing is wrong, but for what a test says."""
    schedule = plan(PROFILE, SEED)[:1]
    healthy = Facts(
        profile=PROFILE,
        attempts=[submit(n, n / 2) for n in range(240)] if attempts is None else attempts,
        plan=schedule,
        timeline=timeline(schedule[0]) if events is None else events,
        skipped={},
        completed=[(float(at), at) for at in range(0, 125, 5)],
        load=(0, 120),
        undecided=0,
        rested_s=3.0,
        waiting={},
        failures=(),
    )
    return replace(healthy, **other)


def rules(seen: Facts) -> set[str]:
    return {finding.rule for finding in findings(seen, availability(seen))}


def test_a_run_in_which_nothing_is_wrong_has_no_finding():
    assert rules(facts()) == set()


def test_too_few_operations_or_faults_do_not_count():
    assert rules(facts(profile=replace(PROFILE, least_operations=241))) == {"operations"}
    assert rules(facts(profile=replace(PROFILE, least_faults=2))) == {"faults"}
    assert rules(facts(events=[])) == {"faults"}


def test_an_acceptance_rate_below_99_in_100_outside_faults():
    busy = Ending(Phase.FAIL, 503, error="/problems/service-unavailable")
    attempts = [submit(n, n / 2, busy if n in (1, 2, 3) else ACCEPTED) for n in range(240)]
    assert rules(facts(attempts=attempts)) == {"accepted"}
    assert rules(facts(attempts=[submit(n, n / 2, busy if n == 1 else ACCEPTED) for n in range(240)])) == set()


def test_standing_still_with_everything_there():
    silent = [submit(n, n / 2) for n in range(240) if not 70 <= n / 2 <= 115]
    assert "progress" in rules(facts(attempts=silent))
    stuck = [(float(at), min(at, 60)) for at in range(0, 125, 5)]
    assert rules(facts(completed=stuck)) == {"progress"}


def test_what_a_fault_takes_away_for_good_reason_is_no_standstill():
    postgres = next(p for seed in range(40) for p in plan(STANDARD, seed) if p.component == "postgres")
    gone = replace(postgres, index=0, at=60.0, until=110.0)
    events = [
        event("inject", gone, 60),
        event("heal", gone, 110),
        event("recovered", gone, 112, after_s=2.0, limit_s=20.0),
    ]
    silent = [submit(n, n / 2) for n in range(240) if not 60 <= n / 2 <= 110]
    stuck = [(float(at), min(at, 60)) for at in range(0, 125, 5)]
    assert rules(facts(attempts=silent, completed=stuck, plan=(gone,), events=events)) == set()


def test_what_identity_signed_by_a_wrong_clock_is_refused_for_as_long_as_clients_bring_it_along():
    identity = next(p for seed in range(40) for p in plan(STANDARD, seed) if p.component == "identity")
    refused = Ending(Phase.FAIL, 422, error="/problems/authorisation-refused")
    attempts = [submit(n, n / 2, refused if 40 <= n / 2 <= 80 else ACCEPTED) for n in range(240)]
    skewed, killed = (replace(identity, fault=fault, index=0, at=10.0) for fault in (FaultKind.SKEW, FaultKind.KILL))
    assert rules(facts(attempts=attempts, plan=(skewed,), events=timeline(skewed))) == set()
    assert "progress" in rules(facts(attempts=attempts, plan=(killed,), events=timeline(killed)))


def test_a_recovery_that_takes_too_long_or_never_comes():
    (planned,) = plan(PROFILE, SEED)[:1]
    assert rules(facts(events=timeline(planned, after_s=planned.limit_s + 1))) == {"late"}
    assert rules(facts(events=timeline(planned)[:2])) == {"recovery"}


def test_an_application_that_is_refused():
    wrong = submit(5, 2.5, Ending(Phase.FAIL, 409, error="/problems/already-applied"))
    others = [submit(n, n / 2) for n in range(240) if n != 5]
    assert rules(facts(attempts=[wrong, *others])) == {"refused"}
    old_word = submit(5, 2.5, Ending(Phase.FAIL, 422, error="/problems/authorisation-refused"))
    assert rules(facts(attempts=[old_word, *others])) == set()


def test_what_stays_open_at_the_end():
    assert rules(facts(undecided=1)) == {"undecided"}
    assert rules(facts(rested_s=None, waiting={"approval outbox": "3 rows"})) == {"rest"}
    assert rules(facts(failures=("KeyError: 'x'",))) == {"harness"}


def test_operations_are_what_was_wanted_not_how_often_it_was_asked():
    again = Attempt(300, Call(Kind.SUBMIT, "mother-0", "approval-api-2", key="k0", retry_of=0), 1, 2, ACCEPTED)
    repeated = replace(again, call=replace(again.call, deliberate=True))
    assert operations([submit(0, 0)]) == 1
    assert operations([submit(0, 0), again]) == 1
    assert operations([submit(0, 0), repeated]) == 2


def test_a_cell_shows_its_slowest_recovery():
    one, two = plan(PROFILE, SEED)[0], replace(plan(PROFILE, SEED)[0], index=1, at=60.0)
    (cell,) = cells([*timeline(one, after_s=2.0), *timeline(two, after_s=7.0)])
    assert (cell.injected, cell.worst_s, cell.limit_s) == (2, 7.0, one.limit_s)
    (cell,) = cells(timeline(one)[:2])
    assert (cell.injected, cell.worst_s) == (1, None)


def test_nothing_found_is_said_with_its_bound():
    assert bound(0, 36_000) == "0 in 36,000, which means less than 8.3e-05 for each at 95 %"
    assert bound(2, 36_000) == "2 in 36,000"
    assert bound(0, 0) == "nothing was looked at"


@pytest.mark.parametrize(("profile", "said"), [(SMOKE, True), (STANDARD, False)], ids=["smoke", "standard"])
def test_what_was_not_tested_is_said(profile: Profile, said: bool):
    assert any("disk" in each and "family" in each for each in not_tested(profile, {})) is said
    assert "2 × no rights to mount" in not_tested(profile, {1: "no rights to mount", 4: "no rights to mount"})


# --- the report ------------------------------------------------------------------------------------------------------


def result(folder: Path, *, seen: Facts, verdict: Verdict) -> Result:
    there = availability(seen)
    return Result(
        order=Order(profile=PROFILE, seed=77),
        commit="abc123",
        facts=seen,
        seen=there,
        findings=findings(seen, there),
        verdict=verdict,
        waits=Waits(),
        seconds=180.0,
        evidence=folder,
        data=None,
    )


CLEAN = Verdict(violations=(), found={}, counts={"I1": {"applications": 240}}, notes={})
LOST = Verdict(
    violations=(Violation("I1", "an accepted application is not there", {"application": "a"}),),
    found={"I1": 1},
    counts={"I1": {"applications": 240}},
    notes={},
)


def shown(one: Result) -> str:
    console = Console(file=StringIO(), width=160)
    report.show(one, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_report_says_seed_commit_figures_and_the_verdict(tmp_path: Path):
    one = result(tmp_path, seen=facts(), verdict=CLEAN)
    report.write(one)
    said, text = json.loads((tmp_path / "verdict.json").read_text()), shown(one)

    assert (one.ok, said["ok"], said["seed"], said["commit"]) == (True, True, 77, "abc123")
    assert (said["operations"], said["undecided"], said["rested_after_s"]) == (240, 0, 3.0)
    assert said["not_tested"]
    assert "PASSED  seed 77, commit abc123" in text
    assert "240 applications" in text


def test_a_violation_fails_the_run_and_is_shown_with_its_place(tmp_path: Path):
    one = result(tmp_path, seen=facts(), verdict=LOST)
    text = shown(one)

    assert not one.ok
    assert "FAILED" in text
    assert "I1: an accepted application is not there {'application': 'a'}" in text
    assert not report.as_dict(one)["checker"]["ok"]


def test_a_finding_alone_fails_the_run_too(tmp_path: Path):
    one = result(tmp_path, seen=facts(undecided=2), verdict=CLEAN)
    assert not one.ok
    assert "undecided: 2 operations were never decided" in shown(one)
