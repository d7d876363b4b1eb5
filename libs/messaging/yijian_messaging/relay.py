"""Kafka out: sends what the outbox holds, and marks what Kafka acknowledged.

A relay owns shards of the key hash by a lease, so that each key has one sender and its messages keep their order. A
paused owner's late send is a duplicate of the same event id, nothing worse.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from yijian_messaging import kafka, metrics
from yijian_messaging.faultpoints import FaultPoint, reach
from yijian_messaging.gates import Gate, Gates
from yijian_messaging.packing import Packed, pack
from yijian_messaging.patience import within
from yijian_messaging.settings import PRODUCTION, KafkaSettings, Tuning
from yijian_messaging.store import Store, Unsent

log = structlog.get_logger(__name__)

FRESH_SECONDS = 1.0
MAX_PAUSE = 5.0
HOUSEKEEPING_SECONDS = 600.0
PURGE_PAUSE = 0.1


class Relay:
    """The sender of one store's outbox. Rows behind a gate that `gates` does not know wait for one that does."""

    def __init__(
        self,
        *,
        store: Store[Any],
        kafka: KafkaSettings,
        tuning: Tuning = PRODUCTION,
        gates: Mapping[str, Gate] | None = None,
    ) -> None:
        self.name = "relay"
        self._gates = Gates(gates or {})
        self._store = store
        self._kafka = kafka
        self._tuning = tuning
        # A process that comes back under its instance's name is its predecessor's proof of death.
        self._predecessors = f"{kafka.username or 'relay'}/{kafka.instance}/" if kafka.instance else None
        self._owner = f"{self._predecessors or kafka.username or 'relay'}-{os.getpid()}-{uuid4().hex[:12]}"
        self._producer: AIOKafkaProducer | None = None
        self._shards: list[int] = []
        self._lease_until = 0.0
        self._renew_at = 0.0
        self._housekeep_at = 0.0
        self._purge_at = 0.0
        self._work = asyncio.Event()
        self._problem: str | None = None
        store.on_publish(self._work.set)

    def problem(self) -> str | None:
        return self._problem

    async def run(self, stopping: asyncio.Event) -> None:
        pause = 0.1
        try:
            while not stopping.is_set():
                try:
                    await self._renew()
                    # Before reading: what is committed while we read wakes us again.
                    self._work.clear()
                    sent = await self._send_some()
                    self._problem = None
                    pause = 0.1
                    if not sent:
                        await self._idle(stopping)
                except Exception as error:
                    if not isinstance(error, KafkaError) and not self._store.is_transient(error):
                        raise
                    self._problem = f"nothing can be sent ({type(error).__name__}); trying again"
                    log.warning("relay_waits", error=type(error).__name__)
                    await self._rest(stopping, pause)
                    pause = min(pause * 2, MAX_PAUSE)
        finally:
            await self._stop()

    async def _idle(self, stopping: asyncio.Event) -> None:
        """Wait for a commit of this process; others' commits are found by polling."""
        stop = asyncio.ensure_future(stopping.wait())
        work = asyncio.ensure_future(self._work.wait())
        _, waiting = await asyncio.wait(
            (stop, work), timeout=self._tuning.relay_poll, return_when=asyncio.FIRST_COMPLETED
        )
        for task in waiting:
            task.cancel()

    async def _renew(self) -> None:
        if self._predecessors is not None:
            await self._store.release_predecessors(self._predecessors)
            self._predecessors = None
        now = time.monotonic()
        if now >= self._renew_at:
            self._shards = await self._store.lease_shards(self._owner, self._tuning.lease)
            # Counted from before the call, and ended early: a lease must be over for us before it is for others.
            self._lease_until = now + self._tuning.lease * 0.8
            self._renew_at = now + self._tuning.lease / 3
            rows, age = await self._store.backlog()
            metrics.UNSENT_ROWS.set(rows)
            metrics.UNSENT_AGE.set(age)
        if now >= self._housekeep_at:
            self._housekeep_at = now + HOUSEKEEPING_SECONDS
            await self._store.housekeep()
        if now >= self._purge_at:
            # One batch between two sends: what has piled up is worked off without holding up what waits.
            more = await self._store.purge()
            self._purge_at = time.monotonic() + (PURGE_PAUSE if more else HOUSEKEEPING_SECONDS)

    async def _send_some(self) -> int:
        """Send the oldest rows; returns how many Kafka acknowledged."""
        if not self._shards:
            return 0
        rows = await self._store.unsent(self._shards, self._tuning.relay_batch, open_gates=await self._gates.open())
        if not rows:
            return 0
        reach(FaultPoint.RELAY_BEFORE_SEND)
        try:
            acknowledged = await self._produce(rows)
        except (*kafka.PRODUCER_LOST, TimeoutError, asyncio.CancelledError):
            # What became of the rows is unknown: they are sent again by a new producer, under the same ids.
            await self._discard_producer()
            raise
        reach(FaultPoint.RELAY_AFTER_SEND)
        if acknowledged:
            await self._store.mark_sent(self._owner, acknowledged)
            reach(FaultPoint.RELAY_AFTER_MARK)
            metrics.SENT.labels(self._kafka.username or "relay").inc(len(acknowledged))
        return len(acknowledged)

    async def _produce(self, rows: Sequence[Unsent]) -> list[Unsent]:
        """Hand rows over, a batch for each partition; returns those that Kafka acknowledged."""
        producer = await self._get_producer()
        fresh_until = min(time.monotonic() + FRESH_SECONDS, self._lease_until)
        async with asyncio.timeout(self._tuning.send_timeout):
            packed = await pack(producer, [row for row in rows if self._gates.lets_pass(row.message.gate)])
            sending: list[tuple[Packed, asyncio.Future[Any]]] = []
            for batch in packed.batches:
                # What waited is read again before it is sent, so that what was cancelled meanwhile is not.
                if time.monotonic() > fresh_until or not all(self._gates.lets_pass(gate) for gate in batch.gates):
                    break
                sending.append((batch, await batch.send(producer)))
            reach(FaultPoint.RELAY_BEFORE_ACKNOWLEDGED)
            results = await asyncio.gather(*(future for _, future in sending), return_exceptions=True)
        for row, why in packed.refused:
            await self._store.park(row, f"Kafka refuses it: {why}")
        return await self._sort_out([(batch.rows, result) for (batch, _), result in zip(sending, results, strict=True)])

    async def _sort_out(self, results: Sequence[tuple[Sequence[Unsent], Any]]) -> list[Unsent]:
        acknowledged = [row for rows, result in results if not isinstance(result, BaseException) for row in rows]
        lost: BaseException | None = None
        for rows, result in results:
            if isinstance(result, kafka.ROW_REFUSED):
                # It holds for each of them: no batch is larger than what a topic takes unless it is a single row.
                for row in rows:
                    await self._store.park(row, f"Kafka refuses it: {type(result).__name__}")
            elif isinstance(result, BaseException):
                lost = result
        if lost is not None:
            if acknowledged:
                await self._store.mark_sent(self._owner, acknowledged)
            raise lost
        return acknowledged

    async def _get_producer(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = kafka.build_producer(self._kafka, self._tuning)
            try:
                await within(15, producer.start())
            except BaseException:
                await kafka.discard_producer(producer, seconds=1)
                raise
            self._producer = producer
        return self._producer

    async def _discard_producer(self) -> None:
        if self._producer is not None:
            metrics.REBUILDS.labels(self.name).inc()
            producer, self._producer = self._producer, None
            await kafka.discard_producer(producer, seconds=1)

    async def _stop(self) -> None:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._store.release_shards(self._owner), 3)
        if self._producer is not None:
            await kafka.discard_producer(self._producer, seconds=3)

    async def _rest(self, stopping: asyncio.Event, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), seconds)
