"""What a verdict says of a healthy run, of a kept one, and of one that is broken everywhere."""

import json
from pathlib import Path

from yijian_chaos.checker import check, read_snapshot, write_snapshot
from yijian_chaos.checker.verdict import INVARIANTS

from . import (
    test_checker_accepted,
    test_checker_effects,
    test_checker_endings,
    test_checker_ledger,
    test_checker_messages,
    test_checker_rest,
)
from .checked_world import World

STORIES = (
    test_checker_accepted,
    test_checker_endings,
    test_checker_effects,
    test_checker_messages,
    test_checker_ledger,
    test_checker_rest,
)


def test_a_healthy_run_breaks_nothing_and_everything_was_looked_at(world: World, tmp_path: Path):
    verdict = check(world.write(tmp_path), world.snapshot(), may_be_empty=())
    assert verdict.violations == ()
    assert verdict.ok
    assert all(sum(verdict.counts[name].values()) > 0 for name in INVARIANTS)
    assert verdict.counts["I7"]["tiles"] > 0
    assert verdict.notes == {"requests that were taken back before they were sent": 1, "repeated records": 1}


def test_a_snapshot_that_was_kept_is_judged_alike(world: World, tmp_path: Path):
    write_snapshot(world.snapshot(), tmp_path / "snapshot")
    kept = read_snapshot(tmp_path / "snapshot")
    assert kept == world.snapshot()
    verdict = check(world.write(tmp_path), kept)
    verdict.write(tmp_path / "verdict.json")
    assert json.loads((tmp_path / "verdict.json").read_text(encoding="utf-8"))["ok"] is True


def test_of_a_thousand_violations_a_hundred_are_shown_and_all_are_counted(world: World, tmp_path: Path):
    world.tables["records"].clear()
    verdict = check(world.write(tmp_path), world.snapshot())
    assert verdict.found["I5"] > 1000
    assert sum(violation.invariant == "I5" for violation in verdict.violations) == 100


def test_every_invariant_is_broken_by_something():
    assert {breaking.invariant for story in STORIES for breaking in story.BREAKINGS} == set(INVARIANTS)
