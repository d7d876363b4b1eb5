"""What a transaction changes and says, collected in memory and written at its end in a few statements."""

import sqlite3
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from yijian_contracts.cloudevents import EncodedEvent, encode
from yijian_contracts.events import Event
from yijian_messaging.record import Outgoing
from yijian_messaging.store import Transaction

from yijian_department.tasks import StoredTask, find_tasks, save_tasks

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class Batch:
    """The tasks that one transaction touches. Later messages about a task see what earlier ones did to it."""

    def __init__(self, tx: Transaction[sqlite3.Connection], *, source: str, now: datetime) -> None:
        self.db = tx.connection
        self.now = now
        self.instant = now.timestamp()
        self.hung: set[str] = set()
        """Matters whose handler gave no answer in time: they are not asked again in this transaction, since each
        silence holds up everybody."""
        self._tx = tx
        self._source = source
        self._known: dict[str, StoredTask] = {}
        self._changed: dict[str, StoredTask] = {}
        self._outgoing: list[Outgoing] = []

    def read(self, task_ids: Iterable[str]) -> None:
        """Read these tasks in one statement, before the first of them is looked at."""
        self._known |= find_tasks(self.db, task_ids)

    def find(self, task_id: str) -> StoredTask | None:
        return self._known.get(task_id)

    def change(self, task: StoredTask) -> None:
        """Write `task` at the end."""
        self._known[task.task_id] = self._changed[task.task_id] = task

    def say(self, event: Event, *, traceparent: str | None, at: datetime | None = None) -> EncodedEvent:
        """Publish `event` at the end; `at` is when it became true, if that was not now."""
        encoded = encode(event, source=self._source, time=at or self.now, traceparent=traceparent)
        self._outgoing.append(
            Outgoing(
                id=encoded.id,
                topic=encoded.topic,
                key=encoded.key,
                headers=encoded.headers,
                value=encoded.value,
                personal=hasattr(event, "personal"),
            )
        )
        return encoded

    @property
    def has_due(self) -> bool:
        """Whether a changed task is to be looked at again at some time."""
        return any(task.next_look_at is not None for task in self._changed.values())

    async def incident(self, kind: str, subject: str, summary: str) -> None:
        await self._tx.open_incident(kind, subject, summary)

    async def write(self) -> None:
        """Write the changed tasks and put what was said into the outbox."""
        if self._changed:
            save_tasks(self.db, self._changed.values())
        if self._outgoing:
            await self._tx.publish(self._outgoing)
