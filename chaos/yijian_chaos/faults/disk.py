"""A disk without room: the database's, its log's, the brokers', or the one with the bureaus' files.

Files that stay open for writing keep a file system from being made read-only, so that is not tried: without room is
what a process meets.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import psycopg

from yijian_chaos import disks
from yijian_chaos.faults.fault import Fault, Skipped, in_thread
from yijian_chaos.schedule import Planned
from yijian_chaos.stage import Stage

SEGMENTS: Final = 400
"""More than the log's files that wait to be used again: one of so many has to be made."""


def build(planned: Planned) -> Fault:
    return Full(planned.component)


class Full:
    """No room on one disk; healed by giving it back, and starting the server that had to end for want of it."""

    def __init__(self, disk: str) -> None:
        self._disk = disk

    async def inject(self, stage: Stage) -> Mapping[str, Any]:
        if stage.disks.missing is not None:
            raise Skipped(stage.disks.missing)
        used = await in_thread(stage.disks.fill, self._disk)
        if self._disk == disks.WAL:
            # Ordinary traffic would take minutes to come to the end of the files that there are.
            await in_thread(use_up_log, stage.platform.postgres_admin_url)
        return {"bytes": used}

    async def heal(self, stage: Stage) -> Mapping[str, Any]:
        await in_thread(stage.disks.free, self._disk)
        ended = [name for name in _servers(stage, self._disk) if stage.process(name) is None]
        for name in ended:
            await in_thread(stage.start, name, wait=False)
        return {"ended": ended}


def use_up_log(url: str) -> None:
    """Write until the database needs a further file for its log, and cannot make one: then it ends by itself."""
    with suppress(psycopg.OperationalError), psycopg.connect(url, autocommit=True) as session:
        for _ in range(SEGMENTS):
            session.execute("SELECT pg_logical_emit_message(true, 'chaos', repeat('x', 1000))")
            session.execute("SELECT pg_switch_wal()")


def _servers(stage: Stage, disk: str) -> list[str]:
    match disk:
        case disks.KAFKA:
            return [name for name in stage.processes if name.startswith(disks.KAFKA)]
        case disks.STORES:
            return []
        case _:
            return [disks.POSTGRES]
