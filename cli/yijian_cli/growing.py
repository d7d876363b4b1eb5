"""`yijian grow`: more partitions for a topic, by a drain: intake goes on, nothing is lost, no key's order is disturbed.

A key's partition depends on how many there are. So the writer's relays are held, whoever reads the topic comes to its
end, partitions are added, and the relays go on when every producer has heard of them.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import unquote, urlsplit

import asyncpg
import typer
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, OffsetSpec
from yijian_contracts.topics import Topic
from yijian_contracts.topics import topics as catalogue
from yijian_embedded.errors import PlatformError
from yijian_messaging import pausing
from yijian_messaging.kafka import METADATA_MS

from yijian_cli.output import AsJson, console, print_json
from yijian_cli.platform import this_platform
from yijian_cli.stores import store_address

HELD_S: Final = 60.0
"""For so long the leases are taken at a time; a command that is killed lets go by itself."""
METADATA_S: Final = METADATA_MS / 1000 + 5
"""After this every producer of ours has asked how many partitions there are."""
DRAINED_WITHIN_S: Final = 300.0
TIMEOUT_S: Final = 10


def grow(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="A topic of the catalogue: `yijian topics`.")],
    *,
    to: Annotated[int, typer.Option("--to", min=2, help="How many partitions it is to have; there is no way back.")],
    as_json: AsJson = False,
) -> None:
    """Give a topic more partitions. What is said meanwhile waits about a minute; applications are taken as ever."""
    found = next((one for one in catalogue() if one.name == topic), None)
    if found is None:
        raise PlatformError(f"{topic!r} is no topic of the catalogue: see `yijian topics`")
    if found.partitions == 1:
        raise PlatformError(f"{topic} is read in one order and keeps its one partition")
    began = time.monotonic()
    admin = AdminClient(this_platform().kafka_admin.client_config())
    asyncio.run(grow_topic(admin, found, to))
    seconds = round(time.monotonic() - began, 1)
    if as_json:
        print_json({"topic": topic, "partitions": to, "seconds": seconds})
        return
    console.print(f"{topic} has {to} partitions; its messages waited {seconds} s.", highlight=False)


async def grow_topic(admin: AdminClient, topic: Topic, to: int) -> None:
    """Hold, drain, add, wait, let go. Raises `PlatformError` when a reader does not come to the end; all stays."""
    now = _partitions(admin, topic.name)
    if to <= now:
        raise PlatformError(f"{topic.name} has {now} partitions already, and none can be taken away")
    async with _held(service_of(topic.writer)):
        await asyncio.sleep(pausing.SETTLES_WITHIN_SECONDS)
        await _drained(admin, topic, now)
        try:
            for future in admin.create_partitions([NewPartitions(topic.name, to)], request_timeout=TIMEOUT_S).values():
                future.result()
        except KafkaException as error:
            raise PlatformError(f"Kafka adds no partitions: {error.args[0].str()}") from None
        await asyncio.sleep(METADATA_S)


@asynccontextmanager
async def _held(writer: str) -> AsyncIterator[None]:
    """The writer's relays send nothing while the block lasts."""
    async with _leases(writer) as (hold, let_go):
        await hold()
        keeping = asyncio.create_task(_keep(hold))
        try:
            yield
            if keeping.done():
                # The leases were lost before the end: whether the order held is not known.
                keeping.result()
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            await let_go()


async def _keep(hold: Callable[[], Any]) -> None:
    while True:
        await asyncio.sleep(HELD_S / 4)
        await hold()


@asynccontextmanager
async def _leases(writer: str) -> AsyncIterator[tuple[Callable[[], Any], Callable[[], Any]]]:
    """How to take, or keep, the leases of this service's outbox, and how to give them back."""
    address = store_address(writer)
    if address.url.startswith("sqlite:"):
        with closing(sqlite3.connect(Path(unquote(urlsplit(address.url).path)[1:]), timeout=TIMEOUT_S)) as db:

            async def hold() -> None:
                pausing.hold_relays_sqlite(db, HELD_S)

            async def let_go() -> None:
                pausing.let_relays_go_sqlite(db)

            yield hold, let_go
        return
    connection = await asyncpg.connect(address.url, timeout=TIMEOUT_S)
    try:
        yield lambda: pausing.hold_relays(connection, HELD_S), lambda: pausing.let_relays_go(connection)
    finally:
        await connection.close()


async def _drained(admin: AdminClient, topic: Topic, partitions: int) -> None:
    """Return when every reader has handled all that is in the topic."""
    ends = _ends(admin, topic.name, partitions)
    deadline = time.monotonic() + DRAINED_WITHIN_S
    while behind := [reader for reader in topic.readers if await _is_behind(service_of(reader), topic.name, ends)]:
        if time.monotonic() > deadline:
            raise PlatformError(
                f"{behind[0]} does not come to the end of {topic.name}: nothing is changed; see its /readyz"
            )
        await asyncio.sleep(0.5)


async def _is_behind(reader: str, topic: str, ends: Sequence[int]) -> bool:
    """Whether one of the reader's consumers has something of the topic left; who only looks at it has no offsets."""
    query = "SELECT consumer, partition, next_offset FROM consumer_offset WHERE topic = "
    address = store_address(reader)
    if address.url.startswith("sqlite:"):
        with closing(sqlite3.connect(Path(unquote(urlsplit(address.url).path)[1:]), timeout=TIMEOUT_S)) as db:
            rows = db.execute(f"{query}?", [topic]).fetchall()
    else:
        connection = await asyncpg.connect(address.url, timeout=TIMEOUT_S)
        try:
            rows = [tuple(row) for row in await connection.fetch(f"{query}$1", topic)]
        finally:
            await connection.close()
    stored = {(consumer, partition): at for consumer, partition, at in rows}
    consumers = {consumer for consumer, _ in stored}
    return any(stored.get((one, place), 0) < end for one in consumers for place, end in enumerate(ends))


def _partitions(admin: AdminClient, topic: str) -> int:
    known = admin.list_topics(timeout=TIMEOUT_S).topics
    if topic not in known:
        raise PlatformError(f"Kafka has no topic {topic}: run `yijian provision`")
    return len(known[topic].partitions)


def _ends(admin: AdminClient, topic: str, partitions: int) -> list[int]:
    places = [TopicPartition(topic, number) for number in range(partitions)]
    answers = admin.list_offsets(dict.fromkeys(places, OffsetSpec.latest()), request_timeout=TIMEOUT_S)
    return [answers[place].result().offset for place in places]


def service_of(principal: str) -> str:
    """The service or department with this principal."""
    return principal.removeprefix("department.")
