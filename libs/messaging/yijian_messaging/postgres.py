"""The store on PostgreSQL: what the services use. Statements take whole batches; none is run per message."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from importlib.resources import files
from typing import TypeAlias

import asyncpg

from yijian_messaging import postgres_purge
from yijian_messaging.leases import Lease, share
from yijian_messaging.letters import pack, unpack, unsendable
from yijian_messaging.outbox_days import keep_days
from yijian_messaging.record import Outgoing, Record, read_headers, write_headers
from yijian_messaging.shards import shard_of
from yijian_messaging.store import (
    TAKEN_BACK,
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

SCHEMA_V1 = files(__package__).joinpath("schema/postgres_v1.sql").read_text(encoding="utf-8")

# Every hot statement is a look-up by key. These keep it one, whatever statistics autovacuum took of an empty table.
PLANNER_SETTINGS = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_bitmapscan": "off",
    "jit": "off",
    # One plan for all values: what there is to choose otherwise costs more than it can save.
    "plan_cache_mode": "force_generic_plan",
}

# Whoever finds no free connection in this time is told so, instead of waiting behind everybody else.
ACQUIRE_SECONDS = 2

_TRANSIENT = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
    # What asyncpg says when the server ended a connection that was idle, until it has noticed.
    asyncpg.InternalClientError,
)

# A string: at run time asyncpg's classes take no parameters.
Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


class PostgresTransaction:
    """An open transaction on PostgreSQL."""

    def __init__(self, connection: Connection, sealer: Sealer) -> None:
        self.connection = connection
        self.published = False
        self._sealer = sealer

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        if not messages:
            return
        self.published = True
        values = [self._sealer.seal(m.value) if m.personal else m.value for m in messages]
        await self.connection.execute(
            """
            WITH stored AS (
                INSERT INTO outbox (shard, event_id, topic, key, headers, value, personal, gate)
                SELECT shard, event_id, topic, key, headers, value, personal, gate
                FROM unnest(
                    $1::smallint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::bool[], $8::text[]
                ) WITH ORDINALITY AS m(shard, event_id, topic, key, headers, value, personal, gate, place)
                ORDER BY place
                RETURNING id, day, shard, event_id, gate
            )
            INSERT INTO outbox_unsent (id, day, shard, event_id, gate)
            SELECT id, day, shard, event_id, gate FROM stored
            """,
            [shard_of(m.key) for m in messages],
            [m.id for m in messages],
            [m.topic for m in messages],
            [m.key for m in messages],
            [write_headers(m.headers) for m in messages],
            values,
            [m.personal for m in messages],
            [m.gate or "" for m in messages],
        )

    async def cancel_unsent(self, event_ids: Sequence[str]) -> int:
        # The row stays: a relay may be sending it just now, and whoever compares topics and outbox has to find it.
        # Behind a gate that nobody opens `say_again` does not come upon it.
        done = await self.connection.execute(
            """
            WITH taken_back AS (
                DELETE FROM outbox_unsent WHERE event_id = ANY($1) RETURNING id, day
            )
            UPDATE outbox SET gate = $2
            -- By arrays: no statistics can make this a reading of all that was said.
            WHERE day = ANY(ARRAY(SELECT day FROM taken_back)) AND id = ANY(ARRAY(SELECT id FROM taken_back))
            """,
            list(event_ids),
            TAKEN_BACK,
        )
        return _count(done)

    async def open_incident(self, kind: str, subject: str, summary: str) -> None:
        await self.connection.execute(
            """
            INSERT INTO incident (kind, subject, summary) VALUES ($1, $2, $3)
            ON CONFLICT (kind, subject) WHERE closed_at IS NULL DO NOTHING
            """,
            kind,
            subject,
            summary,
        )

    async def close_incident(self, kind: str, subject: str, resolution: str) -> None:
        await self.connection.execute(
            "UPDATE incident SET closed_at = now(), resolution = $3"
            " WHERE kind = $1 AND subject = $2 AND closed_at IS NULL",
            kind,
            subject,
            resolution,
        )

    async def advance(self, consumer: str, moves: Sequence[Move]) -> bool:
        ordered = sorted(moves)
        done = await self.connection.execute(
            """
            WITH claim AS (
                SELECT topic, partition, first, until
                FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[]) AS c(topic, partition, first, until)
            ), held AS (
                SELECT o.topic, o.partition, c.until
                FROM consumer_offset o JOIN claim c ON o.topic = c.topic AND o.partition = c.partition
                WHERE o.consumer = $1 AND o.next_offset = c.first
                ORDER BY o.topic, o.partition
                FOR UPDATE OF o
            )
            UPDATE consumer_offset o SET next_offset = h.until, moved_at = now()
            FROM held h WHERE o.consumer = $1 AND o.topic = h.topic AND o.partition = h.partition
            """,
            consumer,
            [m.topic for m in ordered],
            [m.partition for m in ordered],
            [m.first for m in ordered],
            [m.until for m in ordered],
        )
        return _count(done) == len(ordered)

    async def unseen(self, keys: Sequence[bytes]) -> set[bytes]:
        rows = await self.connection.fetch(
            "INSERT INTO inbox (id) SELECT unnest($1::bytea[]) ON CONFLICT DO NOTHING RETURNING id", sorted(set(keys))
        )
        return {row["id"] for row in rows}

    async def forget(self, keys: Sequence[bytes]) -> None:
        await self.connection.execute("DELETE FROM inbox WHERE id = ANY($1)", list(keys))

    async def bury(self, consumer: str, records: Sequence[tuple[Record, str]]) -> None:
        for record, error in records:
            await self.put_letter(LetterKind.RECORD, consumer, record, error)

    async def put_letter(self, kind: LetterKind, consumer: str, record: Record, error: str) -> None:
        """Store a dead letter and open its incident."""
        letter = await self.connection.fetchval(
            """
            INSERT INTO dead_letter (kind, consumer, topic, partition, record_offset, sealed, error)
            VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id
            """,
            kind,
            consumer,
            record.topic,
            record.partition,
            record.offset,
            self._sealer.seal(pack(record)),
            error,
        )
        await self.open_incident("dead-letter", str(letter), f"{consumer}: {error}")

    async def settle_letter(self, letter: int, state: LetterState, note: str) -> None:
        await self.connection.execute(
            "UPDATE dead_letter SET state = $2, note = $3, settled_at = now() WHERE id = $1", letter, state, note
        )
        if state in (LetterState.REPLAYED, LetterState.DISCARDED):
            await self.close_incident("dead-letter", str(letter), note)


class PostgresStore:
    """The tables of `SCHEMA_V1` in a service's own database; create the pool with `PLANNER_SETTINGS`."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", *, sealer: Sealer) -> None:
        self._pool = pool
        self._sealer = sealer
        self._wakers: list[Waker] = []
        self._days_until: date | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresTransaction]:
        if self._days_until is not None and datetime.now(UTC).date() >= self._days_until:
            # A process that slept for days, or whose housekeeping fails: a row of today must have a place.
            await self.housekeep()
        async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            async with connection.transaction():
                transaction = PostgresTransaction(connection, self._sealer)
                yield transaction
            if transaction.published:
                for wake in self._wakers:
                    wake()

    async def ping(self) -> None:
        async with self._pool.acquire(timeout=5) as connection, connection.transaction():
            await connection.execute("UPDATE outbox_lease SET owner = owner WHERE shard = 0")

    def is_transient(self, error: BaseException) -> bool:
        if isinstance(error, asyncpg.QueryCanceledError):
            return False
        if isinstance(error, asyncpg.InterfaceError) and not isinstance(error, asyncpg.DataError):
            # The second is said of a connection that ended between two statements of its holder.
            return "clos" in str(error) or "released back to the pool" in str(error)
        return isinstance(error, _TRANSIENT)

    async def positions(
        self, consumer: str, starts: Mapping[tuple[str, int], int], cluster_id: str
    ) -> dict[tuple[str, int], Position]:
        places = sorted(starts)
        topics, partitions = [topic for topic, _ in places], [partition for _, partition in places]
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                """
                INSERT INTO consumer_offset (consumer, topic, partition, next_offset, cluster_id)
                SELECT $1, topic, partition, next_offset, $5
                FROM unnest($2::text[], $3::int[], $4::bigint[]) AS s(topic, partition, next_offset)
                ON CONFLICT DO NOTHING
                """,
                consumer,
                topics,
                partitions,
                [starts[place] for place in places],
                cluster_id,
            )
            rows = await connection.fetch(
                """
                SELECT o.topic, o.partition, o.next_offset, o.cluster_id
                FROM unnest($2::text[], $3::int[]) AS s(topic, partition)
                JOIN consumer_offset o ON o.consumer = $1 AND o.topic = s.topic AND o.partition = s.partition
                """,
                consumer,
                topics,
                partitions,
            )
        return {(r["topic"], r["partition"]): Position(r["next_offset"], r["cluster_id"]) for r in rows}

    async def lease_shards(self, owner: str, ttl: float) -> list[int]:
        async with self._pool.acquire() as connection, connection.transaction():
            # The leases are always locked in the same order, so that relays wait for each other and never deadlock.
            rows = await connection.fetch(
                "SELECT shard, CASE WHEN expires_at > now() THEN owner END AS owner FROM outbox_lease"
                " ORDER BY shard FOR UPDATE"
            )
            await connection.execute("DELETE FROM outbox_relay WHERE expires_at < now() AND owner <> $1", owner)
            await connection.execute(
                """
                INSERT INTO outbox_relay (owner, expires_at) VALUES ($1, now() + make_interval(secs => $2))
                ON CONFLICT (owner) DO UPDATE SET expires_at = excluded.expires_at
                """,
                owner,
                ttl,
            )
            owners = await connection.fetchval("SELECT count(*) FROM outbox_relay")
            mine = share([Lease(r["shard"], r["owner"]) for r in rows], owner=owner, owners=owners)
            await connection.execute(
                """
                UPDATE outbox_lease SET expires_at = now() + make_interval(secs => $3),
                    epoch = epoch + (owner IS DISTINCT FROM $2)::int, owner = $2
                WHERE shard = ANY($1)
                """,
                list(mine.hold),
                owner,
                ttl,
            )
            await connection.execute("UPDATE outbox_lease SET owner = NULL WHERE shard = ANY($1)", list(mine.release))
        return list(mine.hold)

    async def release_shards(self, owner: str) -> None:
        async with self._pool.acquire(timeout=2) as connection, connection.transaction():
            await connection.execute(
                "UPDATE outbox_lease SET owner = NULL WHERE shard IN"
                " (SELECT shard FROM outbox_lease WHERE owner = $1 ORDER BY shard FOR UPDATE)",
                owner,
            )
            await connection.execute("DELETE FROM outbox_relay WHERE owner = $1", owner)

    async def release_predecessors(self, family: str) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "UPDATE outbox_lease SET owner = NULL WHERE shard IN"
                " (SELECT shard FROM outbox_lease WHERE starts_with(owner, $1) ORDER BY shard FOR UPDATE)",
                family,
            )
            await connection.execute("DELETE FROM outbox_relay WHERE starts_with(owner, $1)", family)

    async def unsent(self, shards: Sequence[int], limit: int, *, open_gates: Sequence[str] = ()) -> list[Unsent]:
        rows = await self._pool.fetch(
            """
            SELECT m.* FROM unnest($3::text[]) AS g(gate) CROSS JOIN LATERAL (
                SELECT u.id, u.gate, o.event_id, o.topic, o.key, o.headers, o.value, o.personal
                FROM outbox_unsent u
                -- OFFSET 0 keeps this a look-up per waiting row: no statistics can make it a reading of all that was
                -- sent.
                CROSS JOIN LATERAL (SELECT * FROM outbox s WHERE s.day = u.day AND s.id = u.id OFFSET 0) o
                WHERE u.gate = g.gate AND u.shard = ANY($1)
                    AND NOT EXISTS (SELECT FROM outbox_parked p WHERE p.key = o.key)
                ORDER BY u.id LIMIT $2
            ) m
            ORDER BY m.id LIMIT $2
            """,
            list(shards),
            limit,
            ["", *open_gates],
        )
        return [
            Unsent(
                row=r["id"],
                message=Outgoing(
                    id=r["event_id"],
                    topic=r["topic"],
                    key=r["key"],
                    headers=read_headers(r["headers"]),
                    value=self._sealer.open(r["value"]) if r["personal"] else r["value"],
                    personal=r["personal"],
                    gate=r["gate"] or None,
                ),
            )
            for r in rows
        ]

    async def mark_sent(self, owner: str, rows: Sequence[Unsent]) -> None:
        await self._pool.execute(
            """
            DELETE FROM outbox_unsent u WHERE u.gate = ANY($3) AND u.id = ANY($1)
            AND EXISTS (SELECT FROM outbox_lease l WHERE l.shard = u.shard AND l.owner = $2)
            """,
            [row.row for row in rows],
            owner,
            sorted({row.message.gate or "" for row in rows}),
        )

    async def park(self, row: Unsent, error: str) -> None:
        async with self.transaction() as transaction:
            done = await transaction.connection.execute(
                "INSERT INTO outbox_parked (key, row_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                row.message.key,
                row.row,
            )
            if _count(done):
                await transaction.put_letter(LetterKind.UNSENDABLE, "relay", unsendable(row), error)

    async def backlog(self) -> tuple[int, float]:
        row = await self._pool.fetchrow(
            """
            WITH waiting AS MATERIALIZED (SELECT id, day FROM outbox_unsent LIMIT 100000)
            SELECT count(*) AS rows, coalesce(extract(epoch FROM now() -
                (SELECT (SELECT o.created_at FROM outbox o WHERE o.day = w.day AND o.id = w.id)
                 FROM waiting w ORDER BY w.id LIMIT 1)), 0)::float AS age
            FROM waiting
            """
        )
        return (row["rows"], row["age"]) if row else (0, 0.0)

    async def letters(self, *, state: LetterState | None = None, limit: int = 100) -> list[DeadLetter]:
        rows = await self._pool.fetch(
            "SELECT * FROM dead_letter WHERE $1::text IS NULL OR state = $1 ORDER BY id LIMIT $2", state, limit
        )
        return [self._letter(row, opened=False) for row in rows]

    async def letter(self, letter: int) -> DeadLetter | None:
        row = await self._pool.fetchrow("SELECT * FROM dead_letter WHERE id = $1", letter)
        return self._letter(row, opened=True) if row else None

    def _letter(self, row: asyncpg.Record, *, opened: bool) -> DeadLetter:
        place = {"topic": row["topic"], "partition": row["partition"], "offset": row["record_offset"]}
        record = (
            unpack(self._sealer.open(row["sealed"]), **place)
            if opened and row["sealed"]
            else Record(**place, key=None, value=None, headers=(), timestamp_ms=0)
        )
        return DeadLetter(
            id=row["id"],
            kind=LetterKind(row["kind"]),
            state=LetterState(row["state"]),
            consumer=row["consumer"],
            record=record,
            error=row["error"],
            created_at=row["created_at"],
            note=row["note"],
        )

    async def request_replay(self, letter: int, *, note: str, value: bytes | None) -> bool:
        async with self.transaction() as transaction:
            connection = transaction.connection
            row = await connection.fetchrow(
                "SELECT * FROM dead_letter WHERE id = $1 AND state IN ('DEAD', 'REPLAY') FOR UPDATE", letter
            )
            if row is None:
                return False
            if row["kind"] == LetterKind.UNSENDABLE:
                await self._release_row(transaction, row, value)
                await transaction.settle_letter(letter, LetterState.REPLAYED, note)
                return True
            sealed = row["sealed"] if value is None else self._with_value(row, value)
            await connection.execute(
                "UPDATE dead_letter SET state = 'REPLAY', note = $2, sealed = $3 WHERE id = $1", letter, note, sealed
            )
            return True

    def _with_value(self, row: asyncpg.Record, value: bytes) -> bytes:
        record = self._letter(row, opened=True).record
        return self._sealer.seal(pack(replace(record, value=value)))

    async def _release_row(self, transaction: PostgresTransaction, row: asyncpg.Record, value: bytes | None) -> None:
        connection = transaction.connection
        if value is not None:
            await connection.execute(
                """
                UPDATE outbox o SET value = CASE WHEN o.personal THEN $2::bytea ELSE $3::bytea END
                FROM outbox_unsent u WHERE u.id = $1 AND o.day = u.day AND o.id = u.id
                """,
                row["record_offset"],
                self._sealer.seal(value),
                value,
            )
        await connection.execute("DELETE FROM outbox_parked WHERE row_id = $1", row["record_offset"])
        transaction.published = True

    async def discard(self, letter: int, *, note: str) -> bool:
        async with self.transaction() as transaction:
            row = await transaction.connection.fetchrow(
                "SELECT * FROM dead_letter WHERE id = $1 AND state IN ('DEAD', 'REPLAY') FOR UPDATE", letter
            )
            if row is None:
                return False
            if row["kind"] == LetterKind.UNSENDABLE:
                await transaction.connection.execute(
                    """
                    WITH given_up AS (DELETE FROM outbox_unsent WHERE id = $1 RETURNING id, day)
                    DELETE FROM outbox WHERE day = (SELECT day FROM given_up) AND id = (SELECT id FROM given_up)
                    """,
                    row["record_offset"],
                )
                await self._release_row(transaction, row, None)
            await transaction.settle_letter(letter, LetterState.DISCARDED, note)
            return True

    async def replays(self, consumer: str, limit: int) -> list[int]:
        rows = await self._pool.fetch(
            "SELECT id FROM dead_letter WHERE state = 'REPLAY' AND consumer = $1 ORDER BY id LIMIT $2", consumer, limit
        )
        return [row["id"] for row in rows]

    async def incidents(self, *, open_only: bool = True, limit: int = 100) -> list[Incident]:
        rows = await self._pool.fetch(
            "SELECT * FROM incident WHERE NOT $1 OR closed_at IS NULL ORDER BY id DESC LIMIT $2", open_only, limit
        )
        return [Incident(**dict(row)) for row in rows]

    async def housekeep(self) -> None:
        self._days_until = await keep_days(self._pool)

    async def purge(self) -> bool:
        return await postgres_purge.purge(self._pool)

    def on_publish(self, wake: Waker) -> None:
        self._wakers.append(wake)

    async def close(self) -> None:
        await self._pool.close()


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])
