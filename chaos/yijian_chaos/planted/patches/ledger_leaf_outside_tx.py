"""Disclosures are written down by the way, every moment, in transactions of their own."""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from approval import effects
from approval.effects import outgoing
from approval.rows import Held
from yijian_contracts.events import DataDisclosed, Event
from yijian_messaging import Outgoing
from yijian_messaging.postgres import PostgresStore

from yijian_chaos.planted.replacing import replace

log = structlog.get_logger(__name__)

EVERY_SECONDS = 0.2


class _ByTheWay:
    """What was disclosed and is not written down yet."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.messages: list[Outgoing] = []
        self.store: PostgresStore | None = None
        self._writing: asyncio.Task[None] | None = None

    def begin(self, insert: Any) -> None:
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(insert))

    async def _write(self, insert: Any) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            rows, self.rows = self.rows, []
            messages, self.messages = self.messages, []
            if self.store is None or not rows:
                continue
            try:
                async with self.store.transaction() as transaction:
                    await insert(transaction.connection, rows)
                    await transaction.publish(messages)
            except Exception as error:  # noqa: BLE001 - it is only what was done, not the doing
                log.warning("not_written_down", count=len(rows), error=type(error).__name__)


def plant() -> None:
    later = _ByTheWay()
    insert = effects._insert_disclosures  # noqa: SLF001 - a bug is planted where no door is
    say = effects._Work.say  # noqa: SLF001 - a bug is planted where no door is
    init = PostgresStore.__init__

    def remember_store(self: PostgresStore, *parts: Any, **named: Any) -> None:
        init(self, *parts, **named)
        later.store = self

    def say_later(self: Any, event: Event, held: Held, *, gate: str | None = None) -> None:
        if isinstance(event, DataDisclosed):
            later.messages.append(outgoing(event, held.traceparent))
        else:
            say(self, event, held, gate=gate)

    async def insert_later(_connection: object, disclosures: Sequence[Any]) -> None:
        later.rows += disclosures
        later.begin(insert)

    replace(PostgresStore, "__init__", remember_store)
    replace(effects._Work, "say", say_later)  # noqa: SLF001 - a bug is planted where no door is
    replace(effects, "_insert_disclosures", insert_later)
