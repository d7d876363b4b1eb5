"""The services' databases, each in one repeatable read of its own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, LiteralString

import psycopg

from yijian_chaos.checker.snapshot import (
    Application,
    Consent,
    Disclosure,
    Entry,
    Incident,
    Leaf,
    Letter,
    Note,
    Outgoing,
    Parked,
    Stored,
    Task,
    Tile,
    Unsent,
    Withdrawal,
)

_FETCH = 20_000

Cursor = psycopg.Cursor[tuple[Any, ...]]


@contextmanager
def reading(url: str) -> Iterator[Cursor]:
    """One consistent view of a database."""
    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.cursor() as cursor:
            yield cursor


def _rows(cursor: Cursor, statement: LiteralString) -> Iterator[tuple[Any, ...]]:
    cursor.execute(statement)
    while rows := cursor.fetchmany(_FETCH):
        yield from rows


# --- messages --------------------------------------------------------------------------------------------------------


def read_outbox(service: str, url: str) -> list[Outgoing]:
    """Every row that was to go out and is kept."""
    with reading(url) as cursor:
        return [
            Outgoing(service, *row)
            for row in _rows(
                cursor,
                "SELECT id, event_id, topic, key, headers::json ->> 'ce_type', gate,"
                " extract(epoch FROM created_at)::float FROM outbox ORDER BY id",
            )
        ]


def read_unsent(service: str, url: str, *, at: float) -> list[Unsent]:
    """What waits, and for how long by the reader's clock."""
    with reading(url) as cursor:
        return [
            Unsent(service, number, event, at - (since or 0.0))
            for number, event, since in _rows(
                cursor,
                "SELECT u.id, u.event_id, extract(epoch FROM o.created_at)::float FROM outbox_unsent u"
                " LEFT JOIN outbox o ON o.day = u.day AND o.id = u.id",
            )
        ]


def read_stored(service: str, url: str) -> list[Stored]:
    """Offsets as they stand beside the effects."""
    with reading(url) as cursor:
        return [
            Stored(service, *row)
            for row in _rows(cursor, "SELECT consumer, topic, partition, next_offset FROM consumer_offset")
        ]


@dataclass(slots=True)
class MessagingRows:
    """What a service's messaging tables held beside the outbox. `texts` may say nothing about anybody."""

    inbox: frozenset[str]
    inbox_repeated: int
    letters: list[Letter]
    incidents: list[Incident]
    parked: list[Parked]
    texts: list[tuple[str, str]] = field(default_factory=list)


def read_messaging(service: str, url: str) -> MessagingRows:
    """Inbox, dead letters, incidents and parked keys."""
    with reading(url) as cursor:
        keys = [key.hex() for (key,) in _rows(cursor, "SELECT id FROM inbox")]
        letters = list(
            _rows(
                cursor,
                "SELECT id, kind, consumer, topic, partition, record_offset, state, error, note FROM dead_letter",
            )
        )
        incidents = list(
            _rows(cursor, "SELECT kind, subject, closed_at IS NULL, summary, coalesce(resolution, '') FROM incident")
        )
        parked = list(_rows(cursor, "SELECT key, row_id FROM outbox_parked"))
    found = frozenset(keys)
    return MessagingRows(
        inbox=found,
        inbox_repeated=len(keys) - len(found),
        letters=[Letter(service, *row[:7]) for row in letters],
        incidents=[Incident(service, *row[:3]) for row in incidents],
        parked=[Parked(service, *row) for row in parked],
        texts=[(f"{service}.dead_letter", f"{row[7]}\n{row[8]}") for row in letters]
        + [(f"{service}.incident", f"{row[1]}\n{row[3]}\n{row[4]}") for row in incidents],
    )


# --- approval --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class ApprovalRows:
    """What approval knows of applications."""

    applications: list[Application]
    timeline: list[Entry]
    disclosures: list[Disclosure]
    uncovered: list[str]
    request_keys: list[str]
    texts: list[tuple[str, str]]


def read_approval(url: str) -> ApprovalRows:
    """Applications with their tasks, their timelines, what was disclosed, and which requests were answered."""
    found = ApprovalRows([], [], [], [], [], [])
    with reading(url) as cursor:
        for row in _rows(
            cursor, "SELECT id::text, life_event, status, version, state, data_key = '' FROM application ORDER BY id"
        ):
            found.applications.append(_application(*row))
            found.texts.append(("approval.application", row[4]))
        for application, version, entry in _rows(
            cursor, "SELECT application_id::text, version, entry FROM timeline ORDER BY application_id, version"
        ):
            found.timeline.append(_entry(application, version, json.loads(entry)))
            found.texts.append(("approval.timeline", entry))
        found.disclosures += [
            Disclosure(*row)
            for row in _rows(cursor, "SELECT task_id::text, application_id::text, department, matter FROM disclosure")
        ]
        found.uncovered += [task for (task,) in _rows(cursor, "SELECT task_id::text FROM disclosure_uncovered")]
        found.request_keys += [
            about for (about,) in _rows(cursor, "SELECT about::text FROM idempotency_keys WHERE about IS NOT NULL")
        ]
    return found


