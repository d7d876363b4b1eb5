"""A copy of the whole log, fetched over the tiles API and held against itself: leaves hashed, tiles compared."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from yijian_ledger.builder import TreeBuilder
from yijian_ledger.leaf import LeafError, read_leaf
from yijian_ledger.tiles import WIDTH, Tile, index_path, read_entries, split, tiles_of
from yijian_ledger.tree_hash import SM3


class FetchError(Exception):
    """Something could not be fetched; the text says why."""


class NotThereError(FetchError):
    """The other side says that there is no such thing."""


class Fetch(Protocol):
    def __call__(self, path: str) -> bytes:
        """The bytes at this path. Raises `FetchError`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be; `leaf` is the first leaf that it is about, where that is known."""

    text: str
    leaf: int | None = None


@dataclass(slots=True)
class Mirror:
    """The leaves' hashes in order, and what was found on the way."""

    hashes: list[bytes] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def report(self, text: str, leaf: int | None = None) -> None:
        self.findings.append(Finding(text, leaf))


def download(fetch: Fetch, size: int, *, progress: Callable[[int], None] = lambda _: None) -> Mirror:
    """The first `size` leaves. What contradicts itself is named, leaf by leaf, and the rest goes on."""
    mirror = Mirror()
    ids: dict[object, int] = {}
    for tile in tiles_of(size):
        if tile.level == 0:
            _fetch_leaves(fetch, tile, mirror, ids)
            progress(len(mirror.hashes))
    if not mirror.findings:
        _compare_upper_tiles(fetch, size, mirror)
    return mirror


def _fetch_leaves(fetch: Fetch, tile: Tile, mirror: Mirror, ids: dict[object, int]) -> None:
    first = tile.index * WIDTH
    last = first + tile.width - 1
    entries = _get_entries(fetch, tile, mirror)
    hashes = _get_tile(fetch, tile, mirror)
    found = [SM3.leaf(entry) for entry in entries]
    if hashes is not None:
        for place, (ours, theirs) in enumerate(zip(found, hashes, strict=False), start=first):
            if ours != theirs:
                mirror.report(f"leaf {place} is not what the tree says", place)
    if len(entries) < tile.width:
        place = first + len(entries)
        mirror.report(f"{tile.width - len(entries)} of the leaves {first} to {last} are missing", place)
    for place, entry in enumerate(entries, start=first):
        _check_entry(entry, place, mirror, ids)
    mirror.hashes += found


def _check_entry(entry: bytes, place: int, mirror: Mirror, ids: dict[object, int]) -> None:
    try:
        leaf_id = read_leaf(entry).id
    except LeafError as error:
        mirror.report(f"leaf {place} is none: {error}", place)
        return
    if leaf_id in ids:
        mirror.report(f"leaf {place} is about the same as leaf {ids[leaf_id]}", place)
    ids[leaf_id] = place


def _get_entries(fetch: Fetch, tile: Tile, mirror: Mirror) -> list[bytes]:
    try:
        return read_entries(fetch(f"/tile/entries/{index_path(tile.index, tile.width)}"))[: tile.width]
    except (FetchError, ValueError) as error:
        mirror.report(f"the leaves from {tile.index * WIDTH} on cannot be read: {error}", tile.index * WIDTH)
        return []


def _get_tile(fetch: Fetch, tile: Tile, mirror: Mirror) -> list[bytes] | None:
    try:
        hashes = split(fetch(f"/tile/{tile.path}"))
    except (FetchError, ValueError) as error:
        mirror.report(f"tile {tile.path} cannot be read: {error}")
        return None
    if len(hashes) != tile.width:
        mirror.report(f"tile {tile.path} has {len(hashes)} hashes instead of {tile.width}")
    return hashes


def _compare_upper_tiles(fetch: Fetch, size: int, mirror: Mirror) -> None:
    builder = TreeBuilder()
    roots: dict[int, list[bytes]] = {}
    for full in builder.extend(mirror.hashes):
        roots.setdefault(full.level + 1, []).append(full.root)
    for tile in tiles_of(size):
        if tile.level == 0:
            continue
        first = tile.index * WIDTH
        ours = roots.get(tile.level, [])[first : first + tile.width]
        theirs = _get_tile(fetch, tile, mirror)
        if theirs is not None and theirs != ours:
            place = next((n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), 0)
            span = WIDTH**tile.level
            leaf = (first + place) * span
            mirror.report(f"tile {tile.path} does not follow from the leaves {leaf} to {leaf + span - 1}", leaf)
