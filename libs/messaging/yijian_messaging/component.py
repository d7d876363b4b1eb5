"""What a process runs beside its HTTP server: consumers, relays, sweepers."""

import asyncio
from typing import Protocol


class Component(Protocol):
    """A loop of a process. `run` returns soon after `stopping` is set, with everything it accepted safely stored."""

    name: str

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set."""

    def problem(self) -> str | None:
        """Why this component makes no progress, in one sentence, or None when it does."""
