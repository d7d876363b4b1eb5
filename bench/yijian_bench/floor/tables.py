"""Rows without a meaning: tables of the measured sizes and numbers of indexes, written a batch at a time."""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import asyncpg
from yijian_messaging.postgres import PLANNER_SETTINGS

from yijian_bench.floor.shape import Table

KEY_BYTES = 16
ROW_HEAD_BYTES = 24


class Store(Protocol):
    """A database with the tables of one part."""

    async def write(self, units: int) -> None:
        """The rows that so many units insert and update, in one transaction."""

    async def clear(self) -> None:
        """Delete what is gone once the messages were sent, in one transaction."""


class _Rows:
    """What is due in one table; what a unit leaves in fractions is carried over."""

    def __init__(self, table: Table, per_unit: float) -> None:
        self.table = table
        self.filler = bytes(max(table.row_bytes - ROW_HEAD_BYTES - KEY_BYTES * table.indexes, 1))
        self._per_unit = per_unit
        self._due = {"inserted": 0.0, "updated": 0.0, "deleted": 0.0}
        self._next = 0
        self._present: deque[bytes] = deque()

    def insert(self, units: int) -> list[bytes]:
        """Keys for new rows, ascending like those of the platform."""
        first, self._next = self._next, self._next + self._take("inserted", self.table.inserted, units)
        return [number.to_bytes(KEY_BYTES, "big") for number in range(first, self._next)]

    def update(self, units: int) -> list[bytes]:
        """Keys of rows that are there."""
        wanted = self._take("updated", self.table.updated, units)
        return [self._present[-1 - n] for n in range(min(wanted, len(self._present)))]

    def committed(self, keys: Sequence[bytes], units: int) -> None:
        self._present.extend(keys)
        self._due["deleted"] += units * self._per_unit * self.table.deleted

    def delete(self) -> list[bytes]:
        """Keys of the oldest rows, as many as are to go."""
        wanted = min(self._take("deleted", 0, 0), len(self._present))
        return [self._present.popleft() for _ in range(wanted)]

    def _take(self, what: str, per_application: float, units: int) -> int:
        self._due[what] += units * self._per_unit * per_application
        whole = int(self._due[what])
        self._due[what] -= whole
        return whole


class PostgresTables:
    """Tables of one service."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", tables: Sequence[Table], per_unit: float) -> None:
        self._pool = pool
        self._rows = [_Rows(table, per_unit) for table in tables]

    @classmethod
    async def open(cls, url: str, tables: Sequence[Table], *, per_unit: float) -> "PostgresTables":
        # As the platform has it: planned for tables that were empty, a look-up by key would read all of a grown one.
        pool = await asyncpg.create_pool(url, min_size=2, max_size=4, server_settings=PLANNER_SETTINGS)
        for table in tables:
            others = "".join(f", k{n} bytea" for n in range(1, table.indexes))
            await pool.execute(
                f"CREATE TABLE {table.name} (k0 bytea PRIMARY KEY{others}, filler bytea STORAGE EXTERNAL)"
                " WITH (fillfactor = 90, toast_tuple_target = 8160)"
            )
            for n in range(1, table.indexes):
                await pool.execute(f"CREATE INDEX ON {table.name} (k{n})")
        return cls(pool, tables, per_unit)

    async def write(self, units: int) -> None:
        new = [(rows, rows.insert(units)) for rows in self._rows]
        changed = [(rows, rows.update(units)) for rows in self._rows]
        async with self._pool.acquire() as connection, connection.transaction():
            for rows, keys in new:
                if keys:
                    every_key = "k, " * rows.table.indexes
                    await connection.execute(
                        f"INSERT INTO {rows.table.name} SELECT {every_key} filler"  # noqa: S608 - our own name
                        " FROM unnest($1::bytea[], $2::bytea[]) AS n(k, filler)",
                        keys,
                        [rows.filler] * len(keys),
                    )
            for rows, keys in changed:
                if keys:
                    await connection.execute(
                        f"UPDATE {rows.table.name} t SET filler = n.filler"  # noqa: S608 - our own name
                        " FROM unnest($1::bytea[], $2::bytea[]) AS n(k, filler) WHERE t.k0 = n.k",
                        keys,
                        [rows.filler] * len(keys),
                    )
        for rows, keys in new:
            rows.committed(keys, units)

    async def clear(self) -> None:
        gone = [(rows, keys) for rows in self._rows if (keys := rows.delete())]
        if not gone:
            return
        async with self._pool.acquire() as connection, connection.transaction():
            for rows, keys in gone:
                await connection.execute(f"DELETE FROM {rows.table.name} WHERE k0 = ANY($1)", keys)  # noqa: S608 - our own names


class SqliteTables:
    """Tables of one department. COMMIT, which waits for the disk, leaves the event loop."""

    def __init__(self, path: Path, tables: Sequence[Table], per_unit: float) -> None:
        path.unlink(missing_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._disk = ThreadPoolExecutor(1)
        self._rows = [_Rows(table, per_unit) for table in tables]
        for table in tables:
            others = "".join(f", k{n} BLOB" for n in range(1, table.indexes))
            self._db.execute(f"CREATE TABLE {table.name} (k0 BLOB PRIMARY KEY{others}, filler BLOB)")
            for n in range(1, table.indexes):
                self._db.execute(f"CREATE INDEX {table.name}_{n} ON {table.name} (k{n})")

    async def write(self, units: int) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        new = [(rows, rows.insert(units)) for rows in self._rows]
        for rows, keys in new:
            places = ", ".join("?" * (rows.table.indexes + 1))
            values = [(*(key,) * rows.table.indexes, rows.filler) for key in keys]
            self._db.executemany(f"INSERT INTO {rows.table.name} VALUES ({places})", values)  # noqa: S608 - our own names
        await self._commit()
        for rows, keys in new:
            rows.committed(keys, units)

    async def clear(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        for rows in self._rows:
            gone = [(key,) for key in rows.delete()]
            self._db.executemany(f"DELETE FROM {rows.table.name} WHERE k0 = ?", gone)  # noqa: S608 - our own name
        await self._commit()

    async def _commit(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._disk, self._db.execute, "COMMIT")
