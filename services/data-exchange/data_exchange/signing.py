"""One checkpoint: read what was appended, sign, store, publish; all of it in one transaction.

What is signed leaves the process only by way of that transaction. So nothing is signed and not stored: a signature
whose COMMIT failed was seen by nobody, and the next one over the same leaves says the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
from yijian_common.database import Connection
from yijian_contracts import cloudevents
from yijian_contracts.events import CheckpointSigned
from yijian_contracts.events.disclosures import MOST_COVERED
from yijian_ledger.builder import FullTile, TreeBuilder
from yijian_ledger.checkpoints import Checkpoint, open_checkpoint, sign_checkpoint
from yijian_ledger.keys import PrivateKey
from yijian_ledger.notes import NoteError
from yijian_ledger.tree_hash import SM3
from yijian_messaging import Outgoing, Transaction

from data_exchange.checkpoints import Signed, find_latest
from data_exchange.errors import LedgerBroken
from data_exchange.tree import open_builder, root_at

MOST_LEAVES: Final = 2 * MOST_COVERED
"""At most so many leaves come under one checkpoint; what is more comes under the next, at once."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last checkpoint and the tree that it speaks of."""

    note: str
    builder: TreeBuilder

    @property
    def size(self) -> int:
        return self.builder.size


EMPTY: Final = Head("", TreeBuilder())


async def read_head(connection: Connection, key: PrivateKey, *, known: Head | None) -> Head:
    """The stored head, held against the tree: `known` if it is still that. Raises `LedgerBroken`."""
    stored = await find_latest(connection)
    if stored is None:
        return EMPTY
    if known is not None and known.note == _own_note(stored, key):
        return known
    checkpoint = _check(stored, key)
    builder = await open_builder(connection, checkpoint.size)
    if builder.root() != checkpoint.root:
        raise LedgerBroken(f"the leaves do not have the root that was signed at size {checkpoint.size}")
    return Head(_own_note(stored, key), builder)


async def require_continuation(connection: Connection, head: Head, remembered: Head) -> None:
    """Raises `LedgerBroken` unless the stored head goes on from the one that this process signed or saw last."""
    if head is remembered or remembered.size == 0:
        return
    if head.size < remembered.size:
        raise LedgerBroken(f"the tables went back from size {remembered.size} to {head.size}")
    if await root_at(connection, remembered.size, head.size) != remembered.builder.root():
        raise LedgerBroken(f"the tree of size {head.size} does not go on from that of size {remembered.size}")


def _check(stored: Signed, key: PrivateKey) -> Checkpoint:
    try:
        checkpoint, _ = open_checkpoint(str(stored.note), key.public)
    except NoteError as error:
        raise LedgerBroken(f"the checkpoint of size {stored.size} is not ours: {error}") from None
    if checkpoint.size != stored.size:
        raise LedgerBroken(f"the checkpoint of size {stored.size} is not what its row says")
    return checkpoint


def _own_note(stored: Signed, key: PrivateKey) -> str:
    """The note as it was signed, without what witnesses added."""
    own = tuple(signature for signature in stored.note.signatures if signature.is_by(key.public))
    return str(type(stored.note)(stored.note.text, own))


async def sign_next(
    transaction: Transaction[Connection], head: Head, key: PrivateKey, *, at: datetime, source: str
) -> Head | None:
    """Sign what was appended since `head`, if anything was. Raises `LedgerBroken`.

    The caller holds the signer's lease in this transaction and takes the new head over once it is committed.
    """
    rows = await transaction.connection.fetch(
        "SELECT index, id, data FROM ledger.leaf WHERE index >= $1 ORDER BY index LIMIT $2",
        head.size,
        MOST_LEAVES,
    )
    if not rows:
        return None
    _check_leaves(rows, head.size)
    builder = head.builder.copy()
    tiles = builder.extend(SM3.leaf(row["data"]) for row in rows)
    checkpoint = Checkpoint(key.name, builder.size, builder.root())
    note = str(sign_checkpoint(checkpoint, key))
    await _store(transaction.connection, checkpoint, note, tiles)
    events = _events(checkpoint, note, [row["id"] for row in rows], at=at)
    await transaction.publish([_outgoing(event, source=source, at=at) for event in events])
    return Head(note, builder)


def _check_leaves(rows: Sequence[asyncpg.Record], first: int) -> None:
    """A leaf that is about something else than its row says, or stands behind a gap, is never signed."""
    for place, row in enumerate(rows, start=first):
        if row["index"] != place:
            raise LedgerBroken(f"leaf {place} is missing")
        if str(row["id"]).encode() not in row["data"]:
            raise LedgerBroken(f"leaf {place} is about something else than its row says")


async def _store(connection: Connection, checkpoint: Checkpoint, note: str, tiles: Sequence[FullTile]) -> None:
    if tiles:
        await connection.execute(
            """
            INSERT INTO ledger.tile (level, index, hashes, root)
            SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[], $4::bytea[])
            """,
            [tile.level for tile in tiles],
            [tile.index for tile in tiles],
            [b"".join(tile.hashes) for tile in tiles],
            [tile.root for tile in tiles],
        )
    await connection.execute("INSERT INTO ledger.checkpoint (size, note) VALUES ($1, $2)", checkpoint.size, note)


def _events(checkpoint: Checkpoint, note: str, covered: Sequence[UUID], *, at: datetime) -> list[CheckpointSigned]:
    return [
        CheckpointSigned(
            origin=checkpoint.origin,
            size=checkpoint.size,
            part=part,
            checkpoint=note,
            covered=tuple(covered[first : first + MOST_COVERED]),
            signed_at=at,
        )
        for part, first in enumerate(range(0, len(covered), MOST_COVERED))
    ]


def _outgoing(event: CheckpointSigned, *, source: str, at: datetime) -> Outgoing:
    encoded = cloudevents.encode(event, source=source, time=at)
    return Outgoing(id=encoded.id, topic=encoded.topic, key=encoded.key, headers=encoded.headers, value=encoded.value)
