"""What one application costs in rows and records, read off the platform that was just measured."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg
import msgspec
from confluent_kafka import Consumer, Message, TopicPartition
from yijian_contracts.departments import departments
from yijian_contracts.topics import topics
from yijian_embedded.provisioning import SERVICE_DATABASES

from yijian_bench.platform import Bench

SAMPLE = 400
ANSWER_S = 20.0


class Table(msgspec.Struct, frozen=True):
    """A table: the mean size of a row, how many indexes it has, and how many rows an application moves."""

    name: str
    row_bytes: int
    indexes: int
    inserted: float
    updated: float
    deleted: float


class Topic(msgspec.Struct, frozen=True):
    """A topic: how many records an application brings, and a typical one of them."""

    name: str
    writer: str
    readers: tuple[str, ...]
    partitions: int
    records: float
    value: bytes
    headers: list[tuple[str, bytes]]


class Wave(msgspec.Struct, frozen=True):
    """Tasks that are requested together: once that one is answered, or at once."""

    after: int | None
    tasks: tuple[tuple[int, str], ...]
    """Numbers with the tasks topic of each."""


class Shape(msgspec.Struct, frozen=True):
    """One application. `tables` are those of each service and department."""

    tables: dict[str, tuple[Table, ...]]
    topics: tuple[Topic, ...]
    waves: tuple[Wave, ...]

    @property
    def tasks(self) -> int:
        return sum(len(wave.tasks) for wave in self.waves)


Moved = tuple[int, int, int]
"""Rows inserted, updated and deleted."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What was written so far: rows by service and table, records by topic and partition."""

    rows: Mapping[str, Mapping[str, Moved]]
    ends: Mapping[str, Mapping[int, int]]


async def read_counters(bench: Bench) -> Counters:
    """What was written until now."""
    rows: dict[str, Mapping[str, Moved]] = {name: await _postgres_rows(bench, name) for name in SERVICE_DATABASES}
    rows |= {code: _sqlite_rows(bench, code) for code in departments()}
    reader = _reader(bench)
    try:
        ends = {topic.name: _ends(reader, topic.name, topic.partitions) for topic in topics()}
    finally:
        reader.close()
    return Counters(rows, ends)


async def read_shape(bench: Bench, before: Counters, applications: int) -> Shape:
    """The shape of the `applications` that were handled since `before`."""
    after = await read_counters(bench)
    tables = {name: await _postgres_tables(bench, name, before, after, applications) for name in SERVICE_DATABASES}
    tables |= {code: _sqlite_tables(bench, code, before, after, applications) for code in departments()}
    return Shape(tables, _topics(bench, before, after, applications), await _waves(bench))


async def _postgres_rows(bench: Bench, service: str) -> dict[str, Moved]:
    connection = await asyncpg.connect(bench.platform.postgres_admin_url, database=service)
    try:
        rows = await connection.fetch(
            "SELECT schemaname || '.' || relname AS name, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables"
        )
    finally:
        await connection.close()
    return {row["name"]: (row["n_tup_ins"], row["n_tup_upd"], row["n_tup_del"]) for row in rows}


async def _postgres_tables(
    bench: Bench, service: str, before: Counters, after: Counters, applications: int
) -> tuple[Table, ...]:
    connection = await asyncpg.connect(bench.platform.postgres_admin_url, database=service)
    try:
        found = []
        for name, moved in after.rows[service].items():
            each = _per_application(before.rows[service].get(name, (0, 0, 0)), moved, applications)
            if not any(each):
                continue
            # Names come from the server's own catalogue; a table cannot be a parameter.
            size = await connection.fetchval(
                f"SELECT avg(pg_column_size(t.*))::int FROM (SELECT * FROM {name} LIMIT {SAMPLE}) t"  # noqa: S608 - our own names
            )
            indexes = await connection.fetchval("SELECT count(*) FROM pg_index WHERE indrelid = $1::regclass", name)
            found.append(Table(name.replace(".", "_"), size or 64, indexes, *each))
        return tuple(found)
    finally:
        await connection.close()


def _per_application(before: Moved, after: Moved, applications: int) -> tuple[float, float, float]:
    inserted, updated, deleted = ((b - a) / applications for a, b in zip(before, after, strict=True))
    return inserted, updated, deleted


