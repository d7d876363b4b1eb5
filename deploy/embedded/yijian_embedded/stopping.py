"""Work on a platform that Ctrl-C and SIGTERM end by way of everything that has to be put back."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_until_stopped(
    work: Coroutine[Any, Any, T], *, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> T | None:
    """What the work returns, or None when somebody asked to stop (SIGINT, SIGTERM) and it has put everything back."""
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        try:
            return runner.run(_stoppable(work))
        except (asyncio.CancelledError, KeyboardInterrupt):
            return None


async def _stoppable(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.create_task(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task
