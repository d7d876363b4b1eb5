"""Leaves are signed, published and proven; what contradicts itself is never signed."""

import json
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest
from data_exchange import ledger, signer_lease
from data_exchange.errors import LedgerBroken
from data_exchange.signer_lease import LeaseLostError
from data_exchange.signing import EMPTY, MOST_LEAVES, read_head, require_continuation, sign_next
from yijian_contracts.events import CheckpointSigned
from yijian_contracts.topics import CHECKPOINTS
from yijian_ledger.checkpoints import open_checkpoint
from yijian_ledger.keys import KeyKind, PrivateKey, new_key
from yijian_ledger.tiles import Tile, read_entries, split, tiles_of

from .conftest import Service
from .ledger_story import ORIGIN, Reader, append, leaf, sign


@pytest.fixture
def key() -> PrivateKey:
    return new_key(ORIGIN)


async def published(service: Service) -> list[CheckpointSigned]:
    rows = await service.parts.pool.fetch("SELECT topic, key, value FROM outbox ORDER BY id")
    assert {(row["topic"], row["key"]) for row in rows} <= {(CHECKPOINTS, ORIGIN)}
    return [CheckpointSigned.model_validate(json.loads(row["value"])) for row in rows]


async def test_each_checkpoint_goes_on_from_the_last_and_proves_its_leaves(service: Service, key: PrivateKey):
    reader = Reader(service, key)
    head = EMPTY
    for count in (1, 2, 253, 1, 300):
        leaves = await append(service, count)
        before = head
        head = await sign(service, key, before)
        assert head is not None
        assert head.size == before.size + count
        assert (await reader.checkpoint()).root == head.builder.root()
        for one in (leaves[0], leaves[-1]):
            assert await reader.verify(one) >= before.size
    assert await sign(service, key, head) is None, "there is nothing to sign twice"


async def test_what_a_checkpoint_covers_is_published_with_it_and_only_once(service: Service, key: PrivateKey):
    first, second = await append(service, 3), await append(service, 2)
    head = await sign(service, key)
    third = await append(service, 1)
    assert head is not None
    await sign(service, key, head)
    told = await published(service)
    assert [set(event.covered) for event in told] == [{one.id for one in first + second}, {third[0].id}]
    assert [event.size for event in told] == [5, 6]
    assert open_checkpoint(told[1].checkpoint, key.public)[0].size == 6


