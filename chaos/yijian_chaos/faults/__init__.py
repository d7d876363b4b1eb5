"""Everything that can be done to a stage, one module for each family.

`inject` does it, `heal` undoes it: as often as one likes, and also what an `inject` that failed had done before it
failed. What this machine does not allow raises `Skipped`, with the reason.
"""

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from yijian_chaos.disks import DISKS
from yijian_chaos.faults import clock, disk, kafka_faults, network, postgres_faults, processes, records
from yijian_chaos.faults.fault import Fault, Skipped, in_thread
from yijian_chaos.matrix import Family
from yijian_chaos.schedule import Planned
from yijian_chaos.stage import Stage

__all__ = ["Fault", "Skipped", "build", "heal", "heal_everything", "inject"]

_BUILD: Final[Mapping[str, Callable[[Planned], Fault]]] = {
    Family.PROCESSES: processes.build,
    Family.NETWORK: network.build,
    Family.KAFKA: kafka_faults.build,
    Family.POSTGRES: postgres_faults.build,
    Family.DISK: disk.build,
    Family.RECORDS: records.build,
    Family.CLOCK: clock.build,
}

_under_way: MutableMapping[Stage, dict[Planned, Fault]] = WeakKeyDictionary()


def build(planned: Planned) -> Fault:
    """The fault that is planned, not injected yet."""
    return _BUILD[planned.family](planned)


async def inject(stage: Stage, planned: Planned) -> dict[str, Any]:
    """Do it; says what was done. Raises `Skipped`."""
    fault = build(planned)
    _under_way.setdefault(stage, {})[planned] = fault
    return dict(await fault.inject(stage))


async def heal(stage: Stage, planned: Planned) -> dict[str, Any]:
    """Undo it; says what was found. One that was never injected is healed already."""
    fault = _under_way.get(stage, {}).get(planned)
    detail = dict(await fault.heal(stage)) if fault else {}
    _under_way.get(stage, {}).pop(planned, None)
    return detail


async def heal_everything(stage: Stage) -> None:
    """Leave nothing as a fault made it, whatever had been injected: then everything runs and reaches everything."""
    for planned in tuple(_under_way.get(stage, {})):
        await heal(stage, planned)
    for disk_name in DISKS:
        await in_thread(stage.disks.free, disk_name)
    for wire in stage.wires.values():
        await wire.pass_through()
    for name in stage.processes:
        await in_thread(stage.resume, name)
    # The servers stand at the end of the stage's list, and everything else needs them.
    for name in reversed(stage.processes):
        if stage.process(name) is None:
            await in_thread(stage.start, name, wait=False)
