"""Reading the tree: its tiles as the database keeps them, and proofs out of them.

What is read was signed before, so it never changes; nothing here needs a lock.
"""

from collections.abc import Iterable, Sequence

from yijian_common.database import Connection
from yijian_ledger.builder import TreeBuilder, open_widths
from yijian_ledger.proofs import Range, consistency_ranges, inclusion_ranges
from yijian_ledger.tiles import WIDTH, Tile, range_hash, split, tiles_for
from yijian_ledger.tree_hash import SM3

from data_exchange.errors import LedgerBroken


async def read_tile(connection: Connection, tile: Tile) -> list[bytes]:
    """The hashes of one tile. Raises `LedgerBroken` when some are missing."""
    return (await read_tiles(connection, [tile]))[tile.level, tile.index]


async def read_tiles(connection: Connection, tiles: Iterable[Tile]) -> dict[tuple[int, int], list[bytes]]:
    """Tiles by (level, index): the full ones in one statement, the few narrow ones from what they are made of."""
    wanted = sorted(tiles)
    full = [tile for tile in wanted if tile.is_full]
    rows = await connection.fetch(
        """
        SELECT t.level, t.index, t.hashes FROM unnest($1::smallint[], $2::bigint[]) AS w(level, index)
        JOIN ledger.tile t ON t.level = w.level AND t.index = w.index
        """,
        [tile.level for tile in full],
        [tile.index for tile in full],
    )
    found = {(row["level"], row["index"]): split(row["hashes"]) for row in rows}
    for tile in wanted:
        if (tile.level, tile.index) not in found:
            # A narrow one, or one of the last leaves, which no checkpoint has closed yet.
            found[tile.level, tile.index] = await _assemble(connection, tile)
    return found


async def _assemble(connection: Connection, tile: Tile) -> list[bytes]:
    first = tile.index * WIDTH
    if tile.level == 0:
        rows = await connection.fetch(
            "SELECT index, data FROM ledger.leaf WHERE index >= $1 AND index < $2 ORDER BY index",
            first,
            first + tile.width,
        )
        found = [SM3.leaf(row["data"]) for row in rows]
    else:
        rows = await connection.fetch(
            "SELECT index, root FROM ledger.tile WHERE level = $1 AND index >= $2 AND index < $3 ORDER BY index",
            tile.level - 1,
            first,
            first + tile.width,
        )
        found = [row["root"] for row in rows]
    if [row["index"] for row in rows] != list(range(first, first + tile.width)):
        raise LedgerBroken(f"tile {tile.path} is not complete")
    return found


async def prove(connection: Connection, ranges: Sequence[Range], size: int) -> list[bytes]:
    """The hashes of these ranges in the tree of `size` leaves."""
    tiles = await read_tiles(connection, tiles_for(ranges, size))
    return [range_hash(span, tiles) for span in ranges]


async def prove_inclusion(connection: Connection, index: int, size: int) -> list[bytes]:
    return await prove(connection, inclusion_ranges(index, size), size)


async def prove_consistency(connection: Connection, old: int, size: int) -> list[bytes]:
    return await prove(connection, consistency_ranges(old, size), size)


async def root_at(connection: Connection, earlier: int, size: int) -> bytes:
    """The root that the tree of `size` leaves had when it had `earlier` ones."""
    return (await prove(connection, [(0, earlier)], size))[0]


async def open_builder(connection: Connection, size: int) -> TreeBuilder:
    """What goes on from the tree of `size` leaves."""
    tails = []
    for level, width in enumerate(open_widths(size)):
        index = (size >> 8 * level) // WIDTH
        tails.append(await _assemble(connection, Tile(level, index, width)) if width else [])
    return TreeBuilder(size, tails)
