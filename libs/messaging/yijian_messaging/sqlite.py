"""The store on SQLite: what a bureau's program uses when it has no database of its own to put the answers beside.

Statements run in the event loop, where they cost microseconds; only COMMIT, which waits for the disk, leaves it.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Self

from yijian_messaging import sqlite_purge
from yijian_messaging.leases import Lease, share
from yijian_messaging.letters import pack, unpack, unsendable
from yijian_messaging.record import Outgoing, Record, read_headers, write_headers
from yijian_messaging.shards import shard_of
from yijian_messaging.store import (
    DeadLetter,
    Incident,
    LetterKind,
    LetterState,
    Move,
    Position,
    Sealer,
    Unsent,
    Waker,
)

SCHEMA_V1 = files(__package__).joinpath("schema/sqlite_v1.sql").read_text(encoding="utf-8")

BUSY_PATIENCE = 10.0
_NOW = "((julianday('now') - 2440587.5) * 86400.0)"

_TRANSIENT = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
}


class SqliteTransaction:
    """An open transaction on SQLite."""

    def __init__(self, connection: sqlite3.Connection, sealer: Sealer) -> None:
        self.connection = connection
        self.published = False
        self._sealer = sealer

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        for m in messages:
            self.published = True
            row = self.connection.execute(
                "INSERT INTO outbox (shard, event_id, topic, key, headers, value, personal)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    shard_of(m.key),
                    m.id,
                    m.topic,
                    m.key,
                    write_headers(m.headers),
                    self._sealer.seal(m.value) if m.personal else m.value,
                    m.personal,
                ),
            ).lastrowid
            self.connection.execute(
                "INSERT INTO outbox_unsent (id, shard, event_id, gate) VALUES (?, ?, ?, ?)",
                (row, shard_of(m.key), m.id, m.gate or ""),
            )

    async def cancel_unsent(self, event_ids: Sequence[str]) -> int:
        # Nothing is kept of what was never said: `say_again` must not come upon it.
        told = (json.dumps(list(event_ids)),)
        self.connection.execute(
            "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox_unsent WHERE event_id IN"
            " (SELECT value FROM json_each(?)))",
            told,
        )
        return self.connection.execute(
            "DELETE FROM outbox_unsent WHERE event_id IN (SELECT value FROM json_each(?))", told
        ).rowcount

    async def open_incident(self, kind: str, subject: str, summary: str) -> None:
        self.connection.execute(
            "INSERT INTO incident (kind, subject, summary) VALUES (?, ?, ?)"
            " ON CONFLICT (kind, subject) WHERE closed_at IS NULL DO NOTHING",
            (kind, subject, summary),
        )

    async def close_incident(self, kind: str, subject: str, resolution: str) -> None:
        self.connection.execute(
            f"UPDATE incident SET closed_at = {_NOW}, resolution = ?"  # noqa: S608 - a constant
            " WHERE kind = ? AND subject = ? AND closed_at IS NULL",
            (resolution, kind, subject),
        )

    async def advance(self, consumer: str, moves: Sequence[Move]) -> bool:
        return all(
            self.connection.execute(
                "UPDATE consumer_offset SET next_offset = ?"
                " WHERE consumer = ? AND topic = ? AND partition = ? AND next_offset = ?",
                (move.until, consumer, move.topic, move.partition, move.first),
            ).rowcount
            == 1
            for move in sorted(moves)
        )

    async def unseen(self, keys: Sequence[bytes]) -> set[bytes]:
        return {
            key
            for key in sorted(set(keys))
            if self.connection.execute("INSERT OR IGNORE INTO inbox (id) VALUES (?)", (key,)).rowcount
        }

    async def forget(self, keys: Sequence[bytes]) -> None:
        self.connection.executemany("DELETE FROM inbox WHERE id = ?", [(key,) for key in keys])

    async def bury(self, consumer: str, records: Sequence[tuple[Record, str]]) -> None:
        for record, error in records:
            await self.put_letter(LetterKind.RECORD, consumer, record, error)

    async def put_letter(self, kind: LetterKind, consumer: str, record: Record, error: str) -> None:
        """Store a dead letter and open its incident."""
        letter = self.connection.execute(
            "INSERT INTO dead_letter (kind, consumer, topic, partition, record_offset, sealed, error)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                kind,
                consumer,
                record.topic,
                record.partition,
                record.offset,
                self._sealer.seal(pack(record)),
                error,
            ),
        ).lastrowid
        await self.open_incident("dead-letter", str(letter), f"{consumer}: {error}")

    async def settle_letter(self, letter: int, state: LetterState, note: str) -> None:
        self.connection.execute(
            f"UPDATE dead_letter SET state = ?, note = ?, settled_at = {_NOW} WHERE id = ?",  # noqa: S608 - a constant
            (state, note, letter),
        )
        if state in (LetterState.REPLAYED, LetterState.DISCARDED):
            await self.close_incident("dead-letter", str(letter), note)


class SqliteStore:
    """One file, one connection, transactions one after the other; other processes may use the same file."""

    def __init__(self, connection: sqlite3.Connection, *, sealer: Sealer) -> None:
        self._db = connection
        self._sealer = sealer
        self._turn = asyncio.Lock()
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite-commit")
        self._wakers: list[Waker] = []

    @classmethod
    async def open(cls, path: Path, *, sealer: Sealer, schema: str = "") -> Self:
        """Open or create the file; `schema` holds the program's own CREATE TABLE IF NOT EXISTS statements."""
        connection = _connect(path)
        connection.row_factory = sqlite3.Row
        for statement in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
            connection.execute(f"PRAGMA {statement}")
        connection.executescript(SCHEMA_V1 + schema)
        # From here on waiting for another process is done in the event loop, not in SQLite.
        connection.execute("PRAGMA busy_timeout = 0")
        return cls(connection, sealer=sealer)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SqliteTransaction]:
        async with self._turn:
            await self._begin()
            transaction = SqliteTransaction(self._db, self._sealer)
            try:
                yield transaction
            except BaseException:
                self._rollback()
                raise
            await self._commit()
        if transaction.published:
            for wake in self._wakers:
                wake()

    async def _begin(self) -> None:
        deadline = time.monotonic() + BUSY_PATIENCE
        pause = 0.001
        while True:
            try:
                self._db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(pause)
                pause = min(pause * 2, 0.05)
            else:
                return

    async def _commit(self) -> None:
        commit = asyncio.get_running_loop().run_in_executor(self._disk, self._db.execute, "COMMIT")
        try:
            await asyncio.shield(commit)
        except asyncio.CancelledError:
            # The disk is at it already: wait for the outcome, so that nobody finds the connection half way.
            await asyncio.wait([commit])
            if commit.exception() is not None:
                self._rollback()
            raise
        except sqlite3.Error:
            self._rollback()
            raise

    def _rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    async def ping(self) -> None:
        async with self.transaction() as transaction:
            transaction.connection.execute("UPDATE outbox_lease SET owner = owner WHERE shard = 0")

    def is_transient(self, error: BaseException) -> bool:
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", None) is not None:
            return (error.sqlite_errorcode & 0xFF) in _TRANSIENT
        return isinstance(error, OSError | TimeoutError)

    async def positions(
        self, consumer: str, starts: Mapping[tuple[str, int], int], cluster_id: str
    ) -> dict[tuple[str, int], Position]:
        found = {}
        async with self.transaction() as transaction:
            for (topic, partition), start in starts.items():
                transaction.connection.execute(
                    "INSERT OR IGNORE INTO consumer_offset VALUES (?, ?, ?, ?, ?)",
                    (consumer, topic, partition, start, cluster_id),
                )
                row = transaction.connection.execute(
                    "SELECT next_offset, cluster_id FROM consumer_offset"
                    " WHERE consumer = ? AND topic = ? AND partition = ?",
                    (consumer, topic, partition),
                ).fetchone()
                found[topic, partition] = Position(row["next_offset"], row["cluster_id"])
        return found

    async def lease_shards(self, owner: str, ttl: float) -> list[int]:
        async with self.transaction() as transaction:
            db = transaction.connection
            now = time.time()
            rows = db.execute("SELECT shard, owner, expires_at FROM outbox_lease ORDER BY shard").fetchall()
            db.execute("DELETE FROM outbox_relay WHERE expires_at < ? AND owner <> ?", (now, owner))
            db.execute("INSERT OR REPLACE INTO outbox_relay VALUES (?, ?)", (owner, now + ttl))
            owners = db.execute("SELECT count(*) FROM outbox_relay").fetchone()[0]
            leases = [Lease(row["shard"], row["owner"] if row["expires_at"] > now else None) for row in rows]
            mine = share(leases, owner=owner, owners=owners)
            db.executemany(
                "UPDATE outbox_lease SET expires_at = ?, epoch = epoch + (owner IS NOT ?), owner = ? WHERE shard = ?",
                [(now + ttl, owner, owner, shard) for shard in mine.hold],
            )
            db.executemany("UPDATE outbox_lease SET owner = NULL WHERE shard = ?", [(s,) for s in mine.release])
        return list(mine.hold)

    async def release_shards(self, owner: str) -> None:
        async with self.transaction() as transaction:
            transaction.connection.execute("UPDATE outbox_lease SET owner = NULL WHERE owner = ?", (owner,))
            transaction.connection.execute("DELETE FROM outbox_relay WHERE owner = ?", (owner,))

    async def release_predecessors(self, family: str) -> None:
        async with self.transaction() as transaction:
            for statement in (
                "UPDATE outbox_lease SET owner = NULL WHERE substr(owner, 1, ?) = ?",
                "DELETE FROM outbox_relay WHERE substr(owner, 1, ?) = ?",
            ):
                transaction.connection.execute(statement, (len(family), family))

    async def unsent(self, shards: Sequence[int], limit: int, *, open_gates: Sequence[str] = ()) -> list[Unsent]:
        async with self._turn:
            rows = self._db.execute(
                """
                SELECT u.id, u.gate, o.event_id, o.topic, o.key, o.headers, o.value, o.personal
                FROM outbox_unsent u CROSS JOIN outbox o ON o.id = u.id
                WHERE u.shard IN (SELECT value FROM json_each(?))
                AND (u.gate = '' OR u.gate IN (SELECT value FROM json_each(?)))
                AND NOT EXISTS (SELECT 1 FROM outbox_parked p WHERE p.key = o.key)
                ORDER BY u.id LIMIT ?
                """,
                (json.dumps(list(shards)), json.dumps(list(open_gates)), limit),
            ).fetchall()
        return [
            Unsent(
                row=row,
                message=Outgoing(
                    id=event_id,
                    topic=topic,
                    key=key,
                    headers=read_headers(headers),
                    value=self._sealer.open(value) if personal else value,
                    personal=bool(personal),
                    gate=gate or None,
                ),
            )
            for row, gate, event_id, topic, key, headers, value, personal in rows
        ]

    async def mark_sent(self, owner: str, rows: Sequence[Unsent]) -> None:
        async with self.transaction() as transaction:
            transaction.connection.executemany(
                "DELETE FROM outbox_unsent WHERE id = ? AND EXISTS"
                " (SELECT 1 FROM outbox_lease l WHERE l.shard = outbox_unsent.shard AND l.owner = ?)",
                [(row.row, owner) for row in rows],
            )

    async def park(self, row: Unsent, error: str) -> None:
        async with self.transaction() as transaction:
            inserted = transaction.connection.execute(
                "INSERT OR IGNORE INTO outbox_parked VALUES (?, ?)", (row.message.key, row.row)
            )
            if inserted.rowcount:
                await transaction.put_letter(LetterKind.UNSENDABLE, "relay", unsendable(row), error)

    async def backlog(self) -> tuple[int, float]:
        # Asked every few seconds in the event loop: after a long outage not every waiting row is counted.
        row = self._db.execute(
            f"""
            SELECT (SELECT count(*) FROM (SELECT 1 FROM outbox_unsent LIMIT 100000)),
                coalesce({_NOW} - (SELECT created_at FROM outbox WHERE id = (SELECT min(id) FROM outbox_unsent)), 0)
            """  # noqa: S608 - a constant
        ).fetchone()
        return row[0], row[1]

    async def letters(self, *, state: LetterState | None = None, limit: int = 100) -> list[DeadLetter]:
        rows = self._db.execute(
            "SELECT * FROM dead_letter WHERE ? IS NULL OR state = ? ORDER BY id LIMIT ?", (state, state, limit)
        )
        return [self._letter(row, opened=False) for row in rows]

    async def letter(self, letter: int) -> DeadLetter | None:
        row = self._db.execute("SELECT * FROM dead_letter WHERE id = ?", (letter,)).fetchone()
        return self._letter(row, opened=True) if row else None

    def _letter(self, row: sqlite3.Row, *, opened: bool) -> DeadLetter:
        topic, partition, offset = row["topic"], row["partition"], row["record_offset"]
        record = (
            unpack(self._sealer.open(row["sealed"]), topic=topic, partition=partition, offset=offset)
            if opened and row["sealed"]
            else Record(topic, partition, offset, key=None, value=None, headers=(), timestamp_ms=0)
        )
        return DeadLetter(
            id=row["id"],
            kind=LetterKind(row["kind"]),
            state=LetterState(row["state"]),
            consumer=row["consumer"],
            record=record,
            error=row["error"],
            created_at=datetime.fromtimestamp(row["created_at"], UTC),
            note=row["note"],
        )

    async def request_replay(self, letter: int, *, note: str, value: bytes | None) -> bool:
        async with self.transaction() as transaction:
            db = transaction.connection
            row = _undecided(db, letter)
            if row is None:
                return False
            if row["kind"] == LetterKind.UNSENDABLE:
                if value is not None:
                    sealed = self._sealer.seal(value)
                    db.execute(
                        "UPDATE outbox SET value = CASE personal WHEN 1 THEN ? ELSE ? END WHERE id = ?",
                        (sealed, value, row["record_offset"]),
                    )
                db.execute("DELETE FROM outbox_parked WHERE row_id = ?", (row["record_offset"],))
                transaction.published = True
                await transaction.settle_letter(letter, LetterState.REPLAYED, note)
                return True
            sealed = row["sealed"]
            if value is not None:
                sealed = self._sealer.seal(pack(replace(self._letter(row, opened=True).record, value=value)))
            db.execute(
                "UPDATE dead_letter SET state = 'REPLAY', note = ?, sealed = ? WHERE id = ?", (note, sealed, letter)
            )
            return True

    async def discard(self, letter: int, *, note: str) -> bool:
        async with self.transaction() as transaction:
            db = transaction.connection
            row = _undecided(db, letter)
            if row is None:
                return False
            if row["kind"] == LetterKind.UNSENDABLE:
                db.execute("DELETE FROM outbox_unsent WHERE id = ?", (row["record_offset"],))
                db.execute("DELETE FROM outbox_parked WHERE row_id = ?", (row["record_offset"],))
                transaction.published = True
            await transaction.settle_letter(letter, LetterState.DISCARDED, note)
            return True

    async def replays(self, consumer: str, limit: int) -> list[int]:
        rows = self._db.execute(
            "SELECT id FROM dead_letter WHERE state = 'REPLAY' AND consumer = ? ORDER BY id LIMIT ?", (consumer, limit)
        ).fetchall()
        return [row["id"] for row in rows]

    async def incidents(self, *, open_only: bool = True, limit: int = 100) -> list[Incident]:
        rows = self._db.execute(
            "SELECT * FROM incident WHERE NOT ? OR closed_at IS NULL ORDER BY id DESC LIMIT ?", (open_only, limit)
        )
        return [
            Incident(
                id=r["id"],
                kind=r["kind"],
                subject=r["subject"],
                summary=r["summary"],
                opened_at=datetime.fromtimestamp(r["opened_at"], UTC),
                closed_at=None if r["closed_at"] is None else datetime.fromtimestamp(r["closed_at"], UTC),
                resolution=r["resolution"],
            )
            for r in rows
        ]

    async def housekeep(self) -> None:
        """There are no partitions here."""

    async def purge(self) -> bool:
        async with self.transaction() as transaction:
            return sqlite_purge.purge(transaction.connection)

    def on_publish(self, wake: Waker) -> None:
        self._wakers.append(wake)

    async def close(self) -> None:
        async with self._turn:
            self._disk.shutdown(wait=True)
            self._db.close()


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)


def _undecided(db: sqlite3.Connection, letter: int) -> sqlite3.Row | None:
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM dead_letter WHERE id = ? AND state IN ('DEAD', 'REPLAY')", (letter,)
    ).fetchone()
    return row