def _sqlite_rows(bench: Bench, department: str) -> dict[str, Moved]:
    """Rows that are there; SQLite does not count what was done to them."""
    with sqlite3.connect(f"file:{bench.platform.home.department_store(department)}?mode=ro", uri=True) as store:
        names = [row[0] for row in store.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        counts = {name: store.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}  # noqa: S608 - our own names
    store.close()
    return {name: (count, 0, 0) for name, count in counts.items()}


def _sqlite_tables(
    bench: Bench, department: str, before: Counters, after: Counters, applications: int
) -> tuple[Table, ...]:
    found = []
    with sqlite3.connect(f"file:{bench.platform.home.department_store(department)}?mode=ro", uri=True) as store:
        for name, moved in after.rows[department].items():
            each = _per_application(before.rows[department].get(name, (0, 0, 0)), moved, applications)
            if each[0] <= 0 or name.startswith("sqlite_"):
                continue
            columns = [row[1] for row in store.execute(f"PRAGMA table_info({name})")]
            size = " + ".join(f"coalesce(length(CAST({column} AS BLOB)), 0)" for column in columns)
            mean = store.execute(f"SELECT avg({size}) FROM (SELECT * FROM {name} LIMIT {SAMPLE})").fetchone()[0]  # noqa: S608 - our own names
            indexes = len(store.execute(f"PRAGMA index_list({name})").fetchall())
            found.append(Table(name, int(mean), max(indexes, 1), *each))
            if name == "outbox":
                # What is to be sent stands in a second table until it was, and is gone again before anybody counts.
                found.append(Table("outbox_unsent", 60, 2, each[0], 0, each[0]))
    store.close()
    return tuple(found)


def _reader(bench: Bench) -> Consumer:
    config = bench.platform.kafka_admin.client_config()
    return Consumer({**config, "group.id": "floor.reader", "enable.auto.commit": False})


def _ends(reader: Consumer, topic: str, partitions: int) -> dict[int, int]:
    places = (TopicPartition(topic, number) for number in range(partitions))
    return {place.partition: reader.get_watermark_offsets(place, timeout=ANSWER_S)[1] for place in places}


def _topics(bench: Bench, before: Counters, after: Counters, applications: int) -> tuple[Topic, ...]:
    found = []
    principals = {department.principal: code for code, department in departments().items()}
    reader = _reader(bench)
    try:
        for topic in topics():
            ends = after.ends[topic.name]
            records = sum(ends.values()) - sum(before.ends[topic.name].values())
            if records == 0:
                continue
            value, headers = _typical(reader, topic.name, ends, before.ends[topic.name])
            writer = principals.get(topic.writer, topic.writer)
            readers = tuple(principals.get(name, name) for name in topic.readers)
            found.append(Topic(topic.name, writer, readers, topic.partitions, records / applications, value, headers))
    finally:
        reader.close()
    return tuple(found)


def _typical(
    reader: Consumer, topic: str, ends: Mapping[int, int], starts: Mapping[int, int]
) -> tuple[bytes, list[tuple[str, bytes]]]:
    """The one of a sample of records whose size is nearest to the mean."""
    wanted = {number: max(starts[number], end - SAMPLE // len(ends) - 1) for number, end in ends.items()}
    count = min(SAMPLE, sum(ends[number] - first for number, first in wanted.items()))
    reader.assign([TopicPartition(topic, number, first) for number, first in wanted.items()])
    records = [(record.value() or b"", _headers(record)) for record in reader.consume(count, timeout=ANSWER_S)]
    mean = sum(len(value) for value, _ in records) / len(records)
    return min(records, key=lambda record: abs(len(record[0]) - mean))


def _headers(record: Message) -> list[tuple[str, bytes]]:
    return [(str(name), value) for name, value in list(record.headers() or ()) if isinstance(value, bytes)]


async def _waves(bench: Bench) -> tuple[Wave, ...]:
    """Which tasks wait for which, from the last application that was completed."""
    connection = await asyncpg.connect(bench.platform.database_url("approval"))
    try:
        state = await connection.fetchval(
            "SELECT state FROM application WHERE status = 'COMPLETED' ORDER BY id DESC LIMIT 1"
        )
    finally:
        await connection.close()
    asked = [task for task in json.loads(state)["tasks"] if task.get("requested_at")]
    waves = []
    for moment in sorted({task["requested_at"] for task in asked}):
        earlier = [n for n, task in enumerate(asked) if task["ended_at"] <= moment and task["requested_at"] < moment]
        after = max(earlier, key=lambda n: str(asked[n]["ended_at"]), default=None)
        together = [(n, task) for n, task in enumerate(asked) if task["requested_at"] == moment]
        waves.append(Wave(after, tuple((n, departments()[task["department"]].tasks_topic) for n, task in together)))
    return tuple(waves)
