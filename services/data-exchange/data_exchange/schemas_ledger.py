"""What the ledger answers over HTTP. Hashes are base64, as in checkpoints."""

from base64 import b64encode
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

Hash = Annotated[str, Field(description="32 bytes, base64")]


class SizeAndRoot(BaseModel):
    size: int
    root: Hash


class LedgerOut(BaseModel):
    """How the ledger stands. `problem` says why departments are asked nothing just now, if that is so."""

    origin: str | None
    leaves: int
    signed: SizeAndRoot | None
    witnessed: SizeAndRoot | None
    oldest_uncovered_at: datetime | None
    problem: str | None


class InclusionOut(BaseModel):
    """RFC 9162 §2.1.3: the hashes that lead from the leaf to the checkpoint's root."""

    id: UUID
    index: int
    leaf: str
    size: int
    proof: list[Hash]
    checkpoint: str


class ConsistencyOut(BaseModel):
    """RFC 9162 §2.1.4: the hashes by which the larger tree is seen to begin with the smaller one."""

    old: int
    size: int
    proof: list[Hash]


class CheckpointOut(BaseModel):
    size: int
    checkpoint: str


def hashes(found: Iterable[bytes]) -> list[str]:
    return [b64encode(one).decode() for one in found]
