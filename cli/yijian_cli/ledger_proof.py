"""One leaf's proof, with every hash on the way."""

from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from yijian_embedded.errors import PlatformError
from yijian_ledger.checkpoints import Checkpoint, open_checkpoint
from yijian_ledger.keys import PublicKey
from yijian_ledger.leaf import LeafError, read_leaf
from yijian_ledger.notes import NoteError
from yijian_ledger.proofs import ProofError, verify_inclusion
from yijian_ledger.tree_hash import SM3

from yijian_cli.ledger_web import Web


@dataclass(frozen=True, slots=True)
class Checked:
    """A leaf that was proven to be in a signed tree; `way` goes from its hash up to the root."""

    origin: str
    index: int
    leaf: str
    size: int
    root: bytes
    way: Sequence[bytes]

    def as_json(self) -> dict[str, object]:
        return {
            "origin": self.origin,
            "index": self.index,
            "leaf": self.leaf,
            "size": self.size,
            "root": self.root.hex(),
            "way": [step.hex() for step in self.way],
        }


def check_inclusion(ledger: Web, key: PublicKey, leaf_id: UUID) -> Checked:
    """Fetch the proof of one leaf and check it here. Raises `PlatformError`."""
    told = ledger.json(f"/v1/ledger/inclusion?id={leaf_id}")
    try:
        return _check(told, key, leaf_id)
    except (NoteError, ProofError, LeafError) as error:
        raise PlatformError(f"The ledger does not prove leaf {leaf_id}: {error}.") from None
    except (KeyError, ValueError, TypeError):
        raise PlatformError(f"What {ledger.url} says of leaf {leaf_id} cannot be read.") from None


def _check(told: dict[str, object], key: PublicKey, leaf_id: UUID) -> Checked:
    checkpoint, _ = open_checkpoint(str(told["checkpoint"]), key)
    leaf = str(told["leaf"])
    if read_leaf(leaf.encode()).id != leaf_id:
        raise LeafError("it shows the leaf of another one")
    index = told["index"]
    steps = told["proof"]
    if not isinstance(index, int) or not isinstance(steps, list):
        raise TypeError
    proof = [b64decode(step, validate=True) for step in steps]
    found = SM3.leaf(leaf.encode())
    verify_inclusion(found, index=index, size=checkpoint.size, proof=proof, root=checkpoint.root)
    return Checked(
        checkpoint.origin, index, leaf, checkpoint.size, checkpoint.root, _way(found, index, checkpoint, proof)
    )


def _way(found: bytes, index: int, checkpoint: Checkpoint, proof: Sequence[bytes]) -> list[bytes]:
    """Each hash from the leaf to the root: what `verify_inclusion` computes, to be looked at (RFC 9162 §2.1.3.2)."""
    place, last, way = index, checkpoint.size - 1, [found]
    for step in proof:
        if place & 1 or place == last:
            way.append(SM3.node(step, way[-1]))
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            way.append(SM3.node(way[-1], step))
        place, last = place >> 1, last >> 1
    return way
