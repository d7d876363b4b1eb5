"""Gates: conditions under which some rows of an outbox may be sent at all, asked for just before they would be.

A row that names a gate is left where it is while the gate is closed, whatever its key; other rows pass it by. What a
gate said is remembered for at most `REMEMBERED_SECONDS`, so that polling does not become asking, and no row behind it
is handed to Kafka later than `GOOD_SECONDS` after the gate was asked, however long anything takes in between.
"""

import time
from collections.abc import Awaitable, Callable, Mapping

import structlog

from yijian_messaging import metrics

log = structlog.get_logger(__name__)

REMEMBERED_SECONDS = 1.0
GOOD_SECONDS = 2.0

Gate = Callable[[], Awaitable[bool]]
"""Whether rows behind it may be sent now."""


class Gates:
    """What a relay knows of its gates."""

    def __init__(self, gates: Mapping[str, Gate]) -> None:
        if "" in gates:
            raise ValueError("a gate needs a name")
        self._gates = gates
        self._open: tuple[str, ...] = ()
        self._ask_at = 0.0
        self._good_until = 0.0

    async def open(self) -> tuple[str, ...]:
        """The names of the gates that are open. A gate that fails is closed: it holds up nobody but its own rows."""
        if self._gates and time.monotonic() >= self._ask_at:
            # Counted from before the asking: an answer that took long is old when it comes.
            asked_at = time.monotonic()
            self._open = tuple([name for name, gate in self._gates.items() if await _ask(name, gate)])
            self._ask_at = asked_at + REMEMBERED_SECONDS
            self._good_until = asked_at + GOOD_SECONDS
        return self._open

    def lets_pass(self, gate: str | None) -> bool:
        """Whether a row that was read after `open` may still be handed over."""
        return gate is None or time.monotonic() < self._good_until


async def _ask(name: str, gate: Gate) -> bool:
    try:
        is_open = await gate()
    except Exception as error:  # noqa: BLE001 - whatever it is, nothing behind the gate may be sent
        log.warning("gate_failed", gate=name, error=type(error).__name__)
        is_open = False
    metrics.GATE_OPEN.labels(name).set(is_open)
    return is_open
