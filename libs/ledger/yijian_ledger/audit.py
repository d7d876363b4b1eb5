"""Whether a log is what it was: for somebody who believes nobody but a public key, a witness, and their own memory.

What is asked, in this order: what the witness saw last; what the log says now; every leaf and tile; then whether the
tree over those leaves has the root that was signed now, the one that the witness saw, the ones that were signed in
between, and the leaves that we remember. Witness first: a log may be ahead of its witness, never behind.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from yijian_ledger.checkpoints import Checkpoint, open_checkpoint
from yijian_ledger.compact_range import CompactRange
from yijian_ledger.cosignatures import cosigned_at
from yijian_ledger.keys import PublicKey
from yijian_ledger.mirror import Fetch, FetchError, Finding, Mirror, NotThereError, download
from yijian_ledger.notes import Note, NoteError
from yijian_ledger.witness_protocol import checkpoint_path

_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Witnessing:
    """Where to ask a witness, and the key by which its word is known."""

    fetch: Fetch
    key: PublicKey


@dataclass(frozen=True, slots=True)
class Memory:
    """What was seen the last time: the checkpoint as a note, and every leaf's hash."""

    note: str
    hashes: Sequence[bytes]


@dataclass(slots=True)
class Audit:
    """What came out: None where something could not be had; `memory` is for the next time."""

    checkpoint: Checkpoint | None = None
    witnessed: Checkpoint | None = None
    signed_in_between: int = 0
    findings: list[Finding] = field(default_factory=list)
    memory: Memory | None = None

    @property
    def in_order(self) -> bool:
        return not self.findings

    def report(self, text: str, leaf: int | None = None) -> None:
        self.findings.append(Finding(text, leaf))


