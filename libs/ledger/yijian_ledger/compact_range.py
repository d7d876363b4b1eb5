"""The right edge of a growing tree: all that is needed to append to it and to know its root (RFC 9162 §2.1.2)."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from yijian_ledger.tree_hash import SM3, TreeHash


@dataclass(slots=True)
class CompactRange:
    """`roots` are those of the perfect subtrees that make up the first `size` leaves, the largest first."""

    size: int = 0
    roots: list[bytes] = field(default_factory=list)
    hash: TreeHash = SM3

    def __post_init__(self) -> None:
        if len(self.roots) != self.size.bit_count():
            raise ValueError(f"a tree of {self.size} leaves has {self.size.bit_count()} perfect subtrees")

    def append(self, leaf_hash: bytes) -> None:
        """Add one leaf by its hash."""
        self.append_perfect(leaf_hash, leaves=1)

    def append_perfect(self, root: bytes, *, leaves: int) -> None:
        """Add a perfect subtree of this many leaves, a power of two that divides `size`."""
        if leaves < 1 or leaves & (leaves - 1) or self.size % leaves:
            raise ValueError(f"{leaves} leaves do not fit behind {self.size}")
        carry = self.size // leaves
        self.size += leaves
        while carry & 1:
            root = self.hash.node(self.roots.pop(), root)
            carry >>= 1
        self.roots.append(root)

    def extend(self, leaf_hashes: Iterable[bytes]) -> None:
        for leaf_hash in leaf_hashes:
            self.append(leaf_hash)

    def root(self) -> bytes:
        """The root of the tree as it is now."""
        if not self.roots:
            return self.hash.empty
        root = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            root = self.hash.node(left, root)
        return root

    def copy(self) -> "CompactRange":
        return CompactRange(self.size, list(self.roots), self.hash)


def perfect_root(hashes: list[bytes], tree_hash: TreeHash = SM3) -> bytes:
    """The root over hashes whose number is a power of two."""
    if not hashes or len(hashes) & (len(hashes) - 1):
        raise ValueError(f"{len(hashes)} hashes are no perfect subtree")
    while len(hashes) > 1:
        hashes = [tree_hash.node(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]
