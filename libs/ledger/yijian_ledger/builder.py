"""A tree that grows leaf by leaf and hands out its tiles as they fill up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from yijian_ledger.compact_range import CompactRange, perfect_root
from yijian_ledger.tiles import WIDTH
from yijian_ledger.tree_hash import SM3, TreeHash


@dataclass(frozen=True, slots=True)
class FullTile:
    """A tile that never changes any more; `root` is the hash over it, which stands in the level above."""

    level: int
    index: int
    hashes: tuple[bytes, ...]
    root: bytes


class TreeBuilder:
    """The open tile of each level: all that is needed to go on, and to know the root.

    `open_tiles` are those of a tree with `size` leaves, level 0 first.
    """

    def __init__(self, size: int = 0, open_tiles: Sequence[Iterable[bytes]] = (), *, tree_hash: TreeHash = SM3) -> None:
        self._open = [list(tile) for tile in open_tiles]
        self._hash = tree_hash
        self.size = size
        if [len(tile) for tile in self._open] != open_widths(size):
            raise ValueError(f"these are not the open tiles of a tree of {size} leaves")

    def copy(self) -> "TreeBuilder":
        return TreeBuilder(self.size, self._open, tree_hash=self._hash)

    def extend(self, leaf_hashes: Iterable[bytes]) -> list[FullTile]:
        """Append leaves; returns the tiles that are full now, in the order in which they became so."""
        full: list[FullTile] = []
        for leaf_hash in leaf_hashes:
            self.size += 1
            self._push(0, leaf_hash, full)
        return full

    def _push(self, level: int, found: bytes, full: list[FullTile]) -> None:
        while True:
            if level == len(self._open):
                self._open.append([])
            tile = self._open[level]
            tile.append(found)
            if len(tile) < WIDTH:
                return
            found = perfect_root(tile, self._hash)
            index = (self.size >> 8 * (level + 1)) - 1
            full.append(FullTile(level, index, tuple(tile), found))
            self._open[level] = []
            level += 1

    def root(self) -> bytes:
        edge = CompactRange(hash=self._hash)
        for level in reversed(range(len(self._open))):
            for found in self._open[level]:
                edge.append_perfect(found, leaves=WIDTH**level)
        return edge.root()


def open_widths(size: int) -> list[int]:
    """How many hashes the open tile of each level holds in a tree of `size` leaves."""
    widths = []
    while size:
        widths.append(size % WIDTH)
        size //= WIDTH
    return widths
