"""The floor beside the platform: the same load on the same broker and database, one process for each of ours."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import msgspec
import psutil
import psycopg
from confluent_kafka.admin import AdminClient, NewTopic
from psycopg import sql
from yijian_common.messages import UNHURRIED_BYTES, UNHURRIED_SECONDS
from yijian_contracts.departments import departments
from yijian_embedded.provisioning import SERVICE_DATABASES

from yijian_bench.floor.process import Part
from yijian_bench.floor.shape import Shape, Topic
from yijian_bench.http_client import Connection
from yijian_bench.measure import GIVE_UP_SECONDS, Measurement, summarise
from yijian_bench.platform import FIRST_FAMILY, INFRASTRUCTURE, Bench, cpu_seconds
from yijian_bench.report import FLOOR

APPROVAL = "approval"
WARM_UP = 100
PREFIX = "floor."


async def measure_floor(bench: Bench, shape: Shape, *, count: int, connections: int) -> Measurement:
    """Push `count` applications of this shape through. The platform's own services are stopped."""
    await asyncio.to_thread(_provide, bench, shape)
    with _running(bench, shape) as processes:
        await _submit(bench, 0, WARM_UP, connections=8)
        before = _cpu(bench, processes)
        sent, completed = await _submit(bench, WARM_UP, count, connections=connections)
        after = _cpu(bench, processes)
    return summarise(FLOOR, sent, completed, cpu={name: after[name] - before[name] for name in after})


async def _submit(
    bench: Bench, first: int, count: int, *, connections: int
) -> tuple[list[dict[str, object]], dict[str, float]]:
    """Submit and wait for all of them; what was sent, and when each was completed."""
    # The floor looks at no token, so any of the same size does.
    nothing = ["x" * 600] * count
    sent = await asyncio.to_thread(bench.submit, FIRST_FAMILY, nothing, nothing, connections=connections, rate=None)
    connection = Connection(bench.platform.url(APPROVAL))
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while len(completed := await _completed(connection)) < first + count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{first + count - len(completed)} applications are not completed")
        await asyncio.sleep(0.2)
    await connection.close()
    return sent, completed


async def _completed(connection: Connection) -> dict[str, float]:
    times: dict[str, float] = (await connection.get("/completed")).json()
    return times


def _cpu(bench: Bench, processes: dict[str, psutil.Process]) -> dict[str, float]:
    known = {name: bench.platform.process(name) for name in INFRASTRUCTURE}
    return {name: cpu_seconds(process) for name, process in {**known, **processes}.items() if process}


def _provide(bench: Bench, shape: Shape) -> None:
    """Topics and databases of the floor's own."""
    admin = AdminClient(bench.platform.kafka_admin.client_config())
    new = [
        NewTopic(PREFIX + topic.name, num_partitions=topic.partitions, replication_factor=-1) for topic in shape.topics
    ]
    for created in admin.create_topics(new).values():
        created.result()
    with psycopg.connect(bench.platform.postgres_admin_url, autocommit=True) as session:
        for name in SERVICE_DATABASES:
            session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(PREFIX + name)))


@contextmanager
def _running(bench: Bench, shape: Shape) -> Iterator[dict[str, psutil.Process]]:
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for part in _parts(bench, shape):
            process = subprocess.Popen(
                [sys.executable, "-m", "yijian_bench.floor.process"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            started[part.name] = process
            if process.stdin is not None:
                process.stdin.write(msgspec.json.encode(part))
                process.stdin.close()
        for name, process in started.items():
            if process.stdout is None or process.stdout.readline() != b"ready\n":
                raise RuntimeError(f"the floor's {name} did not start")
        yield {name: psutil.Process(process.pid) for name, process in started.items()}
    finally:
        for process in started.values():
            process.terminate()
        for process in started.values():
            process.wait()


def _parts(bench: Bench, shape: Shape) -> Iterator[Part]:
    own = {topic.name: msgspec.structs.replace(topic, name=PREFIX + topic.name) for topic in shape.topics}
    for name in (*SERVICE_DATABASES, *departments()):
        reads = tuple(topic for topic in own.values() if name in topic.readers)
        if not reads:
            continue
        yield _part(bench, shape, name, reads, own)


def _part(bench: Bench, shape: Shape, name: str, reads: tuple[Topic, ...], own: dict[str, Topic]) -> Part:
    credentials = bench.platform.kafka_admin
    answers, says = _writes(name, own)
    unhurried = name not in (APPROVAL, *departments())
    waves = tuple(
        msgspec.structs.replace(wave, tasks=tuple((number, PREFIX + topic) for number, topic in wave.tasks))
        for wave in shape.waves
    )
    return Part(
        name=name,
        bootstrap=credentials.bootstrap,
        username=credentials.username,
        password=credentials.password,
        security_protocol=credentials.security_protocol,
        ca_file=str(credentials.ca_file) if credentials.ca_file else None,
        database=None
        if name in departments()
        else urlsplit(bench.platform.postgres_admin_url)._replace(path=f"/{PREFIX}{name}").geturl(),
        store=str(bench.platform.home.stores / f"{PREFIX}{name}.db") if name in departments() else None,
        tables=shape.tables[name],
        units=2 * shape.tasks if name == APPROVAL else sum(topic.records for topic in reads),
        reads=reads,
        answers=answers,
        says=says,
        fetch_bytes=UNHURRIED_BYTES if unhurried else 1,
        fetch_wait=UNHURRIED_SECONDS if unhurried else 0.5,
        waves=waves if name == APPROVAL else (),
        port=bench.platform.ports[APPROVAL] if name == APPROVAL else None,
    )


def _writes(name: str, own: dict[str, Topic]) -> tuple[dict[str, Topic], tuple[Topic, ...]]:
    """What a part sends for each task, by the topic of the task; and what it sends beside that."""
    written = {topic.name: topic for topic in own.values() if topic.writer == name}
    every = departments().values()
    if name == APPROVAL:
        answers = {PREFIX + d.tasks_topic: own[d.tasks_topic] for d in every if d.tasks_topic in own}
    else:
        answers = {PREFIX + d.tasks_topic: own[d.results_topic] for d in every if d.code == name}
    answering = {topic.name for topic in answers.values()}
    return answers, tuple(topic for topic in written.values() if topic.name not in answering)