def _application(
    application_id: str, life_event: str, status: str, version: int, state: str, erased: bool
) -> Application:
    told = json.loads(state)
    return Application(
        id=application_id,
        life_event=life_event,
        status=status,
        outcome=told.get("outcome"),
        version=version,
        state_version=told.get("version", 0),
        state_status=told.get("status", "IN_PROGRESS"),
        form_revision=told.get("form_revision", 1),
        tasks=tuple(_task(task) for task in told["tasks"]),
        consents=tuple(
            Consent(consent["basis"], consent["giver"], consent.get("state", "PENDING"))
            for consent in told.get("consents", ())
        ),
        erased=erased,
    )


def _task(told: dict[str, Any]) -> Task:
    return Task(
        key=told["key"],
        matter=told["matter"],
        department=told["department"],
        child=told.get("child"),
        state=told.get("state", "DRAFT"),
        attempt=told.get("attempt", 1),
        decision=told.get("decision"),
        answers=len(told.get("digests", ())),
    )


def _entry(application: str, version: int, told: dict[str, Any]) -> Entry:
    return Entry(
        application=application,
        version=version,
        kind=told["kind"],
        task=told.get("task", ""),
        states=tuple(told.get("states", ())),
        giver=told.get("giver", ""),
        bases=tuple(told.get("bases", ())),
    )


# --- data-exchange, rating, the server -------------------------------------------------------------------------------


@dataclass(slots=True)
class ExchangeRows:
    """What data-exchange keeps: the ledger, what was disclosed to whom, consents."""

    leaves: list[Leaf]
    tiles: list[Tile]
    notes: list[Note]
    cosignatures: list[Note]
    kept: frozenset[str]
    erased: frozenset[str]
    withdrawals: list[Withdrawal]


def read_exchange(url: str) -> ExchangeRows:
    """The ledger's tables, the disclosures beside it, and withdrawn consents."""
    with reading(url) as cursor:
        return ExchangeRows(
            leaves=[
                Leaf(index, leaf, data.hex())
                for index, leaf, data in _rows(cursor, "SELECT index, id::text, data FROM ledger.leaf ORDER BY index")
            ],
            tiles=[
                Tile(level, index, hashes.hex(), root.hex())
                for level, index, hashes, root in _rows(
                    cursor, "SELECT level, index, hashes, root FROM ledger.tile ORDER BY level, index"
                )
            ],
            notes=[
                Note("ledger.checkpoint", size, note)
                for size, note in _rows(cursor, "SELECT size, note FROM ledger.checkpoint ORDER BY size")
            ],
            cosignatures=[
                Note("ledger.cosignature", size, line)
                for size, line in _rows(cursor, "SELECT size, line FROM ledger.cosignature ORDER BY size")
            ],
            kept=frozenset(each for (each,) in _rows(cursor, "SELECT id::text FROM disclosure")),
            erased=frozenset(
                each for (each,) in _rows(cursor, "SELECT disclosure_id::text FROM erased_disclosure WHERE whole")
            ),
            withdrawals=[
                Withdrawal(*row)
                for row in _rows(
                    cursor, "SELECT case_id::text, basis, role FROM consent WHERE withdrawn_at IS NOT NULL"
                )
            ],
        )


def read_invitations(url: str) -> list[str]:
    """The applications whose applicants rating invited, one entry for each invitation."""
    with reading(url) as cursor:
        return [each for (each,) in _rows(cursor, "SELECT application_id::text FROM invitation")]


def read_sessions(url: str) -> tuple[int, int]:
    """How many sessions the services have, and how many sit idle in a transaction for longer than 30 s."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            """
            SELECT count(*) FILTER (WHERE usename = ANY(%s)),
                count(*) FILTER (
                    WHERE state LIKE 'idle in transaction%%' AND state_change < now() - interval '30 seconds')
            FROM pg_stat_activity WHERE backend_type = 'client backend'
            """,
            [["approval", "identity", "data-exchange", "rating"]],
        ).fetchone()
    return (row[0], row[1]) if row else (0, 0)
