"""The planted bugs fit the code that they are planted in, and nobody plants one by mistake."""

import os
import subprocess
import sys

import pytest
from yijian_chaos.planted.bugs import BUGS
from yijian_chaos.planted.scenarios import SCENARIOS
from yijian_chaos.topology import MEMBERS

PLANT_ALL = """
from importlib import import_module
from yijian_chaos.planted.bugs import BUGS
for name in BUGS:
    import_module(f"yijian_chaos.planted.patches.{name.replace('-', '_')}").plant()
"""


def python(*arguments: str, environment: str = "development") -> subprocess.CompletedProcess[str]:
    told = {**os.environ, "YIJIAN_ENVIRONMENT": environment}
    return subprocess.run([sys.executable, *arguments], check=False, capture_output=True, text=True, env=told)  # noqa: S603 - our own words, no shell


def test_there_are_twelve_and_each_has_a_scenario_a_place_and_somebody_who_catches_it():
    assert len(BUGS) == 12
    assert SCENARIOS.keys() == BUGS.keys()
    for bug in BUGS.values():
        assert set(bug.planted_in) <= set(MEMBERS)
        assert bug.caught_by in {f"I{number}" for number in range(1, 13)}


def test_every_bug_still_fits_the_code_that_it_is_planted_in():
    planted = python("-c", PLANT_ALL)
    assert planted.returncode == 0, planted.stderr


def test_a_planted_program_runs():
    ran = python("-m", "yijian_chaos.planted", "commit-after-response", "this")
    assert ran.returncode == 0, ran.stderr
    assert "Zen of Python" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (("commit-after-response", "this"), "production"),
        (("no-such-bug", "this"), "development"),
        (("commit-after-response",), "development"),
    ],
)
def test_nothing_is_planted_in_production_or_under_another_name(arguments: tuple[str, ...], environment: str):
    ran = python("-m", "yijian_chaos.planted", *arguments, environment=environment)
    assert ran.returncode == 1
    assert "Zen of Python" not in ran.stdout
