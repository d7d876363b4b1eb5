"""One process of the floor: reads, writes the rows that belong to it, sends what follows.

    python -m yijian_bench.floor.process < part.json

It says `ready` on stdout once it reads.
"""

import asyncio
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec
import uvicorn
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from fastapi import FastAPI, Request, Response
from yijian_contracts.departments import departments
from yijian_messaging import kafka
from yijian_messaging.settings import KafkaSettings, Tuning

from yijian_bench.floor.shape import Table, Topic, Wave
from yijian_bench.floor.tables import PostgresTables, SqliteTables, Store

PLACE_BYTES = 9
BATCH = 64


class Part(msgspec.Struct, frozen=True):
    """What one process does.

    A unit is what its rows are counted by: a record that it reads; for approval, a task that is requested or answered.
    """

    name: str
    bootstrap: str
    username: str
    password: str
    security_protocol: str
    ca_file: str | None
    database: str | None
    store: str | None
    tables: tuple[Table, ...]
    units: float
    reads: tuple[Topic, ...]
    answers: dict[str, Topic]
    """By the tasks topic that is answered; for approval, by that of the task that is requested."""
    says: tuple[Topic, ...]
    fetch_bytes: int
    fetch_wait: float
    waves: tuple[Wave, ...] = ()
    port: int | None = None

    @property
    def kafka(self) -> KafkaSettings:
        return KafkaSettings(self.bootstrap, self.security_protocol, self.username, self.password, self.ca_file)

    @property
    def tuning(self) -> Tuning:
        return Tuning(fetch_bytes=self.fetch_bytes, fetch_wait=self.fetch_wait)


def _place(application: int, task: int) -> bytes:
    return application.to_bytes(PLACE_BYTES - 1, "big") + task.to_bytes(1, "big")


class Sender:
    """aiokafka, a batch for each partition."""

    def __init__(self, producer: AIOKafkaProducer, said: Sequence[Topic], units: float) -> None:
        self._producer = producer
        self._said = [(topic, topic.records / units) for topic in said]
        self._due = [0.0] * len(said)

    async def send(self, places: Iterable[tuple[bytes, Topic]], units: int) -> None:
        """Send records about these places, and of the other topics as many as so many units bring."""
        builders: dict[tuple[str, int], Any] = {}
        futures = []
        for place, topic in self._with_others(list(places), units):
            key = b"%036d" % int.from_bytes(place[:-1], "big")
            target = (topic.name, crc32(key) % topic.partitions)
            record = {"timestamp": None, "key": key, "value": place + topic.value[PLACE_BYTES:]}
            builder = builders.get(target) or builders.setdefault(target, self._producer.create_batch())
            if builder.append(**record, headers=topic.headers) is None:
                futures.append(await self._producer.send_batch(builder, target[0], partition=target[1]))
                builder = builders[target] = self._producer.create_batch()
                builder.append(**record, headers=topic.headers)
        futures += [
            await self._producer.send_batch(builder, topic, partition=partition)
            for (topic, partition), builder in builders.items()
        ]
        await asyncio.gather(*futures)

    def _with_others(self, places: list[tuple[bytes, Topic]], units: int) -> list[tuple[bytes, Topic]]:
        others = []
        for n, (topic, rate) in enumerate(self._said):
            self._due[n] += units * rate
            whole = int(self._due[n])
            self._due[n] -= whole
            others += [(places[i % len(places)][0] if places else bytes(PLACE_BYTES), topic) for i in range(whole)]
        return places + others


