"""A checker that cannot fail proves nothing: each of twelve bugs is planted, provoked, and has to be caught.

And without the bug the same load and faults have to harm nothing. One bug is in every run of the tests (test_chaos.py);
all of them, with and without, take an hour and a half.
What each of them is stands in `yijian_chaos.planted.bugs`, what provokes it in `yijian_chaos.planted.scenarios`.
"""

import json

import pytest
from yijian_chaos.planted.bugs import BUGS
from yijian_chaos.planted.scenarios import SCENARIOS
from yijian_chaos.planted.trial import Trial, attempt

from tests.faults.births import Births

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]


def said(trial: Trial) -> str:
    """What a trial came to, for whoever writes the table in docs/planted-bugs.md or looks for a failure."""
    return json.dumps(
        {
            "planted": trial.planted,
            "operations": trial.operations,
            "attacked_s": round(trial.attacked_s),
            "seconds": round(trial.seconds),
            "found": dict(trial.verdict.found),
            "evidence": str(trial.evidence),
            "such_as": [violation.what for violation in trial.verdict.violations[:3]],
        }
    )


@pytest.mark.parametrize("name", BUGS)
async def test_the_checker_catches_a_planted_bug(name: str):
    trial = await attempt(SCENARIOS[name], planted=name)
    print(said(trial))  # noqa: T201 - figures of a real run
    assert trial.is_caught, said(trial)


@pytest.mark.parametrize("name", BUGS)
async def test_without_the_bug_the_same_faults_harm_nothing(name: str):
    trial = await attempt(SCENARIOS[name], planted=None)
    print(said(trial))  # noqa: T201 - figures of a real run
    assert trial.verdict.ok, said(trial)


@pytest.mark.parametrize("name", BUGS)
async def test_with_a_bug_planted_a_birth_goes_well_as_long_as_nothing_goes_wrong(births: Births, name: str):
    (service,) = {process.partition("-")[0] for process in BUGS[name].planted_in}
    births.city.stop(service)
    births.city.platform.start_service(service, runner=("yijian_chaos.planted", name))
    try:
        await births.apply(1)
        await births.settled_once()
    finally:
        births.city.restart(service)
