"""The tree is RFC 9162's: published vectors and another implementation agree, and a wrong proof proves nothing."""

import random
from itertools import pairwise

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yijian_ledger.builder import FullTile, TreeBuilder, open_widths
from yijian_ledger.compact_range import CompactRange, perfect_root
from yijian_ledger.proofs import (
    ProofError,
    Range,
    consistency_ranges,
    inclusion_ranges,
    verify_consistency,
    verify_inclusion,
)
from yijian_ledger.tiles import (
    WIDTH,
    Tile,
    index_path,
    parse_index_path,
    range_hash,
    read_entries,
    split,
    tile_at,
    tiles_for,
    tiles_of,
    write_entries,
)
from yijian_ledger.tree_hash import SHA256, SM3, TreeHash

# The leaves and roots by which Certificate Transparency's own code is tested.
LEAVES = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")] + [
    bytes(range(0x60, 0x70))
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


class Tree:
    """Every leaf in memory, its tiles made by the definition in the specification."""

    def __init__(self, leaves: int, tree_hash: TreeHash = SM3) -> None:
        self.hash = tree_hash
        self.leaves = [tree_hash.leaf(str(number).encode()) for number in range(leaves)]

    def root(self, span: Range) -> bytes:
        edge = CompactRange(hash=self.hash)
        edge.extend(self.leaves[span[0] : span[1]])
        return edge.root()

    def tile(self, tile: Tile) -> list[bytes]:
        leaves = WIDTH**tile.level
        first = tile.index * WIDTH
        return [self.root((n * leaves, (n + 1) * leaves)) for n in range(first, first + tile.width)]

    def proof(self, ranges: list[Range], size: int) -> list[bytes]:
        tiles = {(tile.level, tile.index): self.tile(tile) for tile in tiles_for(ranges, size)}
        return [range_hash(span, tiles, self.hash) for span in ranges]


def test_the_published_roots():
    edge = CompactRange(hash=SHA256)
    for leaf, root in zip([None, *LEAVES], ROOTS, strict=True):
        if leaf is not None:
            edge.append(SHA256.leaf(leaf))
        assert edge.root().hex() == root


