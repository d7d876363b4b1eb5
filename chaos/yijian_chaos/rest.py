"""Whether a platform is at rest: nothing waits to be sent, to be read, to be decided or to be signed.

A first look that costs little; whether all is as it should be is the checker's to say.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

ASK_WITHIN_S = 10
# data-exchange says every few seconds how far withdrawals were told, so its outbox is never empty for long.
YOUNG = "3 seconds"

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Where:
    """Addresses of the services' databases and the bureaus' stores, and the brokers' administrator."""

    databases: Mapping[str, str]
    stores: Mapping[str, Path]
    kafka: Mapping[str, str | int | float | bool] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Counts:
    """Applications by whether they are over, and Postgres' connections."""

    over: int
    under_way: int
    backends: int
    idle_in_transaction: int


def why_not_at_rest(where: Where) -> dict[str, str]:
    """What waits, by place; nothing when all is at rest. A server that does not answer is a reason too."""
    waiting: dict[str, str] = {}
    try:
        ends = _ends(AdminClient({**where.kafka}))
        for name, url in where.databases.items():
            waiting |= {f"{name} {what}": text for what, text in _of_service(name, url, ends)}
        for name, path in where.stores.items():
            waiting |= {f"{name} {what}": text for what, text in _of_department(path, ends)}
    except (psycopg.Error, sqlite3.Error, KafkaException, TimeoutError) as error:
        waiting["not answering"] = type(error).__name__
    return waiting


def _ends(kafka: AdminClient) -> dict[Place, int]:
    """The end of every partition that ever held something; all in one question, for this is asked often."""
    topics = kafka.list_topics(timeout=ASK_WITHIN_S).topics
    places = [TopicPartition(name, number) for name in topics if name[0] != "_" for number in topics[name].partitions]
    asked = kafka.list_offsets(dict.fromkeys(places, OffsetSpec.latest()), request_timeout=ASK_WITHIN_S)
    ends = {(place.topic, place.partition): answer.result(ASK_WITHIN_S).offset for place, answer in asked.items()}
    return {place: end for place, end in ends.items() if end}


def _of_service(name: str, url: str, ends: Mapping[Place, int]) -> Iterator[tuple[str, str]]:
    with psycopg.connect(url, connect_timeout=ASK_WITHIN_S, autocommit=True) as connection:
        unsent = connection.execute(
            "SELECT count(*) FROM outbox_unsent u JOIN outbox o ON o.day = u.day AND o.id = u.id"
            " WHERE o.created_at < now() - %s::interval",
            [YOUNG],
        ).fetchone()
        if unsent and unsent[0]:
            yield "outbox", f"{unsent[0]} rows"
        offsets = connection.execute("SELECT consumer, topic, partition, next_offset FROM consumer_offset").fetchall()
        yield from _behind(offsets, ends)
        if name == "approval":
            open_ones = connection.execute("SELECT id FROM application WHERE status = 'IN_PROGRESS'").fetchall()
            if open_ones:
                yield "applications", f"{len(open_ones)} under way, such as {open_ones[0][0]}"
            uncovered = connection.execute("SELECT count(*) FROM disclosure_uncovered").fetchone()
            if uncovered and uncovered[0]:
                yield "disclosures", f"{uncovered[0]} not covered by the ledger"
        if name == "data-exchange":
            yield from _unsigned(connection)


def _of_department(path: Path, ends: Mapping[Place, int]) -> Iterator[tuple[str, str]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=ASK_WITHIN_S)) as store:
        (unsent,) = store.execute("SELECT count(*) FROM outbox_unsent").fetchone()
        if unsent:
            yield "outbox", f"{unsent} rows"
        offsets = store.execute("SELECT consumer, topic, partition, next_offset FROM consumer_offset").fetchall()
    yield from _behind(offsets, ends)


def _behind(offsets: list[tuple[str, str, int, int]], ends: Mapping[Place, int]) -> Iterator[tuple[str, str]]:
    """Partitions that a consumer has not read to the end as it was a moment ago, of topics that it reads at all."""
    stored = {(consumer, topic, partition): at for consumer, topic, partition, at in offsets}
    for consumer, topic in sorted({(consumer, topic) for consumer, topic, _ in stored}):
        behind = [
            f"{partition}: {at} of {end}"
            for (name, partition), end in ends.items()
            if name == topic and (at := stored.get((consumer, topic, partition), 0)) < end
        ]
        if behind:
            yield f"{consumer} {topic}", ", ".join(behind)


def _unsigned(connection: psycopg.Connection) -> Iterator[tuple[str, str]]:
    row = connection.execute(
        "SELECT (SELECT coalesce(max(index) + 1, 0) FROM ledger.leaf),"
        " (SELECT coalesce(max(size), 0) FROM ledger.checkpoint),"
        " (SELECT coalesce(max(size), 0) FROM ledger.cosignature)"
    ).fetchone()
    leaves, signed, cosigned = row or (0, 0, 0)
    if not leaves == signed == cosigned:
        yield "ledger", f"{leaves} leaves, {signed} signed, {cosigned} cosigned"


def count(url: str) -> Counts:
    """The applications and connections as approval's database and its server have them."""
    with psycopg.connect(url, connect_timeout=ASK_WITHIN_S, autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*) FILTER (WHERE status <> 'IN_PROGRESS'), count(*) FILTER (WHERE status = 'IN_PROGRESS'),"
            " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
            " (SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
            "  AND state_change < now() - interval '30 seconds') FROM application"
        ).fetchone()
    over, under_way, backends, idle = row or (0, 0, 0, 0)
    return Counts(over, under_way, backends, idle)


def any_completed(url: str, applications: list[str]) -> bool:
    """Whether one of these was decided to the end."""
    with psycopg.connect(url, connect_timeout=ASK_WITHIN_S, autocommit=True) as connection:
        found = connection.execute(
            "SELECT EXISTS (SELECT FROM application WHERE id = ANY(%s::uuid[]) AND status = 'COMPLETED')",
            [applications],
        ).fetchone()
    return bool(found and found[0])