class Reader:
    """Reads, writes rows, answers; one batch at a time."""

    def __init__(self, part: Part, store: Store, sender: Sender) -> None:
        self._part = part
        self._store = store
        self._sender = sender

    async def run(self) -> None:
        consumer = kafka.build_consumer(self._part.kafka, self._part.tuning, group=f"floor.{self._part.name}")
        await consumer.start()
        consumer.subscribe([topic.name for topic in self._part.reads])
        wanted = sum(topic.partitions for topic in self._part.reads)
        while len(consumer.assignment()) < wanted:
            await consumer.getmany(timeout_ms=100)
        print("ready", flush=True)
        while True:
            await self._read(consumer)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        polled = await consumer.getmany(timeout_ms=200, max_records=500)
        records = [(record.topic, bytes(record.value[:PLACE_BYTES])) for batch in polled.values() for record in batch]
        if records:
            await self.handle(records)

    async def handle(self, records: Sequence[tuple[str, bytes]]) -> None:
        await self._store.write(len(records))
        answers = self._part.answers
        await self._sender.send(((place, answers[topic]) for topic, place in records if topic in answers), len(records))
        await self._store.clear()


class Approval(Reader):
    """Takes requests in, asks for tasks in their order, and counts the answers."""

    def __init__(self, part: Part, store: Store, sender: Sender) -> None:
        super().__init__(part, store, sender)
        self._tasks = sum(len(wave.tasks) for wave in part.waves)
        self._results = {topic.name for topic in part.reads if topic.writer in departments()}
        self._open: list[int] = []
        self._waiting: list[asyncio.Future[int]] = []
        self._arrived = asyncio.Event()
        self.completed: dict[int, float] = {}

    async def submit(self) -> int:
        """The number of a new application, once it is stored."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._arrived.set()
        return await future

    async def take_in(self) -> None:
        """Those who arrive during one transaction share the next one."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                first = len(self._open)
                self._open += [self._tasks] * len(batch)
                numbers = range(first, first + len(batch))
                asked = [asked for number in numbers for asked in self._requests(number, None)]
                await self._store.write(len(asked))
                for number, future in zip(numbers, batch, strict=True):
                    future.set_result(number)
                await self._sender.send(asked, len(asked))
                await self._store.clear()

    def _requests(self, application: int, answered: int | None) -> list[tuple[bytes, Topic]]:
        return [
            (_place(application, task), self._part.answers[topic])
            for wave in self._part.waves
            if wave.after == answered
            for task, topic in wave.tasks
        ]

    async def handle(self, records: Sequence[tuple[str, bytes]]) -> None:
        answers = [(int.from_bytes(p[:-1], "big"), p[-1]) for topic, p in records if topic in self._results]
        asked = [asked for application, task in answers for asked in self._requests(application, task)]
        units = len(answers) + len(asked)
        await self._store.write(units)
        for application, _ in answers:
            self._open[application] -= 1
            if self._open[application] == 0:
                self.completed[application] = time.time()
        await self._sender.send(asked, units)
        await self._store.clear()

    def app(self) -> FastAPI:
        """A bare route: the body is read and not looked at."""
        app = FastAPI()

        @app.post("/v1/applications")
        async def submit(request: Request) -> Response:
            await request.body()
            number = await self.submit()
            answer = {"id": number, "life_event": "birth", "status": "IN_PROGRESS", "submitted_at": time.time()}
            return Response(msgspec.json.encode(answer), status_code=202, media_type="application/json")

        @app.get("/completed")
        async def completed() -> Response:
            return Response(msgspec.json.encode(self.completed), media_type="application/json")

        return app


async def _open_store(part: Part) -> Store:
    if part.database is not None:
        return await PostgresTables.open(part.database, part.tables, per_unit=1 / part.units)
    return SqliteTables(Path(part.store or ":memory:"), part.tables, per_unit=1 / part.units)


async def main() -> None:
    part = msgspec.json.decode(sys.stdin.buffer.read(), type=Part)
    producer = kafka.build_producer(part.kafka, part.tuning)
    await producer.start()
    sender = Sender(producer, part.says, part.units)
    store = await _open_store(part)
    if part.port is None:
        await Reader(part, store, sender).run()
        return
    approval = Approval(part, store, sender)
    config = uvicorn.Config(
        approval.app(), port=part.port, loop="none", http="httptools", lifespan="off", log_config=None, access_log=False
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(uvicorn.Server(config).serve())
        tasks.create_task(approval.take_in())
        tasks.create_task(approval.run())


if __name__ == "__main__":
    uvloop.run(main())