def test_sm3_is_the_standards():
    # GB/T 32905, annex A; the empty text is the root of an empty tree.
    assert SM3.empty.hex() == "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b"
    assert CompactRange().root() == SM3.empty


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 100, 255, 256, 257])
def test_another_implementation_has_the_same_roots_and_proofs(size: int):
    theirs = pymerkle.InmemoryTree(algorithm="sha256")
    for number in range(size):
        theirs.append_entry(str(number).encode())
    ours = Tree(size, SHA256)
    assert theirs.get_root() == ours.root((0, size))
    for index in {0, size // 2, size - 1}:
        path = theirs.prove_inclusion(index + 1, size).path
        assert path[0] == ours.leaves[index]
        verify_inclusion(path[0], index=index, size=size, proof=path[1:], root=theirs.get_root(), tree_hash=SHA256)
        assert ours.proof(inclusion_ranges(index, size), size) == path[1:]


def test_every_leaf_is_proven_at_every_size_up_to_twenty():
    tree = Tree(20)
    for size in range(1, 21):
        for index in range(size):
            proof = tree.proof(inclusion_ranges(index, size), size)
            verify_inclusion(tree.leaves[index], index=index, size=size, proof=proof, root=tree.root((0, size)))


def test_every_size_goes_on_from_every_smaller_one_up_to_twenty():
    tree = Tree(20)
    for size in range(21):
        for old in range(size + 1):
            proof = tree.proof(consistency_ranges(old, size), size)
            verify_consistency(tree.root((0, old)), tree.root((0, size)), old=old, size=size, proof=proof)


@pytest.mark.parametrize("size", [256, 257, 700, 65_537])
def test_large_trees_are_proven_from_their_tiles(size: int):
    tree = Tree(size)
    edge = CompactRange()
    roots = {0: edge.root()}
    for number, leaf in enumerate(tree.leaves, start=1):
        edge.append(leaf)
        if number in (1, 255, 256, size - 1, size):
            roots[number] = edge.root()
    level_0 = {(0, n): tree.leaves[n * WIDTH : (n + 1) * WIDTH] for n in range(-(-size // WIDTH))}
    level_1 = [perfect_root(tile) for tile in level_0.values() if len(tile) == WIDTH]
    tiles = level_0 | {(1, n): level_1[n * WIDTH : (n + 1) * WIDTH] for n in range(-(-len(level_1) // WIDTH))}
    if len(level_1) >= WIDTH:
        tiles[2, 0] = [perfect_root(level_1[:WIDTH])]
    chance = random.Random(size)  # noqa: S311 - which leaves are looked at
    for index in [0, size - 1, *(chance.randrange(size) for _ in range(20))]:
        proof = [range_hash(span, tiles) for span in inclusion_ranges(index, size)]
        verify_inclusion(tree.leaves[index], index=index, size=size, proof=proof, root=roots[size])
    for old, root in roots.items():
        proof = [range_hash(span, tiles) for span in consistency_ranges(old, size)]
        verify_consistency(root, roots[size], old=old, size=size, proof=proof)


@given(st.integers(1, 300), st.data())
def test_a_changed_proof_proves_nothing(size: int, data: st.DataObject):
    tree = Tree(size)
    index = data.draw(st.integers(0, size - 1))
    root = tree.root((0, size))
    proof = tree.proof(inclusion_ranges(index, size), size)
    wrong = data.draw(st.sampled_from(["longer", "leaf", "root", "place"] + ["shorter", "step"] * bool(proof)))
    told = {"leaf_hash": tree.leaves[index], "index": index, "size": size, "proof": list(proof), "root": root}
    match wrong:
        case "longer":
            told["proof"] = [*proof, root]
        case "shorter":
            told["proof"] = proof[:-1]
        case "step":
            place = data.draw(st.integers(0, len(proof) - 1))
            told["proof"] = [step if n != place else SM3.leaf(step) for n, step in enumerate(proof)]
        case "leaf":
            told["leaf_hash"] = SM3.leaf(b"another")
        case "root":
            told["root"] = SM3.leaf(root)
        case _:
            told["index"] = index + 1
    with pytest.raises(ProofError):
        verify_inclusion(told.pop("leaf_hash"), **told)  # type: ignore[arg-type]


@given(st.integers(2, 200), st.data())
def test_a_rewritten_history_is_not_consistent(size: int, data: st.DataObject):
    tree, other = Tree(size), Tree(size)
    old = data.draw(st.integers(1, size - 1))
    changed = data.draw(st.integers(0, old - 1))
    other.leaves[changed] = SM3.leaf(b"rewritten")
    proof = other.proof(consistency_ranges(old, size), size)
    with pytest.raises(ProofError):
        verify_consistency(tree.root((0, old)), other.root((0, size)), old=old, size=size, proof=proof)
    honest = tree.proof(consistency_ranges(old, size), size)
    for forged in (honest[:-1], [*honest, honest[-1]], [SM3.leaf(honest[0]), *honest[1:]]):
        with pytest.raises(ProofError):
            verify_consistency(tree.root((0, old)), tree.root((0, size)), old=old, size=size, proof=forged)


def test_a_compact_range_grows_by_whole_tiles_as_by_leaves():
    tree = Tree(1030)
    by_leaves, by_tiles = CompactRange(), CompactRange()
    by_leaves.extend(tree.leaves)
    for first in range(0, 1024, WIDTH):
        by_tiles.append_perfect(perfect_root(tree.leaves[first : first + WIDTH]), leaves=WIDTH)
    by_tiles.extend(tree.leaves[1024:])
    assert by_tiles == by_leaves
    with pytest.raises(ValueError, match="do not fit"):
        by_tiles.append_perfect(SM3.empty, leaves=4)
    with pytest.raises(ValueError, match="perfect subtrees"):
        CompactRange(3, [SM3.empty])


def test_the_tiles_of_the_specifications_example():
    tiles = tiles_of(70_000)
    assert sum(tile.level == 0 and tile.is_full for tile in tiles) == 273
    assert [tile for tile in tiles if not tile.is_full] == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert sum(tile.level == 1 and tile.is_full for tile in tiles) == 1
    assert tiles_of(256) == [Tile(0, 0), Tile(1, 0, 1)]
    assert tiles_of(0) == []
    assert tile_at(0, 1, 256) is None


def test_a_tile_has_one_path():
    assert Tile(3, 1_234_067).path == "3/x001/x234/067"
    assert Tile(0, 273, 112).path == "0/273.p/112"
    for index in (0, 999, 1000, 999_999, 1_000_000, 1_234_067):
        assert parse_index_path(index_path(index)) == (index, WIDTH)
        assert parse_index_path(index_path(index, 7)) == (index, 7)
    for odd in (
        "",
        "1",
        "0001",
        "x000/001",
        "001.p/0",
        "001.p/256",
        "001.p/07",
        "x1/001",
        "x001/x234",
        "../001",
        "-01",
    ):
        with pytest.raises(ValueError, match="path"):
            parse_index_path(odd)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_a_bundle_gives_back_its_entries(entries: list[bytes]):
    bundle = write_entries(entries)
    assert read_entries(bundle) == entries
    if bundle:
        with pytest.raises(ValueError, match="cut"):
            read_entries(bundle[:-1] if len(bundle) > 2 or bundle[-1:] != b"\x00" else bundle[:1])


def test_a_tile_that_is_cut_is_none():
    with pytest.raises(ValueError, match="part of a hash"):
        split(bytes(33))


def test_the_ranges_of_an_inclusion_proof_cover_the_tree_beside_the_leaf():
    for size in (1, 5, 256, 1000):
        for index in {0, size // 3, size - 1}:
            spans = sorted([*inclusion_ranges(index, size), (index, index + 1)])
            assert (spans[0][0], spans[-1][1]) == (0, size)
            assert all(left[1] == right[0] for left, right in pairwise(spans))


@pytest.mark.parametrize("steps", [(1, 254, 1, 1), (256,), (700, 1), (65_535, 1, 1), (65_800,)])
def test_a_builder_hands_out_the_trees_tiles_and_goes_on_from_any_size(steps: tuple[int, ...]):
    tree = Tree(sum(steps))
    builder = TreeBuilder()
    full: dict[tuple[int, int], FullTile] = {}
    edge = CompactRange()
    for step in steps:
        for tile in builder.extend(tree.leaves[edge.size : edge.size + step]):
            full[tile.level, tile.index] = tile
        edge.extend(tree.leaves[edge.size : edge.size + step])
        assert (builder.size, builder.root()) == (edge.size, edge.root())
        roots = [tree.leaves, *([t.root for k, t in sorted(full.items()) if k[0] == level] for level in range(2))]
        widths = open_widths(edge.size)
        tails = [roots[level][edge.size // WIDTH**level - width :][:width] for level, width in enumerate(widths)]
        builder = TreeBuilder(edge.size, tails)
    assert sorted(full) == sorted((t.level, t.index) for t in tiles_of(sum(steps)) if t.is_full)
    for (level, index), tile in full.items():
        assert level or list(tile.hashes) == tree.leaves[index * WIDTH : (index + 1) * WIDTH]
        assert perfect_root(list(tile.hashes)) == tile.root
    with pytest.raises(ValueError, match="open tiles"):
        TreeBuilder(3, [[]])
