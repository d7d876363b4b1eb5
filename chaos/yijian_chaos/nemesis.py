"""Carries out a schedule of faults beside the load: each begins at its moment and is healed when its time is over."""

import asyncio
import time
from collections.abc import Sequence

from yijian_chaos.faults import Skipped, heal, heal_everything, inject
from yijian_chaos.recovery import Hit, Recovery
from yijian_chaos.schedule import Planned
from yijian_chaos.stage import Stage
from yijian_chaos.timeline import Timeline


class Nemesis:
    """The faults of one run."""

    def __init__(self, stage: Stage, plan: Sequence[Planned], timeline: Timeline, recovery: Recovery) -> None:
        self.skipped: dict[int, str] = {}
        self._stage = stage
        self._plan = plan
        self._timeline = timeline
        self._recovery = recovery

    async def run(self, *, begins_at: float) -> None:
        """All of the schedule (monotonic `begins_at`); everything is healed on return. Raises what a fault raises."""
        try:
            async with asyncio.TaskGroup() as faults:
                for planned in self._plan:
                    await asyncio.sleep(max(0.0, begins_at + planned.at - time.monotonic()))
                    faults.create_task(self._carry_out(planned))
        finally:
            await asyncio.shield(heal_everything(self._stage))

    async def _carry_out(self, planned: Planned) -> None:
        names = {"fault": planned.fault.value, "component": planned.component, "planned": planned.index}
        hit = Hit(
            planned.index,
            planned.fault.value,
            planned.component,
            planned.limit_s,
            injected=time.time(),
            holds=planned.takes,
        )
        self._recovery.hits.append(hit)
        try:
            detail = await inject(self._stage, planned)
        except Skipped as skipped:
            self._recovery.hits.remove(hit)
            self.skipped[planned.index] = str(skipped)
            self._timeline.note("skipped", **names, detail={"why": str(skipped)})
            return
        self._timeline.note("inject", **names, detail={"variant": planned.variant, **detail})
        await asyncio.sleep(planned.until - planned.at)
        found = await heal(self._stage, planned)
        hit.healed = self._timeline.note("heal", **names, detail=found)["at"]