async def test_what_one_event_cannot_hold_comes_in_several(
    service: Service, key: PrivateKey, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("data_exchange.signing.MOST_COVERED", 4)
    leaves = await append(service, 10)
    await sign(service, key)
    told = await published(service)
    assert [(event.part, len(event.covered)) for event in told] == [(0, 4), (1, 4), (2, 2)]
    assert {covered for event in told for covered in event.covered} == {one.id for one in leaves}
    assert len({event.event_id for event in told}) == 3


async def test_a_backlog_is_signed_in_steps(service: Service, key: PrivateKey, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("data_exchange.signing.MOST_LEAVES", 300)
    assert MOST_LEAVES > 1000
    await append(service, 700)
    head, sizes = EMPTY, []
    while (signed := await sign(service, key, head)) is not None:
        head = signed
        sizes.append(head.size)
    assert sizes == [300, 600, 700]


async def test_a_signer_that_begins_anew_finds_the_same_tree(service: Service, key: PrivateKey):
    head = EMPTY
    for count in (257, 300, 1):
        await append(service, count)
        head = await sign(service, key, head) or head
    async with service.parts.store.transaction() as transaction:
        fresh = await read_head(transaction.connection, key, known=None)
    assert (fresh.size, fresh.note, fresh.builder.root()) == (head.size, head.note, head.builder.root())


async def test_everybody_can_mirror_the_whole(service: Service, key: PrivateKey):
    leaves = await append(service, 600)
    await sign(service, key)
    await append(service, 5)
    entries: list[bytes] = []
    for tile in (tile for tile in tiles_of(600) if tile.level == 0):
        answer = await service.client.get(f"/tile/entries/{tile.path.removeprefix('0/')}")
        assert answer.headers["content-type"] == "application/octet-stream"
        assert "immutable" in answer.headers["cache-control"]
        entries += read_entries(answer.content)
        hashes = (await service.client.get(f"/tile/{tile.path}")).content
        assert len(split(hashes)) == tile.width
    assert sorted(entries) == sorted(one.data for one in leaves)
    above = (await service.client.get(f"/tile/{Tile(1, 0, 2).path}")).content
    assert len(split(above)) == 2


@pytest.mark.parametrize(
    "path",
    ["/tile/0/002.p/89", "/tile/0/003", "/tile/1/000", "/tile/2/000.p/1", "/tile/entries/002.p/89", "/tile/0/002"],
)
async def test_what_nobody_has_signed_is_not_shown(service: Service, key: PrivateKey, path: str):
    await append(service, 600)
    await sign(service, key)
    await append(service, 400)
    assert (await service.client.get("/tile/0/002.p/88")).status_code == 200
    answer = await service.client.get(path)
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/tile-not-found"


@pytest.mark.parametrize("path", ["/tile/0/abc", "/tile/9/000", "/tile/-1/000", "/tile/0/000.p/256", "/tile/0/1"])
async def test_what_is_no_tile_is_refused(service: Service, key: PrivateKey, path: str):
    await append(service, 3)
    await sign(service, key)
    assert (await service.client.get(path)).status_code in (404, 422)


async def test_before_the_first_signature_there_is_nothing_to_prove(service: Service):
    (one,) = await append(service, 1)
    for path in ("/checkpoint", "/tile/0/000.p/1", f"/v1/ledger/inclusion?id={one.id}"):
        answer = await service.client.get(path)
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/not-signed-yet")
    assert (await service.client.get(f"/v1/ledger/inclusion?id={uuid4()}")).status_code == 404


async def test_the_ledger_says_how_it_stands(service: Service, key: PrivateKey):
    told = (await service.client.get("/v1/ledger")).json()
    assert told == dict.fromkeys(("origin", "signed", "witnessed", "oldest_uncovered_at", "problem")) | {"leaves": 0}
    await append(service, 3)
    await sign(service, key)
    await append(service, 1)
    told = (await service.client.get("/v1/ledger")).json()
    assert (told["origin"], told["leaves"], told["signed"]["size"]) == (ORIGIN, 4, 3)


async def test_sm2_signs_as_well(service: Service):
    key = new_key(ORIGIN, KeyKind.SM2)
    (one,) = await append(service, 1)
    await sign(service, key)
    assert await Reader(service, key).verify(one) == 0


async def test_there_is_one_leaf_for_each_id(service: Service):
    one, other = leaf(), leaf()
    same = leaf(one.id)
    async with service.parts.store.transaction() as transaction:
        assert await ledger.append(transaction.connection, [one, same, other]) == {one.id: 0, other.id: 1}
        assert await ledger.append(transaction.connection, [one]) == {}
        assert await ledger.append(transaction.connection, []) == {}


async def test_a_signer_whose_lease_another_one_took_signs_no_more(service: Service):
    async with service.parts.pool.acquire() as connection:
        epoch = await signer_lease.take(connection, "a", predecessors=None)
        assert epoch is not None
        assert await signer_lease.take(connection, "b", predecessors=None) is None
        assert await signer_lease.take(connection, "a", predecessors=None) == epoch
        async with connection.transaction():
            await signer_lease.hold(connection, "a", epoch)
        await connection.execute("UPDATE ledger_signer SET expires_at = now() - interval '1 s'")
        assert await signer_lease.take(connection, "b", predecessors=None) == epoch + 1
        for owner in ("a", "b"):
            with pytest.raises(LeaseLostError):
                await signer_lease.hold(connection, owner, epoch)
        await signer_lease.release(connection, "b")
        assert await signer_lease.take(connection, "a", predecessors=None) == epoch + 2


async def test_a_process_that_comes_back_under_its_name_signs_at_once(service: Service):
    async with service.parts.pool.acquire() as connection:
        await signer_lease.take(connection, "data-exchange/1", predecessors="data-exchange/")
        assert await signer_lease.take(connection, "data-exchange/2", predecessors="data-exchange/") is not None
        assert await signer_lease.take(connection, "other/3", predecessors="other/") is None


@pytest.fixture
async def tampering(superuser: str):
    """Runs statements as an administrator for whom no trigger holds."""
    connection = await asyncpg.connect(superuser)
    for table in ("leaf", "tile", "checkpoint", "cosignature"):
        await connection.execute(f"ALTER TABLE ledger.{table} DISABLE TRIGGER ALL")
    yield connection
    await connection.close()


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        ("UPDATE ledger.leaf SET data = sha256(data) WHERE index = 299", "do not have the root"),
        ("UPDATE ledger.tile SET root = sha256(root)", "do not have the root"),
        ("DELETE FROM ledger.leaf WHERE index = 299", "not complete"),
        ("DELETE FROM ledger.tile", "not complete"),
        ("UPDATE ledger.checkpoint SET note = replace(note, '300', '299')", "not ours"),
        ("UPDATE ledger.checkpoint SET size = 299", "not what its row says"),
        ("UPDATE ledger.leaf SET data = 'x' WHERE index = 300", "something else than its row says"),
        ("UPDATE ledger.leaf SET index = 302 WHERE index = 301", "leaf 301 is missing"),
    ],
)
async def test_what_contradicts_itself_is_never_signed(
    service: Service, key: PrivateKey, tampering, edit: str, why: str
):
    await append(service, 300)
    await sign(service, key)
    await append(service, 2)
    await tampering.execute(edit)
    with pytest.raises(LedgerBroken, match=why):
        await sign(service, key)
    assert await service.count("ledger.checkpoint") == 1


async def test_tables_that_went_back_are_not_signed_again_by_whoever_remembers(
    service: Service, key: PrivateKey, tampering
):
    await append(service, 3)
    first = await sign(service, key)
    await append(service, 3)
    remembered = await sign(service, key)
    assert first is not None
    assert remembered is not None
    await tampering.execute("DELETE FROM ledger.checkpoint WHERE size = 6; DELETE FROM ledger.leaf WHERE index > 2")
    async with service.parts.store.transaction() as transaction:
        head = await read_head(transaction.connection, key, known=remembered)
        assert head.size == 3
        with pytest.raises(LedgerBroken, match="went back from size 6 to 3"):
            await require_continuation(transaction.connection, head, remembered)
    await append(service, 4)
    async with service.parts.store.transaction() as transaction:
        head = await sign_next(transaction, head, key, at=datetime.now(UTC), source="data-exchange") or head
        with pytest.raises(LedgerBroken, match="does not go on from that of size 6"):
            await require_continuation(transaction.connection, head, remembered)
