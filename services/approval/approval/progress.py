"""Live progress: each API process reads approval's events once and wakes whoever watches an application.

What watchers see comes from the timeline; the event is only the hint to look. So nothing is missed when Kafka is
away, and an application seen by one process only is seen by all.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from uuid import UUID

import structlog
from aiokafka.errors import KafkaError
from yijian_contracts.cloudevents import UndecodableError, decode
from yijian_contracts.events import ApplicationsProgressed
from yijian_contracts.topics import APPLICATIONS
from yijian_messaging import KafkaSettings
from yijian_messaging.kafka import build_tail, discard_consumer
from yijian_messaging.patience import within

log = structlog.get_logger(__name__)

LOOK_AGAIN_SECONDS = 15.0
TYPE_HEADER, APPLICATIONS_PROGRESSED = "ce_type", ApplicationsProgressed.full_type().encode()
Headers = Sequence[tuple[str, bytes]]


class Progress:
    """A component; `changes` is for the routes."""

    name = "progress"

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._watchers: dict[UUID, set[asyncio.Event]] = defaultdict(set)
        self._problem: str | None = None

    def problem(self) -> str | None:
        return self._problem

    @contextlib.contextmanager
    def _watching(self, application_id: UUID) -> Iterator[asyncio.Event]:
        changed = asyncio.Event()
        self._watchers[application_id].add(changed)
        try:
            yield changed
        finally:
            self._watchers[application_id].discard(changed)
            if not self._watchers[application_id]:
                del self._watchers[application_id]

    async def changes(self, application_id: UUID, *, stopping: asyncio.Event) -> AsyncIterator[None]:
        """Now, and then each time the application may have changed, until the process stops."""
        with self._watching(application_id) as changed:
            while not stopping.is_set():
                changed.clear()
                yield
                waits = [asyncio.create_task(changed.wait()), asyncio.create_task(stopping.wait())]
                try:
                    await asyncio.wait(waits, timeout=LOOK_AGAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for wait in waits:
                        wait.cancel()

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await self._tail(stopping)
            except (KafkaError, OSError, TimeoutError) as error:
                self._problem = f"progress is shown with delay: Kafka does not answer ({type(error).__name__})"
                log.warning("progress_tail_lost", error=type(error).__name__)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), 1)

    async def _tail(self, stopping: asyncio.Event) -> None:
        consumer = build_tail(self._kafka)
        try:
            await within(15, consumer.start())
            consumer.subscribe([APPLICATIONS])
            self._problem = None
            while not stopping.is_set():
                polled = await consumer.getmany(timeout_ms=200, max_records=1000)
                if self._watchers:
                    for records in polled.values():
                        for record in records:
                            self._wake(record.headers, record.value)
        finally:
            await discard_consumer(consumer)

    def _wake(self, headers: Headers, value: bytes | None) -> None:
        if (TYPE_HEADER, APPLICATIONS_PROGRESSED) not in headers:
            return
        with contextlib.suppress(UndecodableError):
            event = decode(headers, value).data
            if isinstance(event, ApplicationsProgressed):
                for moved in event.moved:
                    for changed in self._watchers.get(moved.application_id, ()):
                        changed.set()
