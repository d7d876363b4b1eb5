"""Evidence on its own: disclosures with what their leaves were made of, proven under one checkpoint.

    {"what": "yijian-evidence", "v": 1, "checkpoint": "<note with cosignatures>",
     "items": [{"index": 7, "leaf": "<canonical JSON>", "proof": ["<base64>", …],
                "salt": "<hex>", "details": {…}, "portions": [{"salt": "<hex>", "content": {…}}]}]}

Checked with two public keys and nothing else. An item has the portions that its owner may see (`portions`). Of what was
erased it has neither salt nor details: then it proves that something was written down, and no longer what.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from yijian_ledger.canonical import NotCanonicalError, Written
from yijian_ledger.checkpoints import Checkpoint, open_checkpoint, parse_hash
from yijian_ledger.cosignatures import cosigned_at
from yijian_ledger.keys import PublicKey
from yijian_ledger.leaf import LeafContent, LeafError, read_leaf
from yijian_ledger.notes import NoteError
from yijian_ledger.portions import Portion, opens_with
from yijian_ledger.proofs import ProofError, verify_inclusion
from yijian_ledger.tree_hash import SM3

WHAT: Final = "yijian-evidence"
VERSION: Final = 1


class EvidenceError(ValueError):
    """The pack proves nothing, or not all that it says; one sentence that names the item."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a leaf's commitment was made of, and the portions of it that are shown."""

    details: Mapping[str, Any]
    salt: bytes
    portions: tuple[Portion, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One leaf with its place and proof; without an opening its details were erased."""

    index: int
    leaf: bytes
    proof: tuple[bytes, ...]
    opening: Opening | None


@dataclass(frozen=True, slots=True)
class Proven:
    """What a pack proves: each item's leaf and details, under this checkpoint, cosigned then."""

    checkpoint: Checkpoint
    cosigned_at: datetime | None
    items: tuple[tuple[LeafContent, Item], ...]


def make_pack(note: str, items: Sequence[Item]) -> dict[str, Any]:
    """The pack as JSON."""
    return {"what": WHAT, "v": VERSION, "checkpoint": note, "items": [_as_json(item) for item in items]}


def _as_json(item: Item) -> dict[str, Any]:
    proof = [b64encode(step).decode() for step in item.proof]
    told: dict[str, Any] = {"index": item.index, "leaf": item.leaf.decode(), "proof": proof}
    if item.opening is not None:
        portions = [{"salt": shown.salt.hex(), "content": shown.content.value} for shown in item.opening.portions]
        told |= {"salt": item.opening.salt.hex(), "details": dict(item.opening.details), "portions": portions}
    return told


def verify_pack(pack: object, *, log: PublicKey, witness: PublicKey | None) -> Proven:
    """What the pack proves. Raises `EvidenceError`; without a witness's key its word is not asked for."""
    note, items = _read(pack)
    try:
        checkpoint, signed = open_checkpoint(note, log)
        at = cosigned_at(signed, witness) if witness is not None else None
    except NoteError as error:
        raise EvidenceError(f"the checkpoint does not hold: {error}") from None
    return Proven(checkpoint, at, tuple((_verify(item, checkpoint), item) for item in items))


def parse_pack(text: bytes) -> object:
    """The JSON of a pack. Raises `EvidenceError`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise EvidenceError("the file is not JSON") from None


def _read(pack: object) -> tuple[str, list[Item]]:
    match pack:
        case {"what": "yijian-evidence", "v": 1, "checkpoint": str(note), "items": list(items)} if items:
            return note, [_read_item(number, item) for number, item in enumerate(items, start=1)]
        case _:
            raise EvidenceError("the file is no evidence pack")


def _read_item(number: int, told: object) -> Item:
    match told:
        case {"index": int(index), "leaf": str(leaf), "proof": list(proof), **rest}:
            pass
        case _:
            raise EvidenceError(f"item {number} is not complete")
    try:
        return Item(index, leaf.encode(), tuple(parse_hash(step) for step in proof), _read_opening(rest))
    except (ValueError, TypeError, KeyError):
        raise EvidenceError(f"item {number} cannot be read") from None


def _read_opening(rest: Mapping[object, object]) -> Opening | None:
    match rest:
        case {"salt": str(salt), "details": dict(details), "portions": list(portions)}:
            shown = tuple(Portion(Written.of(dict(told["content"])), bytes.fromhex(told["salt"])) for told in portions)
            return Opening(details, bytes.fromhex(salt), shown)
        case _ if not rest:
            return None
        case _:
            raise ValueError("salt, details and portions go together")


def _verify(item: Item, checkpoint: Checkpoint) -> LeafContent:
    where = f"leaf {item.index}"
    try:
        content = read_leaf(item.leaf)
        where = f"leaf {item.index} ({content.kind} {content.id})"
        leaf_hash = SM3.leaf(item.leaf)
        verify_inclusion(leaf_hash, index=item.index, size=checkpoint.size, proof=item.proof, root=checkpoint.root)
    except (LeafError, ProofError) as error:
        raise EvidenceError(f"{where} is not in the signed tree: {error}") from None
    if item.opening is not None and not _is_opened(content, item.opening):
        raise EvidenceError(f"the details of {where} are not those that were written down")
    return content


def _is_opened(content: LeafContent, opening: Opening) -> bool:
    try:
        return opens_with(content, opening.details, salt=opening.salt, portions=opening.portions)
    except (NotCanonicalError, TypeError):
        return False
