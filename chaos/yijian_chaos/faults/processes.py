"""Our own processes: killed, killed at a point inside the code, and paused."""

import asyncio
from collections.abc import Mapping
from typing import Any

import psutil
from yijian_messaging.faultpoints import VARIABLE

from yijian_chaos.faults.fault import Fault, in_thread
from yijian_chaos.matrix import FaultKind
from yijian_chaos.schedule import Planned
from yijian_chaos.stage import Stage

STARTS_WITHIN_S = 25.0
LOOK_EVERY_S = 0.2
LATEST_REACHING = 3
"""A process dies when it reaches its point for the first, second or third time."""


def build(planned: Planned) -> Fault:
    match planned.fault:
        case FaultKind.KILL:
            return Kill(planned.component)
        case FaultKind.PAUSE:
            return Pause(planned.component)
        case FaultKind.KILL_POINT:
            return KillPoint(planned.component, f"{planned.variant}:{1 + planned.index % LATEST_REACHING}")
        case other:
            raise ValueError(f"{other} is not done to our processes")


class Kill:
    """SIGKILL; healed by starting it again."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def inject(self, stage: Stage) -> Mapping[str, Any]:
        pid = stage.pid(self._name)
        await in_thread(stage.kill, self._name)
        return {"pid": pid}

    async def heal(self, stage: Stage) -> Mapping[str, Any]:
        await in_thread(stage.start, self._name, wait=False)
        return {"pid": stage.pid(self._name)}


class Pause:
    """SIGSTOP for a process and its children: for the others it is silent, and it does not know of the time."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def inject(self, stage: Stage) -> Mapping[str, Any]:
        await in_thread(stage.pause, self._name)
        return {"pid": stage.pid(self._name)}

    async def heal(self, stage: Stage) -> Mapping[str, Any]:
        await in_thread(stage.resume, self._name)
        return {}


class KillPoint:
    """Restarted so that it kills itself at this point of the code; healed by starting it without."""

    def __init__(self, name: str, point: str) -> None:
        self._name = name
        self._point = point

    async def inject(self, stage: Stage) -> Mapping[str, Any]:
        await in_thread(stage.stop, self._name)
        await in_thread(stage.start, self._name, {VARIABLE: self._point}, wait=False)
        return {"point": self._point, "ready": await self._is_back(stage)}

    async def _is_back(self, stage: Stage) -> bool:
        """Let it start: the time that a fault lasts is for reaching the point. False if it did already, or is slow."""
        try:
            async with asyncio.timeout(STARTS_WITHIN_S):
                while stage.process(self._name) is not None:
                    if await in_thread(stage.is_ready, self._name):
                        return True
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError:
            pass
        return False

    async def heal(self, stage: Stage) -> Mapping[str, Any]:
        process = stage.process(self._name)
        reached = process is None
        if process is not None and _is_armed(process):
            await in_thread(stage.stop, self._name)
        await in_thread(stage.start, self._name, wait=False)
        return {"reached": reached}


def _is_armed(process: psutil.Process) -> bool:
    try:
        return VARIABLE in process.environ()
    except psutil.NoSuchProcess:
        return False
