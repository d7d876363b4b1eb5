"""The Merkle tree of RFC 9162 §2.1 with SM3 (GB/T 32905), and notes as C2SP signed-note writes them: a second time."""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

WIDTH: Final = 256

_ED25519: Final = 0x01
_COSIGNATURE: Final = 0x04
_KEY_BYTES: Final = 32

# Copied, not made anew: looking a digest up by its name takes longer than using it.
_SM3 = hashlib.new("sm3")


def leaf_hash(data: bytes) -> bytes:
    digest = _SM3.copy()
    digest.update(b"\x00" + data)
    return digest.digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    digest = _SM3.copy()
    digest.update(b"\x01" + left + right)
    return digest.digest()


def roots(leaves: Iterable[bytes]) -> Iterator["Frontier"]:
    """The tree before the first leaf, and after each one; it is one object, which changes."""
    frontier = Frontier()
    yield frontier
    for leaf in leaves:
        frontier.append(leaf)
        yield frontier


class Frontier:
    """The roots of the perfect subtrees that a tree is made of, the largest first."""

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[tuple[int, bytes]] = []

    def append(self, leaf: bytes) -> None:
        height, root = 0, leaf
        while self._roots and self._roots[-1][0] == height:
            root = node_hash(self._roots.pop()[1], root)
            height += 1
        self._roots.append((height, root))
        self.size += 1

    def root(self) -> bytes:
        if not self._roots:
            return _SM3.digest()
        *left, (_, root) = self._roots
        for _, other in reversed(left):
            root = node_hash(other, root)
        return root


def levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Per level of tiles, the hashes of the full subtrees of 256**level leaves."""
    found = [list(leaves)]
    while len(found[-1]) >= WIDTH:
        below = found[-1]
        found.append([perfect_root(below[at : at + WIDTH]) for at in range(0, len(below) - WIDTH + 1, WIDTH)])
    return found


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of hashes."""
    while len(hashes) > 1:
        hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]


# --- notes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Key:
    """A verifier's key: `<name>+<id>+<base64(type ‖ key)>`."""

    name: str
    id: bytes
    kind: int
    public: bytes

    def signed(self, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def parse_key(text: str) -> Key | None:
    """The key, or None when it is of a kind that is not checked here."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3:
        return None
    name, _, encoded = parts
    raw = base64.b64decode(encoded)
    if len(raw) != 1 + _KEY_BYTES or raw[0] not in (_ED25519, _COSIGNATURE):
        return None
    identity = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    return Key(name, identity, raw[0], raw[1:])


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed note: its text, what that says, and the signature lines by key name and id."""

    text: str
    origin: str
    size: int
    root: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]


def parse_checkpoint(note: str) -> Checkpoint | None:
    """The checkpoint in a note, or None when it is none."""
    body, separator, lines = note.rpartition("\n\n")
    text = body + "\n"
    parts = text.split("\n")
    if not separator or len(parts) < 4 or not parts[1].isdecimal():
        return None
    try:
        root = base64.b64decode(parts[2], validate=True)
    except binascii.Error:
        return None
    signatures = tuple(found for line in lines.split("\n") if (found := parse_signature(line)) is not None)
    return Checkpoint(text, parts[0], int(parts[1]), root, signatures)


def parse_signature(line: str) -> tuple[str, bytes, bytes] | None:
    """Key name, key id and signature of a line, or None when it is none."""
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if dash != "\u2014" or not name:
        return None
    try:
        raw = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None
    return name, raw[:4], raw[4:]


def is_signed(checkpoint: Checkpoint, key: Key) -> bool:
    """Whether this key signed the text; a false line in its name spoils it."""
    claimed = [raw for name, identity, raw in checkpoint.signatures if (name, identity) == (key.name, key.id)]
    return bool(claimed) and all(_is_by(checkpoint.text, raw, key) for raw in claimed)


def is_cosigned(text: str, raw: bytes, key: Key) -> bool:
    """Whether a signature with its time before it is the witness's (C2SP tlog-cosignature)."""
    return _is_by(text, raw, key)


def _is_by(text: str, raw: bytes, key: Key) -> bool:
    if key.kind == _COSIGNATURE:
        seconds = int.from_bytes(raw[:8], "big")
        return key.signed(f"cosignature/v1\ntime {seconds}\n{text}".encode(), raw[8:])
    return key.signed(text.encode(), raw)
