"""For tests of whoever builds on this library."""

import asyncio
import time
from collections.abc import Awaitable, Callable


async def wait_until(condition: Callable[[], Awaitable[bool]], *, what: str, within: float = 60.0) -> None:
    """Wait for something that will become true; names it when it does not."""
    deadline = time.monotonic() + within
    while not await condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {within} s for {what}")
        await asyncio.sleep(0.02)
