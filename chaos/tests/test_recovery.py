"""How long a fault is felt: from its own heal, or from the last one among those that overlapped."""

from collections.abc import Collection
from pathlib import Path

import pytest
from yijian_chaos.recovery import Hit, Recovery, measured
from yijian_chaos.timeline import Timeline


def hit(
    planned: int, injected: float, healed: float | None, *, limit: float = 10, recovered: float | None = None
) -> Hit:
    return Hit(planned, "kill", f"process-{planned}", limit, injected, healed=healed, recovered=recovered)


def test_a_fault_alone_counts_from_its_heal():
    one = hit(0, 100, 110)
    assert measured(one, [one], at=114) == (4, 10)


def test_an_earlier_fault_that_is_over_does_not_count():
    earlier = hit(0, 50, 60, limit=60, recovered=65)
    one = hit(1, 100, 110)
    assert measured(one, [earlier, one], at=114) == (4, 10)


def test_while_two_overlap_the_later_heal_and_the_longer_limit_count():
    one, other = hit(0, 100, 110, limit=10), hit(1, 105, 140, limit=60)
    assert measured(one, [one, other], at=170) == (30, 60)
    assert measured(other, [one, other], at=170) == (30, 60)


def test_a_fault_injected_after_recovery_changes_nothing():
    one, later = hit(0, 100, 110), hit(1, 120, 150, limit=60)
    assert measured(one, [one, later], at=114) == (4, 10)


def test_who_recovers_although_another_is_still_held_is_measured_by_its_own_heal():
    one, held = hit(0, 100, 110), hit(1, 90, None, limit=60)
    assert measured(one, [one, held], at=114) == (4, 60)


class Platform:
    """What a recovery asks: who is not ready, and since when an application was served."""

    def __init__(self) -> None:
        self.lacking: set[str] = set()
        self.served_from = 0.0
        self.asked: list[Collection[str]] = []

    async def unready(self, held: Collection[str]) -> Collection[str]:
        self.asked.append(held)
        return self.lacking - set(held)

    async def served_since(self, moment: float) -> bool:
        return self.served_from > moment


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
def recovery(platform: Platform, tmp_path: Path) -> Recovery:
    timeline = Timeline(tmp_path / "timeline.jsonl", lambda _: None)
    return Recovery(timeline, unready=platform.unready, served_since=platform.served_since)


async def test_ready_without_an_application_served_since_the_heal_is_not_healthy(
    platform: Platform, recovery: Recovery
):
    recovery.hits.append(hit(0, 100, 110))
    platform.served_from = 109

    await recovery.look()
    assert [one.planned for one in recovery.pending] == [0]

    platform.served_from = 111
    await recovery.look()
    assert recovery.pending == []


async def test_a_process_that_is_not_ready_is_waited_for_unless_another_fault_holds_it(
    platform: Platform, recovery: Recovery
):
    platform.served_from = 1000
    platform.lacking = {"rating"}
    recovery.hits.append(hit(0, 100, 110))

    await recovery.look()
    assert recovery.pending

    paused = Hit(1, "pause", "rating", 35, 112, holds=frozenset({"rating"}))
    recovery.hits.append(paused)
    await recovery.look()
    assert recovery.pending == []
    assert platform.asked[-1] == {"rating"}
