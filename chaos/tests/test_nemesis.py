"""The nemesis goes on: one fault that cannot be done does not end a run that others have already marked."""

import time
from pathlib import Path
from typing import Any

import pytest
from yijian_chaos import nemesis
from yijian_chaos.faults import Skipped
from yijian_chaos.matrix import FaultKind
from yijian_chaos.nemesis import Nemesis
from yijian_chaos.recovery import Recovery
from yijian_chaos.schedule import Planned
from yijian_chaos.timeline import Timeline


def planned(index: int, component: str) -> Planned:
    return Planned(index, 0.0, 0.01, "records", FaultKind.DUPLICATES, component, "", 20.0)


async def test_a_fault_that_fails_is_told_and_the_others_are_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    healed: list[str] = []

    async def inject(_: Any, one: Planned) -> dict[str, Any]:
        if one.component == "broken":
            raise TimeoutError
        if one.component == "not here":
            raise Skipped("no mount")
        return {}

    async def heal(_: Any, one: Planned) -> dict[str, Any]:
        healed.append(one.component)
        if one.component == "broken":
            raise OSError
        return {}

    async def heal_everything(_: Any) -> None:
        healed.append("everything")

    monkeypatch.setattr(nemesis, "inject", inject)
    monkeypatch.setattr(nemesis, "heal", heal)
    monkeypatch.setattr(nemesis, "heal_everything", heal_everything)
    timeline = Timeline(tmp_path / "timeline.jsonl", lambda _: None)
    recovery = Recovery(timeline, unready=None, served_since=None)  # type: ignore[arg-type] # nobody looks
    plan = [planned(0, "broken"), planned(1, "not here"), planned(2, "health")]
    evil = Nemesis(None, plan, timeline, recovery)  # type: ignore[arg-type] # nothing is done to it

    await evil.run(begins_at=time.monotonic())

    assert [type(error) for error in evil.failures] == [TimeoutError, OSError]
    assert evil.skipped == {1: "no mount"}
    # What had been done before it failed does not last until the end of the run.
    assert healed == ["broken", "health", "everything"]
    assert {(event["component"], event["event"]) for event in timeline.events} == {
        ("broken", "failed"),
        ("not here", "skipped"),
        ("health", "inject"),
        ("health", "heal"),
    }
    # What failed holds nobody back from being looked at for health.
    assert all(hit.healed is not None for hit in recovery.hits)
