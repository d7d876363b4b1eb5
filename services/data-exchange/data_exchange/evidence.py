"""Evidence that somebody can take away: what was disclosed, and the proof that it was written down then.

The pack is read and checked by `yijian_ledger.evidence`, with the ledger's and the witness's public keys alone.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from yijian_common.database import Connection
from yijian_ledger.evidence import Item, Opening, make_pack
from yijian_ledger.proofs import inclusion_ranges
from yijian_ledger.tiles import range_hash, tiles_for

from data_exchange.checkpoints import Signed, find_latest, find_latest_cosigned
from data_exchange.errors import LeafNotFound, NotSignedYet
from data_exchange.tree import read_tiles


async def gather(connection: Connection, openings: Mapping[UUID, Opening | None]) -> dict[str, Any]:
    """The evidence pack of these disclosures, the oldest leaf first, all under one checkpoint.

    Who may have it, and which portions of each, is the caller's to know; None stands for what was erased, of which the
    leaf alone is proven. Raises `LeafNotFound` and, while one of them has no checkpoint, `NotSignedYet`.
    """
    rows = await connection.fetch(
        "SELECT index, id, data FROM ledger.leaf WHERE id = ANY($1) ORDER BY index", list(openings)
    )
    if not rows or len(rows) != len(openings):
        raise LeafNotFound
    signed = await _covering(connection, rows[-1]["index"] + 1)
    ranges = {row["index"]: inclusion_ranges(row["index"], signed.size) for row in rows}
    wanted = tiles_for((span for spans in ranges.values() for span in spans), signed.size)
    tiles = await read_tiles(connection, wanted)
    items = [
        Item(
            index=row["index"],
            leaf=row["data"],
            proof=tuple(range_hash(span, tiles) for span in ranges[row["index"]]),
            opening=openings[row["id"]],
        )
        for row in rows
    ]
    return make_pack(str(signed.note), items)


async def _covering(connection: Connection, size: int) -> Signed:
    """The newest cosigned checkpoint if it covers this much, else the newest one. Raises `NotSignedYet`."""
    for find in (find_latest_cosigned, find_latest):
        signed = await find(connection)
        if signed is not None and signed.size >= size:
            return signed
    raise NotSignedYet
