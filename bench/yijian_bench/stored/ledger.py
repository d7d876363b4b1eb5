"""The tree over the copies' leaves: its tiles and checkpoints, signed with the ledger's own key, so that all verifies.

A past of a million applications a year would have signed after nearly every leaf. Here each `TOGETHER` leaves are
signed together; otherwise nothing is left out. The witness cosigns the last state when the service starts.
"""

from collections.abc import Sequence
from typing import Final

import asyncpg
from data_exchange.tree import open_builder
from yijian_ledger.builder import FullTile
from yijian_ledger.checkpoints import Checkpoint, sign_checkpoint
from yijian_ledger.keys import PrivateKey
from yijian_ledger.tree_hash import SM3

TOGETHER: Final = 256
PAGE: Final = 100 * TOGETHER


async def sign_all(connection: asyncpg.Connection, key: PrivateKey) -> int:
    """Sign what no checkpoint covers yet; returns how many leaves are signed."""
    size = await connection.fetchval("SELECT coalesce(max(size), 0) FROM ledger.checkpoint")
    builder = await open_builder(connection, size)
    while rows := await connection.fetch(
        "SELECT data FROM ledger.leaf WHERE index >= $1 ORDER BY index LIMIT $2", builder.size, PAGE
    ):
        tiles: list[FullTile] = []
        notes: list[tuple[int, str]] = []
        for first in range(0, len(rows), TOGETHER):
            tiles += builder.extend(SM3.leaf(row["data"]) for row in rows[first : first + TOGETHER])
            checkpoint = Checkpoint(key.name, builder.size, builder.root())
            notes.append((builder.size, str(sign_checkpoint(checkpoint, key))))
        await _store(connection, tiles, notes)
    return builder.size


async def _store(connection: asyncpg.Connection, tiles: Sequence[FullTile], notes: Sequence[tuple[int, str]]) -> None:
    await connection.copy_records_to_table(
        "tile",
        schema_name="ledger",
        columns=("level", "index", "hashes", "root"),
        records=[(tile.level, tile.index, b"".join(tile.hashes), tile.root) for tile in tiles],
    )
    await connection.copy_records_to_table("checkpoint", schema_name="ledger", columns=("size", "note"), records=notes)
