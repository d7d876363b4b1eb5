"""Kafka in: batches of records, one transaction each, offsets beside their effect.

Who may act on a record is decided by the database, not by the consumer group: the first statement of every batch
moves its offsets by compare-and-set, so a former owner or a late seek can neither skip nor repeat. The group's own
committed offset is for monitoring only.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from yijian_messaging import kafka, metrics
from yijian_messaging.faultpoints import FaultPoint, reach
from yijian_messaging.inbox import inbox_key
from yijian_messaging.patience import within
from yijian_messaging.record import Decoded, Message, Record, Rejected
from yijian_messaging.settings import PRODUCTION, KafkaSettings, Tuning
from yijian_messaging.store import DeadLetter, LetterState, Move, Store, Transaction
from yijian_messaging.tracing import processing

log = structlog.get_logger(__name__)

T = TypeVar("T")
C = TypeVar("C")

Handler = Callable[[Transaction[C], Sequence[Message[T]]], Awaitable[Sequence[Rejected] | None]]

REPLAY_INTERVAL = 1.0
MAX_PAUSE = 5.0
LEADER_PATIENCE = 2.0
MAX_EMPTY_PERIODS = 16
LETTING_GO = 5


class StandstillError(Exception):
    """Something should move and does not: the session is given up for a new one."""


class OffsetMovedError(Exception):
    """Another process has handled these records, or ours start at the wrong place: read on from the stored offset."""


@dataclass(frozen=True, slots=True)
class _Arrival(Generic[T]):
    """A record with what it means, or with why it means nothing; one without either is for others to read."""

    record: Record
    decoded: Decoded[T] | None
    error: str = ""


class _Assignments(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka is untyped
    """Holds new partitions back until their stored offsets were read."""

    def __init__(self) -> None:
        self.consumer: AIOKafkaConsumer | None = None
        self.unplaced: set[TopicPartition] = set()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self.unplaced -= set(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        partitions = set(assigned)
        self.unplaced |= partitions
        if self.consumer is not None and partitions:
            self.consumer.pause(*partitions)


class Consumer(Generic[T, C]):
    """Reads topics as one member of a group and hands what is new to `handle`, inside the batch's transaction.

    `decode` raises ValueError for a record that means nothing: it becomes a dead letter, its neighbours go on. It
    returns None for one that is for other readers of the topic: the offset moves on, nothing else is kept of it.
    `handle` may return messages that it rejects: they become dead letters, what it did for the others stands. An
    exception from `handle` rolls back; if it is not transient the batch is halved until the culprit is alone,
    tried `Tuning.tries` times, and then becomes a dead letter with an incident.
    """

    def __init__(
        self,
        *,
        group: str,
        topics: Sequence[str],
        store: Store[C],
        kafka: KafkaSettings,
        decode: Callable[[Record], Decoded[T] | None],
        handle: Handler[C, T],
        tuning: Tuning = PRODUCTION,
    ) -> None:
        self.name = group
        self._topics = tuple(topics)
        self._store = store
        self._kafka = kafka
        self._decode = decode
        self._handle = handle
        self._tuning = tuning
        self._problem: str | None = None
        self._halted: dict[TopicPartition, str] = {}
        self._stuck: str | None = None
        self._progress = self._turned = time.monotonic()
        self._empty_periods = 1
        self._limit = tuning.batch_records
        self._cluster = ""
        self._commit_due = 0.0
        # Whether the group was not told yet of something that was handled.
        self._untold = False
        self._replay_due = 0.0
        self._stopping = asyncio.Event()

    def problem(self) -> str | None:
        return self._problem or self._stuck or "; ".join(self._halted.values()) or None

    async def run(self, stopping: asyncio.Event) -> None:
        self._stopping = stopping
        pause = 0.2
        while not stopping.is_set():
            try:
                await self._session()
                pause = 0.2
            except StandstillError:
                # A batch that takes too long comes again in smaller ones, until it passes or one record is alone.
                self._limit = max(1, self._limit // 8)
                metrics.REBUILDS.labels(self.name).inc()
            except (KafkaError, OSError, TimeoutError) as error:
                self._problem = f"Kafka does not answer ({type(error).__name__}); trying again"
                log.warning("consumer_session_lost", consumer=self.name, error=type(error).__name__)
                metrics.REBUILDS.labels(self.name).inc()
                await self._rest(pause)
                pause = min(pause * 2, MAX_PAUSE)

    # --- one life of a Kafka client ----------------------------------------------------------------------------------

    async def _session(self) -> None:
        self._cluster = await within(15, kafka.read_cluster_id(self._kafka))
        consumer = kafka.build_consumer(self._kafka, self._tuning, group=self.name)
        assignments = _Assignments()
        try:
            await within(30, consumer.start())
            assignments.consumer = consumer
            consumer.subscribe(self._topics, listener=assignments)
            self._problem = None
            self._halted.clear()
            self._progress = self._turned = time.monotonic()
            await self._read_on(consumer, assignments)
            await self._commit_group(consumer)
        finally:
            # Nobody reads until the next one has begun, however long it takes to part with this one.
            self._problem = self._problem or "between two sessions with Kafka"
            await kafka.discard_consumer(consumer)

    async def _read_on(self, consumer: AIOKafkaConsumer, assignments: _Assignments) -> None:
        """Read until we are to stop, or until the watchdog says that nothing moves: whatever hangs is let go then."""
        tasks = [
            asyncio.create_task(self._loop(consumer, assignments)),
            asyncio.create_task(self._watch(consumer)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._let_go(tasks)
        for task in done:
            task.result()

    async def _let_go(self, tasks: Sequence["asyncio.Task[None]"]) -> None:
        """Cancel, and more than once: `wait_for` may lose a cancellation that comes together with its time-out."""
        hanging = set(tasks)
        for _ in range(LETTING_GO):
            for task in hanging:
                task.cancel()
            _, hanging = await asyncio.wait(hanging, timeout=1)
            if not hanging:
                return
        # It cannot commit either: its offsets will have moved when it comes to it.
        log.error("handler_ignores_cancellation", consumer=self.name)

    async def _loop(self, consumer: AIOKafkaConsumer, assignments: _Assignments) -> None:
        while not self._stopping.is_set():
            self._turned = time.monotonic()
            try:
                if assignments.unplaced:
                    await self._place(consumer, assignments)
                await self._handle_replays()
                polled = await consumer.getmany(timeout_ms=200, max_records=self._limit)
                records = _in_order(polled)
                if records:
                    await self._settle([self._arrive(record) for record in records])
                await self._commit_group_when_due(consumer, handled=bool(records))
            except OffsetMovedError:
                await self._rewind(consumer, assignments)
            except Exception as error:
                if not self._store.is_transient(error):
                    raise
                await self._wait_out(consumer, error)
                await self._rewind(consumer, assignments)

    async def _place(self, consumer: AIOKafkaConsumer, assignments: _Assignments) -> None:
        """Seek newly assigned partitions to their stored offsets, then let them flow."""
        partitions = {p for p in assignments.unplaced if p in consumer.assignment()}
        starts = await kafka.answer(consumer.beginning_offsets(partitions)) if partitions else {}
        ends = await kafka.answer(consumer.end_offsets(partitions)) if partitions else {}
        stored = await self._store.positions(
            self.name, {(p.topic, p.partition): start for p, start in starts.items()}, self._cluster
        )
        wanted = {p: stored[p.topic, p.partition].next_offset for p in starts}
        ends = await self._look_again(consumer, wanted, ends)
        for partition, start in starts.items():
            position = stored[partition.topic, partition.partition]
            if partition not in consumer.assignment():
                continue
            if position.cluster_id != self._cluster:
                await self._halt(partition, "the offset was counted in another cluster")
            elif position.next_offset < start:
                deleted = f"records {position.next_offset} to {start - 1} were deleted before they were read"
                await self._halt(partition, deleted)
            elif position.next_offset > ends[partition]:
                beyond = f"the offset {position.next_offset} is beyond the end of the log; was the topic made anew?"
                await self._halt(partition, beyond)
            else:
                self._halted.pop(partition, None)
                consumer.seek(partition, position.next_offset)
                consumer.resume(partition)
        assignments.unplaced -= partitions
        # A rebalance in between leaves its own partitions for the next round.
        assignments.unplaced &= set(consumer.assignment())
        self._halted = {p: why for p, why in self._halted.items() if p in consumer.assignment()}

    async def _look_again(
        self, consumer: AIOKafkaConsumer, wanted: dict[TopicPartition, int], ends: dict[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """Ends of logs, asked again if one is too low: a new leader may not know yet what was acknowledged."""
        if all(wanted[p] <= end or p in self._halted for p, end in ends.items()):
            return ends
        await self._rest(LEADER_PATIENCE)
        again: dict[TopicPartition, int] = await kafka.answer(consumer.end_offsets(ends.keys()))
        return again

    async def _halt(self, partition: TopicPartition, why: str) -> None:
        """A partition that cannot be read on without loss stays paused until a person decides; the others go on."""
        what = f"{partition.topic}/{partition.partition}: {why}"
        log.error("partition_halted", consumer=self.name, reason=what)
        async with self._store.transaction() as transaction:
            await transaction.open_incident("offset-lost", f"{self.name} {what.partition(':')[0]}", what)
        self._halted[partition] = what

    async def _rewind(self, consumer: AIOKafkaConsumer, assignments: _Assignments) -> None:
        """Go back to what is stored, for every partition we own."""
        assigned = set(consumer.assignment())
        if assigned:
            consumer.pause(*assigned)
        assignments.unplaced |= assigned

    async def _wait_out(self, consumer: AIOKafkaConsumer, error: Exception) -> None:
        """Wait for a database that is away. Polling keeps our place in the group; nothing is counted against anyone."""
        self._problem = f"the database does not answer ({type(error).__name__}); waiting"
        log.warning("database_away", consumer=self.name, error=type(error).__name__)
        assigned = set(consumer.assignment())
        if assigned:
            consumer.pause(*assigned)
        pause = 0.05
        away = False
        while not self._stopping.is_set():
            await self._rest(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
            with contextlib.suppress(KafkaError):
                await consumer.getmany(timeout_ms=0, max_records=1)
            try:
                await self._store.ping()
            except Exception as again:
                if not self._store.is_transient(again):
                    raise
                away = True
                pause = min(pause * 2, MAX_PAUSE)
            else:
                break
        self._problem = None
        if away:
            # A database that answers at once was not away: what fails again and again is for the watchdog then.
            self._progress = self._turned = time.monotonic()

    # --- a batch -----------------------------------------------------------------------------------------------------

    def _arrive(self, record: Record) -> _Arrival[T]:
        try:
            return _Arrival(record, self._decode(record))
        except ValueError as error:
            return _Arrival(record, None, f"{type(error).__name__}: {error}"[:500])

    async def _settle(self, batch: Sequence[_Arrival[T]]) -> None:
        """Commit the batch, or find out which record cannot be."""
        try:
            await self._commit(batch)
        except OffsetMovedError:
            raise
        except Exception as error:
            if self._store.is_transient(error):
                raise
            self._moved()
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._settle(batch[:middle])
                await self._settle(batch[middle:])
            else:
                await self._retry_or_bury(batch[0], error)

    async def _retry_or_bury(self, arrival: _Arrival[T], error: Exception) -> None:
        for attempt in range(1, self._tuning.tries):
            log.warning("record_failed", consumer=self.name, attempt=attempt, error=type(error).__name__)
            await self._rest(min(self._tuning.retry_pause * 2**attempt, MAX_PAUSE))
            if self._stopping.is_set():
                raise OffsetMovedError
            try:
                await self._commit([arrival])
            except OffsetMovedError:
                raise
            except Exception as again:
                if self._store.is_transient(again):
                    raise
                self._moved()
                error = again
            else:
                return
        await self._commit([_Arrival(arrival.record, None, f"the handler failed: {type(error).__name__}")])

    async def _commit(self, batch: Sequence[_Arrival[T]]) -> None:
        """One transaction: offsets, inbox, effect, dead letters."""
        fresh: list[Message[T]] = []
        poison = [(arrival.record, arrival.error) for arrival in batch if arrival.decoded is None and arrival.error]
        messages = {
            self._inbox_key(arrival.record, arrival.decoded): Message(
                arrival.decoded.id, arrival.decoded.content, arrival.record, arrival.decoded.traceparent
            )
            for arrival in reversed(batch)
            if arrival.decoded is not None
        }
        async with self._store.transaction() as transaction:
            if not await transaction.advance(self.name, _moves(batch)):
                raise OffsetMovedError
            new = await transaction.unseen(list(messages)) if messages else set()
            fresh = [message for key, message in reversed(messages.items()) if key in new]
            if fresh:
                with processing(self.name, fresh) as traced:
                    rejected = await self._handle(transaction, traced) or ()
                poison += [(rejection.message.record, rejection.error) for rejection in rejected]
                await self._forget(transaction, rejected)
            if poison:
                await transaction.bury(self.name, poison)
            reach(FaultPoint.BATCH_BEFORE_COMMIT)
        reach(FaultPoint.BATCH_AFTER_COMMIT)
        self._moved()
        self._limit = min(self._limit * 2, self._tuning.batch_records)
        metrics.RECORDS.labels(self.name).inc(len(batch))
        metrics.BATCH.labels(self.name).observe(len(batch))
        metrics.DUPLICATES.labels(self.name).inc(len(messages) - len(fresh))
        if poison:
            metrics.BURIED.labels(self.name).inc(len(poison))
            log.error("dead_letters", consumer=self.name, count=len(poison), first=poison[0][1])

    async def _forget(self, transaction: Transaction[C], rejected: Sequence[Rejected]) -> None:
        if rejected:
            keys = [self._inbox_key(r.message.record, Decoded(r.message.id, r.message.content)) for r in rejected]
            await transaction.forget(keys)

    def _inbox_key(self, record: Record, decoded: Decoded[T]) -> bytes:
        subject = record.key.decode(errors="replace") if record.key else ""
        return inbox_key(self.name, topic=record.topic, subject=subject, event_id=decoded.id)

    # --- operators ---------------------------------------------------------------------------------------------------

    async def _handle_replays(self) -> None:
        """Handle again what an operator released: the same event id, the same handler, in a transaction of its own."""
        if time.monotonic() < self._replay_due:
            return
        self._replay_due = time.monotonic() + REPLAY_INTERVAL
        for number in await self._store.replays(self.name, 20):
            try:
                # Opened here: one whose key is gone must not stand in the way of the others.
                letter = await self._store.letter(number)
                if letter is not None:
                    await self._replay(letter)
            except Exception as error:
                if self._store.is_transient(error):
                    raise
                async with self._store.transaction() as transaction:
                    note = f"replay failed: {type(error).__name__}"
                    await transaction.settle_letter(number, LetterState.DEAD, note)

    async def _replay(self, letter: DeadLetter) -> None:
        arrival = self._arrive(letter.record)
        async with self._store.transaction() as transaction:
            if arrival.decoded is None:
                why = arrival.error or "it is not for this consumer"
                await transaction.settle_letter(letter.id, LetterState.DEAD, f"replay failed: {why}")
                return
            decoded = arrival.decoded
            message = Message(decoded.id, decoded.content, letter.record, decoded.traceparent)
            if await transaction.unseen([self._inbox_key(letter.record, decoded)]):
                with processing(self.name, [message]) as traced:
                    rejected = await self._handle(transaction, traced)
                if rejected:
                    await self._forget(transaction, rejected)
                    await transaction.settle_letter(letter.id, LetterState.DEAD, f"replay failed: {rejected[0].error}")
                    return
            await transaction.settle_letter(letter.id, LetterState.REPLAYED, letter.note)

    # --- monitoring --------------------------------------------------------------------------------------------------

    async def _commit_group_when_due(self, consumer: AIOKafkaConsumer, *, handled: bool) -> None:
        self._untold |= handled
        due = self._tuning.commit_each_batch and handled
        if due or time.monotonic() >= self._commit_due:
            self._commit_due = time.monotonic() + self._tuning.commit_interval
            if self._untold:
                reach(FaultPoint.OFFSET_BEFORE_COMMIT)
            await self._commit_group(consumer)
            if self._untold:
                reach(FaultPoint.OFFSET_AFTER_COMMIT)
            self._untold = False

    async def _commit_group(self, consumer: AIOKafkaConsumer) -> None:
        with contextlib.suppress(KafkaError, TimeoutError):
            await within(5, consumer.commit())

    def _moved(self) -> None:
        """A handler came to an end, be it a failure: it does not hang."""
        self._progress = self._turned = time.monotonic()
        self._stuck = None

    async def _watch(self, consumer: AIOKafkaConsumer) -> None:
        """End the session when something should move and does not: aiokafka can stand still without an error (#1037).

        A member without partitions may have lost them or may just be one too many, which looks the same: it joins
        anew, each time after twice as long.
        """
        interval = self._tuning.watchdog / 3
        while True:
            await asyncio.sleep(interval)
            if self._problem is not None or time.monotonic() - self._progress < interval:
                continue
            reason = await self._standstill(consumer)
            if reason is None:
                self._moved()
                self._empty_periods = 1
                continue
            member = bool(consumer.assignment())
            if time.monotonic() - self._progress >= self._tuning.watchdog * (1 if member else self._empty_periods):
                self._empty_periods = 1 if member else min(self._empty_periods * 2, MAX_EMPTY_PERIODS)
                self._stuck = reason if member else None
                log.error("consumer_stuck", consumer=self.name, reason=reason)
                raise StandstillError(reason)

    async def _standstill(self, consumer: AIOKafkaConsumer) -> str | None:
        """What should move and does not."""
        if time.monotonic() - self._turned >= self._tuning.watchdog / 3:
            return "one step takes very long"
        reading = set(consumer.assignment()) - self._halted.keys()
        if not reading:
            return None if self._halted else "no partition is assigned"
        try:
            ends = await kafka.answer(consumer.end_offsets(reading))
            places = {p: await kafka.answer(consumer.position(p), seconds=5) for p in reading}
        except KafkaError as error:
            return f"Kafka does not say how much is waiting ({type(error).__name__})"
        return "records wait and none is handled" if any(places[p] < ends[p] for p in reading) else None

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


def _in_order(polled: dict[TopicPartition, list[Any]]) -> list[Record]:
    """Sorted by partition and offset, so that every half of a batch is contiguous in each partition."""
    return [
        Record(r.topic, r.partition, r.offset, r.key, r.value, tuple(r.headers), r.timestamp)
        for partition in sorted(polled)
        for r in polled[partition]
    ]


def _moves(batch: Sequence[_Arrival[T]]) -> list[Move]:
    firsts: dict[tuple[str, int], int] = {}
    lasts: dict[tuple[str, int], int] = {}
    for arrival in batch:
        place = (arrival.record.topic, arrival.record.partition)
        firsts.setdefault(place, arrival.record.offset)
        lasts[place] = arrival.record.offset
    return [Move(*place, first=first, until=lasts[place] + 1) for place, first in firsts.items()]
