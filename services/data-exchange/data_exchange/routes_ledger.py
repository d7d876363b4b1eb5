"""HTTP out: the ledger, for anyone; it holds nothing about anybody.

Whoever reads `/checkpoint` and the tiles (C2SP tlog-tiles) has all of it and needs to believe none of what `/v1/ledger`
says, which is there for whoever wants a proof without the whole.
"""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from yijian_common import database
from yijian_common.database import Connection
from yijian_common.errors import Unprocessable
from yijian_ledger.tiles import MOST_LEVELS, WIDTH, Tile, parse_index_path, tile_at, write_entries

from data_exchange import checkpoints, tree
from data_exchange.checkpoints import Signed
from data_exchange.errors import LeafNotFound, LedgerBroken, NotSignedYet, TileNotFound
from data_exchange.ledger_state import read_state
from data_exchange.parts import Context
from data_exchange.schemas_ledger import CheckpointOut, ConsistencyOut, InclusionOut, LedgerOut, SizeAndRoot, hashes

routes = APIRouter(tags=["ledger"])
MOST_CHECKPOINTS = 1000
MOST_SIZE = 2**62

_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_BRIEFLY = {"Cache-Control": "public, max-age=1"}
Size = Annotated[int, Query(ge=0, le=MOST_SIZE)]
TilePath = Annotated[str, Path(pattern=r"^(x[0-9]{3}/){0,6}[0-9]{3}(\.p/[1-9][0-9]{0,2})?$")]


@routes.get("/checkpoint", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def get_checkpoint(parts: Context) -> Response:
    """The newest signed state, with the witnesses' cosignatures as far as they have come (C2SP tlog-checkpoint)."""
    async with database.connection(parts.pool) as connection:
        signed = await _latest(connection)
    return Response(str(signed.note), media_type="text/plain; charset=utf-8", headers=_BRIEFLY)


@routes.get(
    "/tile/entries/{path:path}",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
async def get_entries(path: TilePath, parts: Context) -> Response:
    """A bundle of up to 256 leaves, each after its length in two bytes (C2SP tlog-tiles)."""
    async with database.connection(parts.pool) as connection:
        tile = await _signed_tile(connection, 0, path)
        first = tile.index * WIDTH
        rows = await connection.fetch(
            "SELECT index, id, data FROM ledger.leaf WHERE index >= $1 AND index < $2 ORDER BY index",
            first,
            first + tile.width,
        )
    for row in rows:
        if str(row["id"]).encode() not in row["data"]:
            raise LedgerBroken(f"leaf {row['index']} is about something else than its row says")
    return _bytes(write_entries(row["data"] for row in rows))


@routes.get(
    "/tile/{level}/{path:path}",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
async def get_tile(level: Annotated[int, Path(ge=0, lt=MOST_LEVELS)], path: TilePath, parts: Context) -> Response:
    """Up to 256 hashes of one level of the tree (C2SP tlog-tiles)."""
    async with database.connection(parts.pool) as connection:
        tile = await _signed_tile(connection, level, path)
        found = await tree.read_tile(connection, tile)
    return _bytes(b"".join(found))


@routes.get("/v1/ledger")
async def get_ledger(parts: Context) -> LedgerOut:
    """How the ledger stands: what is written down, signed and witnessed, and what waits."""
    async with database.connection(parts.pool) as connection:
        state = await read_state(connection)
    return LedgerOut(
        origin=state.signed.checkpoint.origin if state.signed else None,
        leaves=state.leaves,
        signed=_size_and_root(state.signed),
        witnessed=_size_and_root(state.witnessed),
        oldest_uncovered_at=state.oldest_uncovered_at,
        problem=state.problem(datetime.now(UTC)),
    )


@routes.get("/v1/ledger/inclusion")
async def prove_inclusion(parts: Context, leaf: Annotated[UUID, Query(alias="id")]) -> InclusionOut:
    """That the leaf of a disclosure or an erasure is in the newest signed tree."""
    async with database.connection(parts.pool) as connection:
        row = await connection.fetchrow("SELECT index, data FROM ledger.leaf WHERE id = $1", leaf)
        if row is None:
            raise LeafNotFound
        signed = await _latest(connection)
        if signed.size <= row["index"]:
            raise NotSignedYet
        proof = await tree.prove_inclusion(connection, row["index"], signed.size)
    return InclusionOut(
        id=leaf,
        index=row["index"],
        leaf=row["data"].decode(),
        size=signed.size,
        proof=hashes(proof),
        checkpoint=str(signed.note),
    )


@routes.get("/v1/ledger/consistency")
async def prove_consistency(parts: Context, old: Size, size: Size) -> ConsistencyOut:
    """That the tree of `size` leaves begins with that of `old` ones; both at most what is signed."""
    async with database.connection(parts.pool) as connection:
        signed = await _latest(connection)
        if not old <= size <= signed.size:
            raise Unprocessable(f"应有 old ≤ size ≤ {signed.size}")
        proof = await tree.prove_consistency(connection, old, size)
    return ConsistencyOut(old=old, size=size, proof=hashes(proof))


@routes.get("/v1/ledger/checkpoints")
async def list_checkpoints(
    parts: Context, after: Size = 0, limit: Annotated[int, Query(ge=1, le=MOST_CHECKPOINTS)] = MOST_CHECKPOINTS
) -> list[CheckpointOut]:
    """Every state that was signed, the smallest first."""
    async with database.connection(parts.pool) as connection:
        found = await checkpoints.list_after(connection, after, limit=limit)
    return [CheckpointOut(size=signed.size, checkpoint=str(signed.note)) for signed in found]


async def _latest(connection: Connection) -> Signed:
    signed = await checkpoints.find_latest(connection)
    if signed is None:
        raise NotSignedYet
    return signed


async def _signed_tile(connection: Connection, level: int, path: str) -> Tile:
    """The tile at a path, as far as the signed tree has it: not even a narrower part of what nobody has signed."""
    signed = await _latest(connection)
    try:
        index, width = parse_index_path(path)
    except ValueError:
        raise TileNotFound from None
    largest = tile_at(level, index, signed.size)
    if largest is None or largest.width < width:
        raise TileNotFound
    return Tile(level, index, width)


def _size_and_root(signed: Signed | None) -> SizeAndRoot | None:
    return SizeAndRoot(size=signed.size, root=hashes([signed.checkpoint.root])[0]) if signed else None


def _bytes(content: bytes) -> Response:
    return Response(content, media_type="application/octet-stream", headers=_FOREVER)
