"""The tree as tiles of 256 hashes (C2SP tlog-tiles), and the hash of any range of leaves out of them.

Tile `index` of level `level` holds the hashes of the subtrees of 256**level leaves, from number 256 * index on. The
last tile of a level may be narrower. Entries, the leaves themselves, stand in bundles of the same shape.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from yijian_ledger.compact_range import perfect_root
from yijian_ledger.proofs import Range
from yijian_ledger.tree_hash import HASH_BYTES, SM3, TreeHash

WIDTH: Final = 256
_BITS: Final = 8
MOST_LEVELS: Final = 8
"""2**63 leaves need no more."""
_PATH = re.compile(r"((?:x[0-9]{3}/)*)([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """Where a tile stands, and how many hashes it holds."""

    level: int
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """`<L>/<N>[.p/<W>]` of the specification."""
        return f"{self.level}/{index_path(self.index, self.width)}"

    @property
    def is_full(self) -> bool:
        return self.width == WIDTH


def index_path(index: int, width: int = WIDTH) -> str:
    """`<N>[.p/<W>]`: 1234067 is x001/x234/067."""
    text = f"{index % 1000:03d}"
    while index >= 1000:
        index //= 1000
        text = f"x{index % 1000:03d}/{text}"
    return text if width == WIDTH else f"{text}.p/{width}"


def parse_index_path(path: str) -> tuple[int, int]:
    """The index and width that `index_path` wrote. Raises ValueError for everything else."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise ValueError("not the path of a tile")
    upper, lowest, narrow = found.groups()
    index = int("".join(part[1:] for part in upper.split("/") if part) + lowest)
    width = int(narrow) if narrow else WIDTH
    if not 0 < width <= WIDTH or index_path(index, width) != path:
        raise ValueError("not the one path of its tile")
    return index, width


def tile_at(level: int, index: int, size: int) -> Tile | None:
    """The tile as a tree of `size` leaves has it; None where it has none."""
    hashes = size >> _BITS * level
    width = min(hashes - index * WIDTH, WIDTH)
    return Tile(level, index, width) if width > 0 else None


def tiles_of(size: int) -> list[Tile]:
    """Every tile of a tree with `size` leaves."""
    found = []
    level = 0
    while (hashes := size >> _BITS * level) > 0:
        found += [Tile(level, index, min(hashes - index * WIDTH, WIDTH)) for index in range(-(-hashes // WIDTH))]
        level += 1
    return found


def split(hashes: bytes) -> list[bytes]:
    """A tile's bytes as single hashes. Raises ValueError when some are cut."""
    if len(hashes) % HASH_BYTES:
        raise ValueError("a tile holds part of a hash")
    return [hashes[place : place + HASH_BYTES] for place in range(0, len(hashes), HASH_BYTES)]


@dataclass(frozen=True, slots=True)
class _Node:
    """A perfect subtree of 2**height leaves, the `index`-th of its height."""

    height: int
    index: int

    @property
    def tile(self) -> tuple[int, int]:
        return self.height // _BITS, self._first // WIDTH

    @property
    def _first(self) -> int:
        return self.index << self.height % _BITS

    def root(self, hashes: list[bytes], tree_hash: TreeHash) -> bytes:
        begin = self._first % WIDTH
        return perfect_root(hashes[begin : begin + (1 << self.height % _BITS)], tree_hash)


def _nodes(span: Range) -> list[_Node]:
    """The perfect subtrees that make up a range, from left to right."""
    begin, end = span
    nodes = []
    while begin < end:
        height = (end - begin).bit_length() - 1
        if begin:
            height = min(height, (begin & -begin).bit_length() - 1)
        nodes.append(_Node(height, begin >> height))
        begin += 1 << height
    return nodes


def tiles_for(ranges: Iterable[Range], size: int) -> set[Tile]:
    """The tiles of a tree with `size` leaves in which the hashes of these ranges stand."""
    places = {node.tile for span in ranges for node in _nodes(span)}
    found = {tile_at(level, index, size) for level, index in places}
    if None in found:
        raise ValueError("a range goes beyond the tree")
    return {tile for tile in found if tile is not None}


def range_hash(span: Range, tiles: Mapping[tuple[int, int], list[bytes]], tree_hash: TreeHash = SM3) -> bytes:
    """The hash over a range, from the tiles by (level, index) that `tiles_for` names."""
    nodes = _nodes(span)
    if not nodes:
        return tree_hash.empty
    roots = [node.root(tiles[node.tile], tree_hash) for node in nodes]
    root = roots.pop()
    while roots:
        root = tree_hash.node(roots.pop(), root)
    return root


def write_entries(entries: Iterable[bytes]) -> bytes:
    """A bundle of leaves: each after its length in two bytes."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def read_entries(bundle: bytes) -> list[bytes]:
    """The leaves of a bundle. Raises ValueError when one is cut."""
    entries = []
    place = 0
    while place < len(bundle):
        end = place + 2 + int.from_bytes(bundle[place : place + 2], "big")
        if place + 2 > len(bundle) or end > len(bundle):
            raise ValueError("a bundle of entries is cut")
        entries.append(bundle[place + 2 : end])
        place = end
    return entries
