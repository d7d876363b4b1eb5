"""What a witness says of a checkpoint: I saw no other history of this log (C2SP tlog-cosignature, version 1)."""

from datetime import UTC, datetime
from typing import Final

from yijian_ledger.keys import PrivateKey, PublicKey
from yijian_ledger.notes import Note, Signature, UnsignedNoteError

_TIME_BYTES: Final = 8
_LATEST: Final = 253402300799  # the end of the year 9999, as far as a datetime goes


def cosign(note: Note, key: PrivateKey, *, at: datetime) -> Signature:
    """The witness's line for a checkpoint; whole seconds."""
    seconds = int(at.timestamp())
    raw = seconds.to_bytes(_TIME_BYTES, "big") + key.sign(_message(note, seconds))
    return Signature(key.name, key.public.key_id, raw)


def cosigned_at(note: Note, key: PublicKey) -> datetime:
    """When this witness cosigned. Raises `UnsignedNoteError` when it did not."""
    times = [_check(note, signature, key) for signature in note.signatures if signature.is_by(key)]
    if not times:
        raise UnsignedNoteError(f"the checkpoint is not cosigned by {key.name} with the key {key.key_id.hex()}")
    return max(times)


def _check(note: Note, signature: Signature, key: PublicKey) -> datetime:
    seconds = int.from_bytes(signature.raw[:_TIME_BYTES], "big")
    signed = key.is_signed(_message(note, seconds), signature.raw[_TIME_BYTES:])
    if not signed or not 0 < seconds <= _LATEST:
        raise UnsignedNoteError(f"a cosignature of {key.name} is not its own")
    return datetime.fromtimestamp(seconds, UTC)


def _message(note: Note, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{note.text}".encode()
