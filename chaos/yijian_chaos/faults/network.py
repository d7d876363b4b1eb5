"""The wires between our processes and the servers: cut in two ways, late, narrow, and losing segments."""

from collections.abc import Mapping
from typing import Any, Final

from yijian_chaos.faults.fault import Fault, Skipped
from yijian_chaos.matrix import FaultKind
from yijian_chaos.schedule import Planned
from yijian_chaos.stage import Stage

LATENCY_S: Final = 0.5
JITTER_S: Final = 0.2
NARROW_BYTES_PER_S: Final = 8_000
"""64 kbit/s."""
LOSS: Final = 0.05


def build(planned: Planned) -> Fault:
    return Trouble(planned.component, planned.fault)


class Trouble:
    """Another mode for one wire; healed by letting it pass again, late, what it held back."""

    def __init__(self, wire: str, kind: FaultKind) -> None:
        self._wire = wire
        self._kind = kind

    async def inject(self, stage: Stage) -> Mapping[str, Any]:
        if self._wire not in stage.wires:
            raise Skipped("the stage has no wires")
        wire = stage.wires[self._wire]
        connections = await wire.connections()
        match self._kind:
            case FaultKind.REFUSE:
                await wire.refuse()
            case FaultKind.HANG:
                await wire.hang()
            case FaultKind.SLOW:
                await wire.slow(LATENCY_S, JITTER_S)
            case FaultKind.NARROW:
                await wire.slow(0, bytes_per_s=NARROW_BYTES_PER_S)
            case FaultKind.LOSSY:
                await wire.slow(0, loss=LOSS)
            case other:
                raise ValueError(f"{other} is not done to a wire")
        return {"connections": connections}

    async def heal(self, stage: Stage) -> Mapping[str, Any]:
        wire = stage.wires.get(self._wire)
        if wire is None:
            return {}
        await wire.pass_through()
        return {"connections": await wire.connections()}
