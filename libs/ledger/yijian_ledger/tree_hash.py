"""How leaves and nodes of the tree are hashed: RFC 9162 §2.1.1, with SM3 (GB/T 32905) in the place of SHA-256.

A leaf and a node begin with different bytes, so that no leaf can pass for a node.
"""

import hashlib
from dataclasses import dataclass

HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class TreeHash:
    """A hash function of 32 bytes by its name in `hashlib`."""

    name: str

    def leaf(self, data: bytes) -> bytes:
        return hashlib.new(self.name, b"\x00" + data).digest()

    def node(self, left: bytes, right: bytes) -> bytes:
        return hashlib.new(self.name, b"\x01" + left + right).digest()

    @property
    def empty(self) -> bytes:
        """The root of a tree without leaves."""
        return hashlib.new(self.name).digest()


SM3 = TreeHash("sm3")
SHA256 = TreeHash("sha256")
"""Not used by the ledger: published vectors and other implementations are compared under it."""
