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
        self.failures: list[Exception] = []
        self._stage = stage
        self._plan = plan
        self._timeline = timeline
        self._recovery = recovery

    async def run(self, *, begins_at: float) -> None:
        """All of the schedule (monotonic `begins_at`); everything is healed on return.

        A fault that fails is one of `failures`; the others go on, since what they did is to be judged all the same.
        """
        try:
            async with asyncio.TaskGroup() as faults:
                for planned in self._plan:
                    await asyncio.sleep(max(0.0, begins_at + planned.at - time.monotonic()))
                    faults.create_task(self._carry_out(planned))
        finally:
            await asyncio.shield(heal_everything(self._stage))

    async def _carry_out(self, planned: Planned) -> None:
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
            hit.healed = await self._inject_and_heal(planned)
        except Skipped as skipped:
            self._recovery.hits.remove(hit)
            self.skipped[planned.index] = str(skipped)
            self._note("skipped", planned, why=str(skipped))
        except Exception as error:  # noqa: BLE001 - whatever a fault may raise
            self.failures.append(error)
            await self._undo(planned)
            hit.healed = self._note("failed", planned, error=type(error).__name__)

    async def _inject_and_heal(self, planned: Planned) -> float:
        """When it was healed (Unix seconds). Raises what the fault raises."""
        detail = await inject(self._stage, planned)
        self._note("inject", planned, variant=planned.variant, **detail)
        await asyncio.sleep(planned.until - planned.at)
        return self._note("heal", planned, **await heal(self._stage, planned))

    async def _undo(self, planned: Planned) -> None:
        """What a fault had done before it failed; what cannot be undone now is undone at the end of the run."""
        try:
            await heal(self._stage, planned)
        except Exception as error:  # noqa: BLE001 - whatever a fault may raise
            self.failures.append(error)

    def _note(self, event: str, planned: Planned, **detail: object) -> float:
        names = {"fault": planned.fault.value, "component": planned.component, "planned": planned.index}
        at: float = self._timeline.note(event, **names, detail=detail)["at"]
        return at
