"""The brokers: restarted, killed, paused, and so many away that no partition has a leader."""

from collections.abc import Mapping, Sequence
from typing import Any

from yijian_chaos.faults.fault import Fault, in_thread
from yijian_chaos.faults.processes import Kill, Pause
from yijian_chaos.matrix import KAFKA, FaultKind
from yijian_chaos.schedule import Planned
from yijian_chaos.stage import Stage


def build(planned: Planned) -> Fault:
    match planned.fault:
        case FaultKind.BROKER_KILL:
            return Kill(planned.component)
        case FaultKind.BROKER_PAUSE:
            return Pause(planned.component)
        case FaultKind.BROKER_RESTART:
            return Restart(planned.component)
        case FaultKind.LEADERLESS:
            return Leaderless()
        case other:
            raise ValueError(f"{other} is not done to a broker")


class Restart:
    """A server ends in good order; healed by starting it again."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def inject(self, stage: Stage) -> Mapping[str, Any]:
        await in_thread(stage.stop, self._name)
        return {}

    async def heal(self, stage: Stage) -> Mapping[str, Any]:
        await in_thread(stage.start, self._name, wait=False)
        return {"pid": stage.pid(self._name)}


class Leaderless:
    """The only broker, or two of three, are killed: nothing can be written, and nobody can be elected."""

    async def inject(self, stage: Stage) -> Mapping[str, Any]:
        killed = _more_than_may_be_away(stage)
        for name in killed:
            await in_thread(stage.kill, name)
        return {"brokers": killed}

    async def heal(self, stage: Stage) -> Mapping[str, Any]:
        for name in _more_than_may_be_away(stage):
            await in_thread(stage.start, name, wait=False)
        return {}


def _more_than_may_be_away(stage: Stage) -> Sequence[str]:
    brokers = [name for name in stage.processes if name.startswith(KAFKA)]
    return brokers[: (len(brokers) - 1) // 2 + 1]
