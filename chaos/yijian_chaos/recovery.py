"""How long each fault is felt after it has been healed.

Healthy again means: every process that no other fault holds says that it is ready, and an application handed in after
the heal was decided to the end. While several faults overlap nobody can tell whose pain it is: then the time counts
from the last heal among them, and the longest of their limits holds.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from yijian_chaos.timeline import Timeline

LOOK_EVERY_S = 0.5


@dataclass(slots=True)
class Hit:
    """A fault that was injected. Unix seconds; `holds` are the processes that it keeps from being ready."""

    planned: int
    fault: str
    component: str
    limit: float
    injected: float
    holds: frozenset[str] = frozenset()
    healed: float | None = None
    recovered: float | None = None


def measured(hit: Hit, others: Collection[Hit], *, at: float) -> tuple[float, float]:
    """How long a fault that is over `at` this moment was felt after its heal, and how long it might have been."""
    healed = hit.healed if hit.healed is not None else at
    overlapping = [
        other
        for other in others
        if other is not hit and other.injected < at and (other.recovered is None or other.recovered > healed)
    ]
    heals = [other.healed for other in overlapping if other.healed is not None and other.healed < at]
    since = max([healed, *heals])
    return at - since, max([hit.limit, *(other.limit for other in overlapping)])


class Recovery:
    """Watches the faults of one run. `unready` names the processes that are not ready; `served_since` says whether an
    application handed in after a moment was decided to the end.
    """

    def __init__(
        self,
        timeline: Timeline,
        *,
        unready: Callable[[Collection[str]], Awaitable[Collection[str]]],
        served_since: Callable[[float], Awaitable[bool]],
    ) -> None:
        self.hits: list[Hit] = []
        self._timeline = timeline
        self._unready = unready
        self._served_since = served_since

    @property
    def pending(self) -> list[Hit]:
        """What was healed and is not healthy yet."""
        return [hit for hit in self.hits if hit.healed is not None and hit.recovered is None]

    def held(self) -> frozenset[str]:
        """The processes that faults hold at the moment."""
        return frozenset(name for hit in self.hits if hit.healed is None for name in hit.holds)

    async def watch(self) -> None:
        """Look after whatever is healed, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self.pending:
                await self.look()

    async def look(self) -> None:
        """See which of those that wait are healthy."""
        waiting = self.pending
        began = time.time()
        served = [hit for hit in waiting if hit.healed is not None and await self._served_since(hit.healed)]
        if not served or await self._unready(self.held()):
            return
        for hit in served:
            after, limit = measured(hit, self.hits, at=began)
            self._note(hit, began, max(0.0, after), limit)

    def give_up(self) -> list[Hit]:
        """What never became healthy."""
        return self.pending

    def _note(self, hit: Hit, at: float, after: float, limit: float) -> None:
        hit.recovered = at
        self._timeline.note(
            "recovered",
            fault=hit.fault,
            component=hit.component,
            planned=hit.planned,
            after_s=round(after, 2),
            limit_s=limit,
        )
