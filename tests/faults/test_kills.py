"""kill -9 at the worst points: what was accepted completes, once, and nobody has to do anything but start again."""

import asyncio
import random

import pytest
from yijian_messaging.faultpoints import FaultPoint

from tests.faults.births import Births

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

APPROVAL = [
    *(f"{FaultPoint.INTAKE_BEFORE_COMMIT}:{n}" for n in (1, 2)),
    *(f"{FaultPoint.INTAKE_AFTER_COMMIT}:{n}" for n in (1, 2)),
    *(f"{FaultPoint.RELAY_BEFORE_SEND}:{n}" for n in (1, 2, 4)),
    *(f"{FaultPoint.RELAY_BEFORE_ACKNOWLEDGED}:{n}" for n in (1, 2, 4)),
    *(f"{FaultPoint.RELAY_AFTER_SEND}:{n}" for n in (1, 2, 4)),
    *(f"{FaultPoint.RELAY_AFTER_MARK}:{n}" for n in (1, 2, 4)),
    *(f"{FaultPoint.OFFSET_BEFORE_COMMIT}:{n}" for n in (1, 2)),
    *(f"{FaultPoint.OFFSET_AFTER_COMMIT}:{n}" for n in (1, 2)),
    *(f"{FaultPoint.BATCH_BEFORE_COMMIT}:{n}" for n in (1, 2, 5)),
    *(f"{FaultPoint.BATCH_AFTER_COMMIT}:{n}" for n in (1, 2, 5)),
]
DEPARTMENT = [
    FaultPoint.BATCH_BEFORE_COMMIT,
    FaultPoint.BATCH_AFTER_COMMIT,
    FaultPoint.OFFSET_BEFORE_COMMIT,
    FaultPoint.RELAY_BEFORE_SEND,
    FaultPoint.RELAY_BEFORE_ACKNOWLEDGED,
    FaultPoint.RELAY_AFTER_SEND,
    FaultPoint.RELAY_AFTER_MARK,
]
LEDGER = [
    FaultPoint.SIGN_BEFORE,
    FaultPoint.SIGN_BEFORE_COMMIT,
    FaultPoint.SIGN_AFTER_COMMIT,
    FaultPoint.COSIGNATURE_BEFORE_COMMIT,
    FaultPoint.COSIGNATURE_AFTER_COMMIT,
]
BUREAUS = [
    "health",
    "disease-control",
    "public-security",
    "medical-insurance",
    "human-resources",
    "taxation",
    "civil-affairs",
]
CASES = [
    *(("approval", point) for point in APPROVAL),
    *((name, str(point)) for name in BUREAUS for point in DEPARTMENT),
    *(("data-exchange", str(point)) for point in LEDGER),
]
WORST = [
    ("approval", FaultPoint.INTAKE_AFTER_COMMIT),
    ("approval", f"{FaultPoint.BATCH_AFTER_COMMIT}:2"),
    ("public-security", FaultPoint.BATCH_BEFORE_COMMIT),
    ("data-exchange", FaultPoint.SIGN_BEFORE_COMMIT),
]


async def survives(births: Births, name: str, point: str) -> None:
    births.arm(name, point)
    applying = asyncio.create_task(births.apply(2))
    await births.died(name)
    births.heal()
    await applying
    await births.settled_once()


@pytest.mark.parametrize(("name", "point"), WORST, ids=str)
async def test_a_process_killed_at_its_worst_point_loses_and_repeats_nothing(births: Births, name: str, point: str):
    await survives(births, name, point)


async def test_a_process_killed_at_a_point_drawn_by_lot_loses_and_repeats_nothing(births: Births, seed: int):
    name, point = random.Random(seed).choice(CASES)  # noqa: S311 - tests, not secrets
    await survives(births, name, point)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("name", "point"), CASES, ids=str)
async def test_a_process_killed_at_any_point_loses_and_repeats_nothing(births: Births, name: str, point: str):
    await survives(births, name, point)


async def test_everything_killed_at_once_goes_on_where_it_was(births: Births):
    await births.apply(4)
    for name in ("approval", "identity", *BUREAUS):
        births.city.kill(name)
    births.heal()
    await births.settled_once()
