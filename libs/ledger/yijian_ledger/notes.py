"""Text with signatures under it (C2SP signed-note).

<text, ending in a newline>
<empty line>
— <key name> <base64(key id ‖ signature)>
"""

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass

from yijian_ledger.keys import PrivateKey, PublicKey

MOST_NOTE_BYTES = 16_384
MOST_SIGNATURES = 64
_DASH = "\u2014 "
_KEY_ID_BYTES = 4


class NoteError(ValueError):
    """The note is malformed, or not signed as it should be; the text says which."""


class MalformedNoteError(NoteError):
    """The bytes are no note."""


class UnsignedNoteError(NoteError):
    """No valid signature of the expected key is under it."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One line under a note; `raw` is without the key's id."""

    name: str
    key_id: bytes
    raw: bytes

    @property
    def line(self) -> str:
        return f"{_DASH}{self.name} {b64encode(self.key_id + self.raw).decode()}\n"

    def is_by(self, key: PublicKey) -> bool:
        """Whether it claims to be this key's."""
        return (self.name, self.key_id) == (key.name, key.key_id)


@dataclass(frozen=True, slots=True)
class Note:
    """`text` ends in a newline."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return self.text + "\n" + "".join(signature.line for signature in self.signatures)

    def with_signatures(self, *signatures: Signature) -> "Note":
        """The same note with further signatures, each once."""
        return Note(self.text, tuple(dict.fromkeys((*self.signatures, *signatures))))


def parse_note(text: str) -> Note:
    """The note in `text`. Raises `MalformedNoteError`."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:  # it came as JSON
        raise MalformedNoteError("the note holds half of a surrogate pair") from None
    if size > MOST_NOTE_BYTES:
        raise MalformedNoteError("the note is too long")
    if any(character < " " and character != "\n" for character in text):
        raise MalformedNoteError("the note has control characters")
    body, separator, lines = text.rpartition("\n\n")
    if not separator or not body or not lines:
        raise MalformedNoteError("the note has no signatures")
    return Note(body + "\n", parse_signatures(lines))


def parse_signatures(lines: str) -> tuple[Signature, ...]:
    """Signature lines, one or more. Raises `MalformedNoteError`."""
    if not lines.endswith("\n"):
        raise MalformedNoteError("the last line has no end")
    found = tuple(_parse_line(line) for line in lines[:-1].split("\n"))
    if len(found) > MOST_SIGNATURES:
        raise MalformedNoteError("the note has too many signatures")
    return found


def _parse_line(line: str) -> Signature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not name or not space or "+" in name or any(c.isspace() for c in name):
        raise MalformedNoteError("a line under the note is no signature")
    try:
        raw = b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedNoteError("a signature is not base64") from None
    if len(raw) <= _KEY_ID_BYTES or b64encode(raw).decode() != encoded:
        raise MalformedNoteError("a signature is not written in its one form")
    return Signature(name, raw[:_KEY_ID_BYTES], raw[_KEY_ID_BYTES:])


def sign_note(text: str, key: PrivateKey) -> Note:
    """`text`, which ends in a newline, signed by one key."""
    return Note(text, (Signature(key.name, key.public.key_id, key.sign(text.encode())),))


def verify_note(note: Note, key: PublicKey) -> None:
    """Raises `UnsignedNoteError` unless `key` signed the note; a false line of its spoils it."""
    claimed = [signature for signature in note.signatures if signature.is_by(key)]
    if not claimed:
        raise UnsignedNoteError(f"the note is not signed by {key.name} with the key {key.key_id.hex()}")
    if not all(key.is_signed(note.text.encode(), signature.raw) for signature in claimed):
        raise UnsignedNoteError(f"a signature of {key.name} under the note is not its own")
