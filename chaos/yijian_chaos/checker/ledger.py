"""I7: the ledger says one thing to everybody, and says it of every disclosure once.

The tree is computed from the leaves alone. At every size that was ever signed (in the tables, in the topic, by the
ledger and the witness over HTTP and in the witness's file) its root is the one that was signed, by the key that signs.
So any two of them are consistent: each is the root of a prefix of the same leaves. Full tiles hold what they should.
Places have no gap; a leaf is written in its one form and is about what its row says. The topic covers each leaf once,
by a checkpoint whose tree has it, and says one thing of a checkpoint.

Each disclosure that approval wrote down, and each document that its owner showed, has exactly one leaf, and each leaf
of a disclosure one of them; each stands in the register beside it, unless it was erased. Each request that approval's
outbox holds has its disclosure and each disclosure its request: both are written in the task's own transaction.
Nothing waits to be covered. The witness is never ahead of the tree, keeps no contradiction, and its cosignatures hold.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from yijian_chaos.checker import facts
from yijian_chaos.checker.evidence import Evidence
from yijian_chaos.checker.snapshot import Leaf, Note
from yijian_chaos.checker.tree import (
    WIDTH,
    Checkpoint,
    Key,
    is_cosigned,
    is_signed,
    leaf_hash,
    levels,
    parse_checkpoint,
    parse_key,
    parse_signature,
    roots,
)
from yijian_chaos.checker.verdict import Judgement


def judge(evidence: Evidence, judgement: Judgement) -> None:
    kinds = _leaves(evidence.snapshot.leaves, judgement)
    hashes = [leaf_hash(bytes.fromhex(leaf.data)) for leaf in evidence.snapshot.leaves]
    published = _published(evidence)
    sizes = {checkpoint.size for _, checkpoint in published}
    known = {tree.size: tree.root() for tree in roots(hashes) if tree.size in sizes}
    key = parse_key(evidence.snapshot.ledger_key)
    if key is None:
        judgement.broken("I7", "the ledger's key is of a kind that is not checked here")
    for place, checkpoint in published:
        _checkpoint(place, checkpoint, known, key, judgement)
    _unreadable(evidence, judgement)
    _tiles(evidence, hashes, judgement)
    _covered(evidence, judgement)
    _disclosures(evidence, kinds, judgement)
    _requests(evidence, judgement)
    _witness(evidence, judgement)


# --- the tree --------------------------------------------------------------------------------------------------------


def _leaves(leaves: Sequence[Leaf], judgement: Judgement) -> dict[str, str]:
    """What each leaf is about, by id."""
    kinds: dict[str, str] = {}
    for place, leaf in enumerate(leaves):
        judgement.looked("I7", "leaves")
        if leaf.index != place:
            judgement.broken("I7", "the places of leaves have a gap", index=leaf.index, expected=place)
        kind = _kind(leaf)
        if kind is None:
            judgement.broken("I7", "a leaf is not what its row says, or not in its one form", index=leaf.index)
        if leaf.id in kinds:
            judgement.broken("I7", "something has two leaves", index=leaf.index, id=leaf.id)
        kinds[leaf.id] = kind or ""
    return kinds


def _kind(leaf: Leaf) -> str | None:
    data = bytes.fromhex(leaf.data)
    try:
        told: dict[str, Any] = json.loads(data)
        ours = {name: told[name] for name in ("commitment", "id", "kind", "v")}
        plain = json.dumps(ours, separators=(",", ":"), sort_keys=True).encode()
        fits = plain == data and told["id"] == leaf.id and len(bytes.fromhex(told["commitment"])) == 32
    except (ValueError, KeyError, TypeError):
        return None
    return str(told["kind"]) if fits and told["kind"] in ("disclosure", "erasure") else None


def _published(evidence: Evidence) -> list[tuple[str, Checkpoint]]:
    """Every checkpoint that anybody was given, with where."""
    return [(place, found) for place, text in _texts(evidence) if (found := parse_checkpoint(text)) is not None]


def _texts(evidence: Evidence) -> list[tuple[str, str]]:
    notes = [(f"{note.place} {note.size}", note.text) for note in evidence.snapshot.notes]
    events = {
        record.said[2]: f"{record.topic}/{record.partition}:{record.offset}"
        for record in evidence.records_of.get(facts.CHECKPOINT_SIGNED, ())
        if len(record.said) > 2
    }
    return notes + [(place, text) for text, place in events.items()]


def _unreadable(evidence: Evidence, judgement: Judgement) -> None:
    for place, text in _texts(evidence):
        if parse_checkpoint(text) is None:
            judgement.broken("I7", "what should be a checkpoint is none", place=place)
    for note in evidence.snapshot.notes:
        found = parse_checkpoint(note.text)
        if found is not None and found.size != note.size:
            judgement.broken(
                "I7", "a checkpoint is of another size than its row says", place=note.place, size=note.size
            )


def _checkpoint(
    place: str, checkpoint: Checkpoint, known: Mapping[int, bytes], key: Key | None, judgement: Judgement
) -> None:
    judgement.looked("I7", "checkpoints")
    root = known.get(checkpoint.size)
    if root is None:
        judgement.broken("I7", "a checkpoint speaks of leaves that are not there", place=place, size=checkpoint.size)
    elif root != checkpoint.root:
        judgement.broken("I7", "the leaves have another root than was signed", place=place, size=checkpoint.size)
    if key is not None and not (checkpoint.origin == key.name and is_signed(checkpoint, key)):
        judgement.broken("I7", "a checkpoint is not signed by the ledger's key", place=place, size=checkpoint.size)


def _tiles(evidence: Evidence, hashes: Sequence[bytes], judgement: Judgement) -> None:
    ours = levels(hashes)
    signed = max((note.size for note in evidence.snapshot.notes if note.place == "ledger.checkpoint"), default=0)
    found = set()
    for tile in evidence.snapshot.tiles:
        judgement.looked("I7", "tiles")
        found.add((tile.level, tile.index))
        entries = ours[tile.level] if tile.level < len(ours) else []
        expected = entries[tile.index * WIDTH : (tile.index + 1) * WIDTH]
        above = ours[tile.level + 1] if tile.level + 1 < len(ours) else []
        root = above[tile.index] if tile.index < len(above) else b""
        if (b"".join(expected).hex(), root.hex()) != (tile.hashes, tile.root):
            judgement.broken("I7", "a tile does not hold the hashes of its leaves", level=tile.level, index=tile.index)
    level, width = 0, signed
    while width >= WIDTH:
        missing = {(level, index) for index in range(width // WIDTH)} - found
        for at in sorted(missing):
            judgement.broken("I7", "a full tile of a signed tree is missing", level=at[0], index=at[1])
        level, width = level + 1, width // WIDTH


def _covered(evidence: Evidence, judgement: Judgement) -> None:
    """What checkpoints say that they cover are the leaves, each once, and all of them by now."""
    told = _told(evidence, judgement)
    covered = Counter(each for ids in told.values() for each in ids)
    leaves = {leaf.id: leaf.index for leaf in evidence.snapshot.leaves}
    for (size, _), ids in told.items():
        for each in ids:
            if leaves.get(each, -1) >= int(size):
                judgement.broken("I7", "a checkpoint covers a leaf that its tree has not", id=each, size=size)
    judgement.looked("I7", "leaves that checkpoints cover", len(covered))
    for each, times in covered.items():
        if times > 1:
            judgement.broken("I7", "a leaf was said to be covered by two checkpoints", id=each)
        if each not in leaves:
            judgement.broken("I7", "a checkpoint covers what has no leaf", id=each)
    first_cut = any(p.topic == "data-exchange.checkpoints" and p.begin > 0 for p in evidence.snapshot.partitions)
    for each in () if first_cut else sorted(leaves.keys() - covered.keys()):
        judgement.broken("I7", "a leaf was never said to be covered", id=each)
    for each in evidence.snapshot.uncovered:
        judgement.broken("I7", "approval still waits for a disclosure to be covered", task_id=each)


def _told(evidence: Evidence, judgement: Judgement) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """What is said to be covered, by the size and the part of the checkpoint that says so."""
    told: dict[tuple[str, str], tuple[str, ...]] = {}
    for record in evidence.records_of.get(facts.CHECKPOINT_SIGNED, ()):
        if len(record.said) < 3:
            continue
        size, part, _, *ids = record.said
        if told.setdefault((size, part), tuple(ids)) != tuple(ids):
            what = "a checkpoint is said to cover one thing and another"
            judgement.broken("I7", what, size=size, part=part, event=record.event)
    return told


# --- what it is about ------------------------------------------------------------------------------------------------


def _disclosures(evidence: Evidence, kinds: Mapping[str, str], judgement: Judgement) -> None:
    shown = {record.said[0] for record in evidence.records_of.get(facts.SHOWN, ()) if record.said}
    disclosed = {row.task for row in evidence.snapshot.disclosures} | shown
    leaves = {each for each, kind in kinds.items() if kind == "disclosure"}
    judgement.looked("I7", "disclosures", len(disclosed))
    for each in sorted(disclosed - leaves):
        judgement.broken("I7", "a disclosure has no leaf", id=each)
    for each in sorted(leaves - disclosed):
        judgement.broken("I7", "a leaf is about no disclosure that there was", id=each)
    kept = evidence.snapshot.kept_disclosures
    for each in sorted(leaves - kept - evidence.snapshot.erased_disclosures):
        judgement.broken("I7", "of a disclosure there is the leaf, and not what it commits to", id=each)
    for each in sorted(kept - leaves):
        judgement.broken("I7", "a disclosure was written down without a leaf", id=each)


def _requests(evidence: Evidence, judgement: Judgement) -> None:
    """A request and its disclosure are one transaction's: neither is there without the other."""
    disclosed = {row.task for row in evidence.snapshot.disclosures if row.application not in evidence.erased}
    outbox = evidence.outbox_events.get("approval", {})
    for task in evidence.asked.keys() | disclosed:
        judgement.looked("I7", "requests and their disclosures")
        asked = evidence.asked.get(task)
        where = {"task_id": task, "application": asked.application.id if asked else None}
        if task not in disclosed:
            judgement.broken("I7", "a department was asked and the disclosure is not written down", **where)
        elif asked is None:
            judgement.broken("I7", "a disclosure is written down of what was never asked", **where)
        elif facts.event_id(facts.DISCLOSED, task) not in outbox:
            judgement.broken("I7", "a disclosure is written down and the ledger is not told", **where)
        elif facts.event_id(facts.TASK_REQUESTED, task) not in outbox:
            judgement.broken("I7", "a disclosure is written down and nobody was asked", **where)


