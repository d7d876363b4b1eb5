"""What the ledger signs: whose tree, how many leaves, which root (C2SP tlog-checkpoint)."""

import binascii
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass

from yijian_ledger.keys import PrivateKey, PublicKey
from yijian_ledger.notes import MalformedNoteError, Note, UnsignedNoteError, parse_note, sign_note, verify_note
from yijian_ledger.tree_hash import HASH_BYTES

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree at one size. `extensions` are further lines, which this ledger never writes."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text of the note."""
        lines = (self.origin, str(self.size), b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def parse_size(text: str) -> int:
    """A size without leading zeros, below 2**63. Raises `MalformedNoteError`."""
    if not _SIZE.fullmatch(text) or int(text) >= 2**63:
        raise MalformedNoteError("the size is not a plain number")
    return int(text)


def parse_hash(text: str) -> bytes:
    """A hash in base64. Raises `MalformedNoteError`."""
    try:
        raw = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedNoteError("a hash is not base64") from None
    if len(raw) != HASH_BYTES or b64encode(raw).decode() != text:
        raise MalformedNoteError("a hash is not 32 bytes in their one form")
    return raw


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint in a note's text. Raises `MalformedNoteError`."""
    lines = text.removesuffix("\n").split("\n")
    if len(lines) < 3 or not all(lines) or not text.endswith("\n"):
        raise MalformedNoteError("a checkpoint has three lines: origin, size and root")
    origin, size, root, *extensions = lines
    return Checkpoint(origin, parse_size(size), parse_hash(root), tuple(extensions))


def sign_checkpoint(checkpoint: Checkpoint, key: PrivateKey) -> Note:
    return sign_note(checkpoint.text, key)


def open_checkpoint(text: str, key: PublicKey) -> tuple[Checkpoint, Note]:
    """The checkpoint in a note that `key`, whose name is the log's origin, signed. Raises `NoteError`."""
    note = parse_note(text)
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != key.name:
        raise UnsignedNoteError(f"the checkpoint is of {checkpoint.origin!r} and not of {key.name}")
    verify_note(note, key)
    return checkpoint, note