def audit(
    fetch: Fetch,
    log: PublicKey,
    *,
    witness: Witnessing | None,
    memory: Memory | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Audit:
    """Look at everything. Whatever is not in order is a finding; nothing is believed because the log says so."""
    result = Audit()
    remembered = _remembered(memory, log, result)
    if witness is not None:
        result.witnessed = _ask_witness(witness, log, result)
        _ask_for_misdeeds(witness, log, result)
    note = _read_head(fetch, log, witness, result)
    if note is None or result.checkpoint is None:
        return result
    size = result.checkpoint.size
    for seen, whose in ((result.witnessed, "the witness saw"), (remembered, "we saw")):
        if seen is not None and seen.size > size:
            result.report(f"the ledger shows {size} leaves and {whose} {seen.size}: the rest is gone", size)
    mirror = download(fetch, size, progress=progress)
    result.findings += mirror.findings
    _compare_memory(mirror, memory, result)
    if len(mirror.hashes) == size:
        _compare_roots(fetch, log, witness, mirror, remembered, result)
    if result.in_order:
        result.memory = Memory(str(note), mirror.hashes)
    return result


def _remembered(memory: Memory | None, log: PublicKey, result: Audit) -> Checkpoint | None:
    if memory is None:
        return None
    try:
        return open_checkpoint(memory.note, log)[0]
    except NoteError as error:
        result.report(f"the checkpoint that we remember is not by this ledger's key: {error}")
        return None


def _ask_witness(witness: Witnessing, log: PublicKey, result: Audit) -> Checkpoint | None:
    try:
        told = witness.fetch(checkpoint_path(log.name)).decode()
        checkpoint, note = open_checkpoint(told, log)
        cosigned_at(note, witness.key)
    except NotThereError:
        result.report("the witness has cosigned nothing of this ledger")
    except FetchError as error:
        result.report(f"the witness cannot be asked: {error}")
    except (NoteError, UnicodeDecodeError) as error:
        result.report(f"what the witness says is not in order: {error}")
    else:
        return checkpoint
    return None


def _ask_for_misdeeds(witness: Witnessing, log: PublicKey, result: Audit) -> None:
    """Pairs of checkpoints that a witness of ours kept as proof; one that keeps none is asked no further."""
    try:
        kept = json.loads(witness.fetch("/misdeeds"))
        pairs = [(told["cosigned"], told["refused"]) for told in kept if told["origin"] == log.name]
        for pair in pairs:
            first, second = (open_checkpoint(note, log)[0] for note in pair)
            if first.size == second.size and first.root != second.root:
                result.report(f"the ledger signed two histories of {first.size} leaves; the witness has both")
    except (FetchError, NoteError, ValueError, KeyError, TypeError):
        # Not part of the protocol, and no word of a witness is needed: both signatures are the ledger's own.
        return


def _read_head(fetch: Fetch, log: PublicKey, witness: Witnessing | None, result: Audit) -> Note | None:
    try:
        checkpoint, note = open_checkpoint(fetch("/checkpoint").decode(), log)
        _check_cosignatures(note, witness)
    except FetchError as error:
        result.report(f"the ledger shows no checkpoint: {error}")
    except (NoteError, UnicodeDecodeError) as error:
        result.report(f"the checkpoint is not in order: {error}")
    else:
        result.checkpoint = checkpoint
        return note
    return None


def _check_cosignatures(note: Note, witness: Witnessing | None) -> None:
    """A line that claims to be the witness's has to be."""
    if witness is not None and any(signature.is_by(witness.key) for signature in note.signatures):
        cosigned_at(note, witness.key)


def _compare_memory(mirror: Mirror, memory: Memory | None, result: Audit) -> None:
    if memory is None:
        return
    for place, (then, now) in enumerate(zip(memory.hashes, mirror.hashes, strict=False)):
        if then != now:
            result.report(f"leaf {place} is not the one that was there", place)
            return


def _compare_roots(
    fetch: Fetch,
    log: PublicKey,
    witness: Witnessing | None,
    mirror: Mirror,
    remembered: Checkpoint | None,
    result: Audit,
) -> None:
    """One pass over the leaves: the root at each size of which somebody said one."""
    said: list[tuple[Checkpoint, str]] = []
    if result.checkpoint is not None:
        said.append((result.checkpoint, "that is signed now"))
    if result.witnessed is not None:
        said.append((result.witnessed, "that the witness saw"))
    if remembered is not None:
        said.append((remembered, "that we saw"))
    history = _history(fetch, log, witness, result, after=remembered.size if remembered else 0)
    result.signed_in_between = len(history)
    said += [(checkpoint, "that was signed then") for checkpoint in history]
    edge = CompactRange()
    agreed = 0
    for checkpoint, whose in sorted(said, key=lambda pair: pair[0].size):
        if checkpoint.size > len(mirror.hashes):
            continue
        edge.extend(mirror.hashes[edge.size : checkpoint.size])
        if edge.root() != checkpoint.root:
            where = f"leaf {agreed}" if checkpoint.size - agreed == 1 else f"leaves {agreed} to {checkpoint.size - 1}"
            result.report(f"the first {checkpoint.size} leaves do not have the root {whose}; look at {where}", agreed)
            return
        agreed = checkpoint.size


def _history(
    fetch: Fetch, log: PublicKey, witness: Witnessing | None, result: Audit, *, after: int
) -> list[Checkpoint]:
    """What was signed since, each by the same key; a list with a false one is of no use any more."""
    found: list[Checkpoint] = []
    try:
        while True:
            page = json.loads(fetch(f"/v1/ledger/checkpoints?after={after}&limit={_PAGE}"))
            for told in page:
                checkpoint, note = open_checkpoint(told["checkpoint"], log)
                _check_cosignatures(note, witness)
                if told["size"] != checkpoint.size:
                    result.report(f"a checkpoint of size {checkpoint.size} is shown as one of {told['size']}")
                    return found
                if checkpoint.size <= after:
                    result.report(f"a checkpoint of size {checkpoint.size} stands behind one of size {after}")
                    return found
                after = checkpoint.size
                found.append(checkpoint)
            if len(page) < _PAGE:
                return found
    except NoteError as error:
        result.report(f"a checkpoint behind size {after} is not in order: {error}")
    except (FetchError, ValueError, KeyError, TypeError) as error:
        result.report(f"the earlier checkpoints cannot be read: {error}")
    return found
