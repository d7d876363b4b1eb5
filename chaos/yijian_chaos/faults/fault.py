"""What every fault is."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, Protocol, TypeVar

from yijian_chaos.stage import Stage

P = ParamSpec("P")
T = TypeVar("T")


class Skipped(Exception):  # noqa: N818 - what happened to the fault, not an error
    """This machine does not allow the fault; the text says why."""


class Fault(Protocol):
    """One thing done to a stage, and undone. What both say goes into the run's timeline."""

    async def inject(self, stage: Stage) -> Mapping[str, Any]:
        """Do it. Raises `Skipped`."""
        ...

    async def heal(self, stage: Stage) -> Mapping[str, Any]:
        """Undo it, as often as asked, also when `inject` has failed half way."""
        ...


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Let what blocks, such as starting a process, block nobody."""
    return await asyncio.to_thread(work, *args, **kwargs)
