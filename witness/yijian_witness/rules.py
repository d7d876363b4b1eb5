"""Whether a checkpoint is cosigned: the order of checks and the answers are C2SP tlog-witness's."""

from collections.abc import Mapping
from dataclasses import dataclass

from yijian_ledger.checkpoints import Checkpoint, parse_checkpoint
from yijian_ledger.keys import PublicKey
from yijian_ledger.notes import MalformedNoteError, Note, UnsignedNoteError, parse_note, verify_note
from yijian_ledger.proofs import ProofError, verify_consistency
from yijian_ledger.tree_hash import SM3
from yijian_ledger.witness_protocol import AddCheckpoint, parse_request

from yijian_witness.refusals import InconsistentError, MalformedError, NotSignedError, OtherSizeError, UnknownLogError


@dataclass(frozen=True, slots=True)
class Submitted:
    """A checkpoint that its log signed, and how it is said to go on from an earlier one. `note` is as it was sent."""

    request: AddCheckpoint
    checkpoint: Checkpoint
    note: Note
    log: PublicKey


def read_submission(body: bytes, logs: Mapping[str, PublicKey]) -> Submitted:
    """What needs no memory: form, origin, signature, sizes. Raises `RefusalError`."""
    try:
        request = parse_request(body)
        note = parse_note(request.note)
        checkpoint = parse_checkpoint(note.text)
    except MalformedNoteError as error:
        raise MalformedError(str(error)) from None
    log = logs.get(checkpoint.origin)
    if log is None:
        raise UnknownLogError("this log is not known here")
    try:
        verify_note(note, log)
    except UnsignedNoteError as error:
        raise NotSignedError(str(error)) from None
    if request.old_size > checkpoint.size:
        raise MalformedError("the old size is beyond the checkpoint's")
    # What others wrote under it is not ours to keep or to show.
    own = Note(note.text, tuple(signature for signature in note.signatures if signature.is_by(log)))
    return Submitted(request, checkpoint, own, log)


def check_continuation(submitted: Submitted, last: Checkpoint | None) -> None:
    """That it goes on from the last checkpoint that was cosigned for this log. Raises `RefusalError`."""
    request, checkpoint = submitted.request, submitted.checkpoint
    last_size, last_root = (last.size, last.root) if last else (0, SM3.empty)
    if request.old_size != last_size:
        raise OtherSizeError(last_size)
    if checkpoint.size == 0 and checkpoint.root != SM3.empty:
        raise InconsistentError("a tree without leaves has another root")
    if checkpoint.size == last_size and checkpoint.root != last_root:
        raise InconsistentError("two roots were signed for one size", rewritten=True)
    try:
        verify_consistency(last_root, checkpoint.root, old=last_size, size=checkpoint.size, proof=request.proof)
    except ProofError as error:
        raise InconsistentError(str(error)) from None
