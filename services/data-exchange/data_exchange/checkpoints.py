"""What was signed, and what witnesses said of it: named reads."""

from dataclasses import dataclass

import asyncpg
from yijian_common.database import Connection
from yijian_ledger.checkpoints import Checkpoint, parse_checkpoint
from yijian_ledger.notes import Note, parse_note, parse_signatures

_SELECT = """
    SELECT c.size, c.note,
        coalesce((SELECT string_agg(s.line, '' ORDER BY s.line) FROM ledger.cosignature s WHERE s.size = c.size), '')
            AS cosignatures
    FROM ledger.checkpoint c
"""


@dataclass(frozen=True, slots=True)
class Signed:
    """A stored checkpoint; `note` has the log's signature and those of the witnesses."""

    size: int
    note: Note
    cosigned: bool

    @property
    def checkpoint(self) -> Checkpoint:
        return parse_checkpoint(self.note.text)


async def find_latest(connection: Connection) -> Signed | None:
    """The newest checkpoint."""
    row = await connection.fetchrow(f"{_SELECT} ORDER BY c.size DESC LIMIT 1")
    return _signed(row) if row else None


async def find_latest_cosigned(connection: Connection) -> Signed | None:
    """The newest checkpoint that a witness cosigned."""
    size = await connection.fetchval("SELECT size FROM ledger.cosignature ORDER BY size DESC LIMIT 1")
    return None if size is None else await find(connection, size)


async def find(connection: Connection, size: int) -> Signed | None:
    """The checkpoint of exactly this size."""
    row = await connection.fetchrow(f"{_SELECT} WHERE c.size = $1", size)
    return _signed(row) if row else None


async def list_after(connection: Connection, size: int, *, limit: int) -> list[Signed]:
    """Checkpoints that are larger than `size`, the smallest first."""
    rows = await connection.fetch(f"{_SELECT} WHERE c.size > $1 ORDER BY c.size LIMIT $2", size, limit)
    return [_signed(row) for row in rows]


async def store_cosignature(connection: Connection, size: int, line: str) -> None:
    """Keep what a witness said of the checkpoint of this size."""
    await connection.execute(
        "INSERT INTO ledger.cosignature (size, line) VALUES ($1, $2) ON CONFLICT DO NOTHING", size, line
    )


def _signed(row: asyncpg.Record) -> Signed:
    note = parse_note(row["note"])
    if row["cosignatures"]:
        note = note.with_signatures(*parse_signatures(row["cosignatures"]))
    return Signed(row["size"], note, cosigned=bool(row["cosignatures"]))
