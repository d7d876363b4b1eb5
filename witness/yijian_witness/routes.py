"""HTTP: cosign a checkpoint, show the last one. What is answered is text, as C2SP tlog-witness has it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import Counter
from yijian_ledger.keys import PrivateKey, PublicKey
from yijian_ledger.witness_protocol import ADD_CHECKPOINT, SIZE_TYPE

from yijian_witness.refusals import InconsistentError, OtherSizeError, RefusalError
from yijian_witness.rules import read_submission
from yijian_witness.store import Store

log = structlog.get_logger(__name__)
routes = APIRouter(tags=["witness"])

ANSWERS = Counter("yijian_witness_answers_total", "Checkpoints that were submitted, by the answer's status", ["status"])
_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Witness:
    """What the handlers work with: `logs` are the keys of known logs by origin."""

    key: PrivateKey
    logs: Mapping[str, PublicKey]
    store: Store


async def get_witness(request: Request) -> Witness:
    witness: Witness = request.app.state.witness
    return witness


Context = Annotated[Witness, Depends(get_witness)]


@routes.post(ADD_CHECKPOINT)
async def add_checkpoint(request: Request, witness: Context) -> Response:
    """Cosign a checkpoint that goes on from the last one; it is remembered before this answers."""
    body = await request.body()
    try:
        line = await asyncio.to_thread(_cosign, body, witness)
    except RefusalError as refusal:
        ANSWERS.labels(refusal.status.value).inc()
        return _refuse(refusal)
    ANSWERS.labels(200).inc()
    return Response(line, media_type=_TEXT)


def _cosign(body: bytes, witness: Witness) -> str:
    submitted = read_submission(body, witness.logs)
    return witness.store.cosign(submitted, witness.key, now=lambda: datetime.now(UTC))


def _refuse(refusal: RefusalError) -> Response:
    if isinstance(refusal, OtherSizeError):
        # Exactly this content type, without a charset: clients compare it.
        return Response(f"{refusal.size}\n", status_code=refusal.status, headers={"Content-Type": SIZE_TYPE})
    if isinstance(refusal, InconsistentError) and refusal.rewritten:
        log.error("log_rewrote_its_history", reason=str(refusal))
    return Response(f"{refusal}\n", status_code=refusal.status, media_type=_TEXT)


@routes.get("/{origin_hash}/checkpoint")
async def show_checkpoint(origin_hash: str, witness: Context) -> Response:
    """The last checkpoint that was cosigned for the log whose origin has this SHA-256."""
    for origin in witness.logs:
        if sha256(origin.encode()).hexdigest() == origin_hash:
            note = await asyncio.to_thread(witness.store.find_last, origin)
            if note is not None:
                return Response(note, media_type=_TEXT, headers={"Cache-Control": "no-store"})
    return Response("nothing was cosigned for this log\n", status_code=404, media_type=_TEXT)


@routes.get("/misdeeds")
async def show_misdeeds(witness: Context) -> list[dict[str, str]]:
    """Pairs of checkpoints that a log signed and that contradict each other."""
    found = await asyncio.to_thread(witness.store.misdeeds)
    return [{"origin": origin, "cosigned": first, "refused": second} for origin, first, second in found]
