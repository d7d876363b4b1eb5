"""A witness may be anybody's who keeps to C2SP tlog-witness: what its answers mean to us."""

import httpx
import pytest
from data_exchange.witness_client import Elsewhere, WitnessAwayError, WitnessClient, WitnessRefusesError
from yijian_ledger.checkpoints import Checkpoint, sign_checkpoint
from yijian_ledger.keys import KeyKind, new_key
from yijian_ledger.notes import Signature
from yijian_ledger.witness_protocol import SIZE_TYPE

LOG = new_key("city.example/ledger")
WITNESS = new_key("somebody.example/witness", KeyKind.COSIGNATURE)


async def add(status: int, *, size: str | None = None) -> Signature | Elsewhere:
    """What we make of an answer to the checkpoint of seven leaves."""
    headers = {"Content-Type": SIZE_TYPE if size is not None else "text/plain"}
    answer = httpx.Response(status, text=size or "no\n", headers=headers)
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer)) as http:
        witness = WitnessClient(http, "http://witness.example", witness=WITNESS.public, log=LOG.public)
        return await witness.add(7, [], sign_checkpoint(Checkpoint(LOG.name, 7, bytes(32)), LOG))


async def test_a_conflict_that_names_a_size_says_where_it_stands():
    assert await add(409, size="5\n") == Elsewhere(5)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
async def test_a_refusal_is_an_incident_and_not_an_outage(status: int):
    """409 without a size: it cosigned another root at this size, which nobody must take for a witness that is away."""
    with pytest.raises(WitnessRefusesError):
        await add(status)


@pytest.mark.parametrize("status", [301, 429, 500, 503])
async def test_everything_else_is_asked_again(status: int):
    with pytest.raises(WitnessAwayError):
        await add(status)
