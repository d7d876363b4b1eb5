"""What a log asks of a witness (C2SP tlog-witness, add-checkpoint), written and read."""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from yijian_ledger.checkpoints import parse_hash, parse_size
from yijian_ledger.notes import MalformedNoteError

MOST_PROOF_LINES: Final = 63
ADD_CHECKPOINT: Final = "/add-checkpoint"
SIZE_TYPE: Final = "text/x.tlog.size"


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A checkpoint, as a note, with the proof that it goes on from what the witness saw last."""

    old_size: int
    proof: Sequence[bytes]
    note: str

    def encode(self) -> bytes:
        proof = "".join(f"{b64encode(step).decode()}\n" for step in self.proof)
        return f"old {self.old_size}\n{proof}\n{self.note}".encode()


def parse_request(body: bytes) -> AddCheckpoint:
    """The request in a body. Raises `MalformedNoteError`; whether the note is one is not looked at."""
    try:
        head, separator, note = body.decode("utf-8").partition("\n\n")
    except UnicodeDecodeError:
        raise MalformedNoteError("the request is not UTF-8") from None
    if not separator:
        raise MalformedNoteError("no empty line stands before the checkpoint")
    first, *proof = head.split("\n")
    if not first.startswith("old "):
        raise MalformedNoteError("the request does not begin with the old size")
    if len(proof) > MOST_PROOF_LINES:
        raise MalformedNoteError(f"the proof has more than {MOST_PROOF_LINES} lines")
    return AddCheckpoint(parse_size(first.removeprefix("old ")), tuple(parse_hash(line) for line in proof), note)


def checkpoint_path(origin: str) -> str:
    """Where a witness shows the last checkpoint that it cosigned for a log."""
    return f"/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint"
