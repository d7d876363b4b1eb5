"""Proofs that a leaf is in a tree, and that a tree goes on from another one (RFC 9162 §2.1.3 and §2.1.4).

A proof is a list of hashes of ranges of leaves: `inclusion_ranges` and `consistency_ranges` say which; whoever has the
tree looks them up (`tiles`). Verifying needs nothing but hashing.
"""

from collections.abc import Sequence

from yijian_ledger.tree_hash import SM3, TreeHash

Range = tuple[int, int]
"""Leaves from the first up to, and without, the second."""


class ProofError(ValueError):
    """The proof does not prove it; the text says where it fails."""


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """What proves leaf `index` in a tree of `size` leaves, from the leaf upwards."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    ranges: list[Range] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _left_part(end - begin)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    return ranges[::-1]


def consistency_ranges(old: int, size: int) -> list[Range]:
    """What proves that a tree of `size` leaves begins with one of `old` leaves."""
    if not 0 <= old <= size:
        raise ValueError(f"a tree of {size} leaves does not go on from one of {old}")
    if old in (0, size):
        return []
    ranges: list[Range] = []
    begin, end = 0, size
    while old != end:
        middle = begin + _left_part(end - begin)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    if begin:  # at 0 it would be the old root, which the verifier has
        ranges.append((begin, end))
    return ranges[::-1]


def _left_part(leaves: int) -> int:
    """The largest power of two below `leaves`."""
    return 1 << (leaves - 1).bit_length() - 1


def verify_inclusion(
    leaf_hash: bytes, *, index: int, size: int, proof: Sequence[bytes], root: bytes, tree_hash: TreeHash = SM3
) -> None:
    """Raises `ProofError` unless the leaf stands at `index` of the tree with this size and root."""
    if not 0 <= index < size:
        raise ProofError(f"a tree of {size} leaves has no leaf {index}")
    place, last, found = index, size - 1, leaf_hash
    for step in proof:
        if last == 0:
            raise ProofError("the proof is too long")
        if place & 1 or place == last:
            found = tree_hash.node(step, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = tree_hash.node(found, step)
        place, last = place >> 1, last >> 1
    if last:
        raise ProofError("the proof is too short")
    if found != root:
        raise ProofError("the proof leads to another root")


def verify_consistency(
    old_root: bytes, root: bytes, *, old: int, size: int, proof: Sequence[bytes], tree_hash: TreeHash = SM3
) -> None:
    """Raises `ProofError` unless the tree of `size` leaves begins with that of `old` leaves."""
    if not 0 <= old <= size:
        raise ProofError(f"a tree of {size} leaves does not go on from one of {old}")
    if old in (0, size):
        if proof:
            raise ProofError("the proof is too long")
        if old == size and old_root != root:
            raise ProofError("the same size has two roots")
        if old == 0 and old_root != tree_hash.empty:
            raise ProofError("the tree without leaves has another root")
        return
    steps = list(proof)
    if old & (old - 1) == 0:
        steps.insert(0, old_root)
    if not steps:
        raise ProofError("the proof is too short")
    found_old, found_new = _climb(steps, old=old, size=size, tree_hash=tree_hash)
    if found_old != old_root:
        raise ProofError("the proof leads to another old root")
    if found_new != root:
        raise ProofError("the proof leads to another root")


def _climb(steps: Sequence[bytes], *, old: int, size: int, tree_hash: TreeHash) -> tuple[bytes, bytes]:
    place, last = old - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    found_old = found_new = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise ProofError("the proof is too long")
        if place & 1 or place == last:
            found_old = tree_hash.node(step, found_old)
            found_new = tree_hash.node(step, found_new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found_new = tree_hash.node(found_new, step)
        place, last = place >> 1, last >> 1
    if last:
        raise ProofError("the proof is too short")
    return found_old, found_new