# --- the witness -----------------------------------------------------------------------------------------------------


def _witness(evidence: Evidence, judgement: Judgement) -> None:
    key = parse_key(evidence.snapshot.witness_key)
    if key is None:
        judgement.broken("I7", "the witness's key is of a kind that is not checked here")
        return
    if evidence.snapshot.misdeeds:
        judgement.broken("I7", "the witness keeps checkpoints that contradict each other", n=evidence.snapshot.misdeeds)
    seen = [note for note in evidence.snapshot.notes if note.place.startswith("witness")]
    if len({found.text for note in seen if (found := parse_checkpoint(note.text)) is not None}) > 1:
        judgement.broken("I7", "the witness says another thing than it keeps", sizes=[note.size for note in seen])
    for note in seen:
        judgement.looked("I7", "the witness's checkpoints")
        checkpoint = parse_checkpoint(note.text)
        if note.size > len(evidence.snapshot.leaves):
            judgement.broken("I7", "the witness is ahead of the tree", size=note.size)
        if checkpoint is None or not is_signed(checkpoint, key):
            judgement.broken("I7", "what the witness keeps is not cosigned by it", place=note.place, size=note.size)
    _cosignatures(evidence, key, judgement)


def _cosignatures(evidence: Evidence, key: Key, judgement: Judgement) -> None:
    own: dict[int, Note] = {note.size: note for note in evidence.snapshot.notes if note.place == "ledger.checkpoint"}
    for line in evidence.snapshot.cosignatures:
        judgement.looked("I7", "cosignatures")
        signature = parse_signature(line.text.strip())
        checkpoint = parse_checkpoint(own[line.size].text) if line.size in own else None
        if signature is None or checkpoint is None or signature[:2] != (key.name, key.id):
            judgement.broken("I7", "a cosignature is none, or of a checkpoint that is not there", size=line.size)
        elif not is_cosigned(checkpoint.text, signature[2], key):
            judgement.broken("I7", "a cosignature is not the witness's", size=line.size)
