"""Speaking to the witness (C2SP tlog-witness)."""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

import httpx
from yijian_ledger.checkpoints import Checkpoint, open_checkpoint, parse_size
from yijian_ledger.cosignatures import cosigned_at
from yijian_ledger.keys import PublicKey
from yijian_ledger.notes import Note, NoteError, Signature, parse_signatures
from yijian_ledger.witness_protocol import ADD_CHECKPOINT, SIZE_TYPE, AddCheckpoint, checkpoint_path

_LONGEST: Final = 16_384
# Conflict without a size is how other witnesses say that they saw another root at this size.
_REFUSALS: Final = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)


class WitnessAwayError(Exception):
    """The witness does not answer, or not as the protocol says; asking again later may help."""


class WitnessRefusesError(Exception):
    """The witness will not cosign this; asking again does not help."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the witness says that it saw last."""

    checkpoint: Checkpoint
    at: datetime


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The witness does not stand where the request thought: its last size."""

    size: int


class WitnessClient:
    """The witness at `url`, known by its public key; `log` is the ledger's own key."""

    def __init__(self, http: httpx.AsyncClient, url: str, *, witness: PublicKey, log: PublicKey) -> None:
        self._http = http
        self._url = url
        self.key = witness
        self._log = log

    async def find_last(self) -> Seen | None:
        """The last checkpoint that the witness cosigned for this log. Raises `WitnessAwayError`."""
        answer = await self._send("GET", checkpoint_path(self._log.name))
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        self._expect_ok(answer)
        try:
            checkpoint, note = open_checkpoint(answer.text, self._log)
            return Seen(checkpoint, cosigned_at(note, self.key))
        except NoteError as error:
            raise WitnessAwayError(f"what it shows is not in order: {error}") from None

    async def add(self, old: int, proof: list[bytes], note: Note) -> Signature | Elsewhere:
        """Have a checkpoint cosigned. Raises `WitnessAwayError` and `WitnessRefusesError`."""
        body = AddCheckpoint(old, proof, str(note)).encode()
        answer = await self._send("POST", ADD_CHECKPOINT, content=body)
        if answer.status_code == HTTPStatus.CONFLICT and answer.headers.get("content-type") == SIZE_TYPE:
            return Elsewhere(_size(answer.text))
        if answer.status_code in _REFUSALS:
            raise WitnessRefusesError(f"it answers {answer.status_code} to the checkpoint")
        self._expect_ok(answer)
        try:
            lines = tuple(line for line in parse_signatures(answer.text) if line.is_by(self.key))
            cosigned_at(note.with_signatures(*lines), self.key)
        except NoteError as error:
            raise WitnessAwayError(f"its cosignature is not in order: {error}") from None
        return lines[0]

    async def _send(self, method: str, path: str, content: bytes | None = None) -> httpx.Response:
        try:
            answer = await self._http.request(method, self._url + path, content=content)
        except httpx.HTTPError as error:
            raise WitnessAwayError(type(error).__name__) from None
        if len(answer.content) > _LONGEST:
            raise WitnessAwayError("its answer is too long")
        return answer

    def _expect_ok(self, answer: httpx.Response) -> None:
        if answer.status_code != HTTPStatus.OK:
            raise WitnessAwayError(f"it answers {answer.status_code}")


def _size(text: str) -> int:
    try:
        return parse_size(text.removesuffix("\n"))
    except NoteError:
        raise WitnessAwayError("it does not say its size") from None
