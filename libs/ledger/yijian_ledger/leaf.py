"""What a leaf holds: a commitment to something kept elsewhere, and nothing about anybody.

    data        {"commitment":"<hex>","id":"<uuid>","kind":"disclosure","v":1}     canonical JSON
    commitment  SM3(salt ‖ canonical JSON of the details)

Whoever has salt and details can show that they are what was written down. When both are destroyed nobody can find out
what the leaf spoke of, and the tree stays as it was.
"""

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from yijian_ledger.canonical import canonical_json
from yijian_ledger.tree_hash import SM3

SALT_BYTES = 32
MOST_LEAF_BYTES = 1024
VERSION = 1

# Copied, not made anew: to look a digest up by its name takes longer than to use it.
_sm3 = hashlib.new(SM3.name)


class LeafKind(StrEnum):
    """Data went out, or what was kept of a person was destroyed."""

    DISCLOSURE = "disclosure"
    ERASURE = "erasure"


class LeafError(ValueError):
    """The bytes are not a leaf of this ledger."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf before it has its place; there is one for each `id`, whatever is appended again."""

    id: UUID
    data: bytes

    @property
    def hash(self) -> bytes:
        return SM3.leaf(self.data)


@dataclass(frozen=True, slots=True)
class LeafContent:
    """What the bytes of a leaf say."""

    id: UUID
    kind: LeafKind
    commitment: bytes


def new_salt() -> bytes:
    return secrets.token_bytes(SALT_BYTES)


def commit(text: bytes, *, salt: bytes) -> bytes:
    """What stands for a canonical text until it is opened."""
    digest = _sm3.copy()
    digest.update(salt + text)
    return digest.digest()


def make_leaf(leaf_id: UUID, kind: LeafKind, details: Any, *, salt: bytes) -> Leaf:
    """The leaf that commits to `details`. Raises `NotCanonicalError`."""
    return leaf_of(leaf_id, kind, commit(canonical_json(details), salt=salt))


def leaf_of(leaf_id: UUID, kind: LeafKind, commitment: bytes) -> Leaf:
    """The leaf with this commitment."""
    content = {"v": VERSION, "kind": kind.value, "id": str(leaf_id), "commitment": commitment.hex()}
    return Leaf(leaf_id, canonical_json(content))


def read_leaf(data: bytes) -> LeafContent:
    """What a leaf says. Raises `LeafError` unless it is written exactly as `make_leaf` writes."""
    try:
        content = json.loads(data)
        found = LeafContent(UUID(content["id"]), LeafKind(content["kind"]), bytes.fromhex(content["commitment"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LeafError("the bytes are not a leaf") from None
    if leaf_of(found.id, found.kind, found.commitment).data != data or len(found.commitment) != len(SM3.empty):
        raise LeafError("the leaf is not written in its one form")
    return found


def opens(content: LeafContent, details: Any, *, salt: bytes) -> bool:
    """Whether these are the details that the leaf was made of. Raises `NotCanonicalError`."""
    commitment = commit(canonical_json(details), salt=salt)
    return len(salt) == SALT_BYTES and hmac.compare_digest(commitment, content.commitment)
