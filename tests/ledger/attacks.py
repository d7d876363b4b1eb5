"""What a database superuser may try, some of them with the ledger's own key; each by lot, from a seed."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from uuid import UUID

import asyncpg
from yijian_ledger.builder import TreeBuilder
from yijian_ledger.checkpoints import Checkpoint, parse_checkpoint, sign_checkpoint
from yijian_ledger.keys import PrivateKey, new_key
from yijian_ledger.leaf import read_leaf
from yijian_ledger.notes import parse_note, parse_signatures
from yijian_ledger.tiles import WIDTH
from yijian_ledger.tree_hash import SM3

from tests.ledger.scene import ORIGIN, new_leaf


@dataclass(frozen=True)
class Attacker:
    """A superuser's session, dice, the number of witnessed leaves, and the real key for those who stole it."""

    session: asyncpg.Connection
    chance: random.Random
    size: int
    key: PrivateKey

    def some_leaf(self) -> int:
        return self.chance.randrange(self.size)

    async def data(self, index: int) -> bytes:
        found: bytes = await self.session.fetchval("SELECT data FROM ledger.leaf WHERE index = $1", index)
        return found

    async def write(self, index: int, data: bytes) -> None:
        await self.session.execute("UPDATE ledger.leaf SET data = $2 WHERE index = $1", index, data)

    async def shift(self, first: int, by: int) -> None:
        """Move the leaves from `first` on; by way of far away, for the primary key's sake."""
        far = 10**12
        await self.session.execute("UPDATE ledger.leaf SET index = index + $2 WHERE index >= $1", first, far)
        await self.session.execute("UPDATE ledger.leaf SET index = index - $1 WHERE index >= $2", far - by, far)


Attack = Callable[[Attacker], Awaitable[int | None]]
"""Does it; says which leaf the first change is in, where one leaf was changed."""


def flipped(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data) * 8)
    return data[: place // 8] + bytes([data[place // 8] ^ (1 << place % 8)]) + data[place // 8 + 1 :]


async def flip_a_leaf(a: Attacker) -> int:
    index = a.some_leaf()
    await a.write(index, flipped(await a.data(index), a.chance))
    return index


async def replace_a_leaf(a: Attacker) -> int:
    """A well-formed leaf with another commitment under the same id."""
    index = a.some_leaf()
    content = read_leaf(await a.data(index))
    await a.write(index, new_leaf(content.id).data.replace(b"a", b"b", 1))
    return index


async def delete_a_leaf(a: Attacker) -> int:
    index = a.some_leaf()
    await a.session.execute("DELETE FROM ledger.leaf WHERE index = $1", index)
    return index


async def delete_a_leaf_and_close_the_gap(a: Attacker) -> int:
    index = a.some_leaf()
    await a.session.execute("DELETE FROM ledger.leaf WHERE index = $1", index)
    await a.shift(index + 1, by=-1)
    return index


async def insert_a_leaf(a: Attacker) -> int:
    index = a.some_leaf()
    await a.shift(index, by=1)
    leaf = new_leaf(UUID(int=a.chance.getrandbits(128)))
    await a.session.execute("INSERT INTO ledger.leaf (index, id, data) VALUES ($1, $2, $3)", index, leaf.id, leaf.data)
    return index


async def swap_two_leaves(a: Attacker) -> int:
    first, second = sorted(a.chance.sample(range(a.size), 2))
    one, other = await a.data(first), await a.data(second)
    await a.session.execute("UPDATE ledger.leaf SET id = gen_random_uuid() WHERE index = ANY($1)", [first, second])
    for index, data in ((first, other), (second, one)):
        await a.session.execute(
            "UPDATE ledger.leaf SET id = $2, data = $3 WHERE index = $1", index, read_leaf(data).id, data
        )
    return first


async def point_a_leaf_elsewhere(a: Attacker) -> int:
    """Nobody would find it under its id any more."""
    index = a.some_leaf()
    await a.session.execute("UPDATE ledger.leaf SET id = gen_random_uuid() WHERE index = $1", index)
    return index


async def flip_a_tile(a: Attacker) -> int:
    tile = a.chance.randrange(a.size // WIDTH)
    hashes = await a.session.fetchval("SELECT hashes FROM ledger.tile WHERE level = 0 AND index = $1", tile)
    changed = flipped(hashes, a.chance)
    await a.session.execute("UPDATE ledger.tile SET hashes = $2 WHERE level = 0 AND index = $1", tile, changed)
    place = next(n for n in range(WIDTH) if hashes[n * 32 : n * 32 + 32] != changed[n * 32 : n * 32 + 32])
    return tile * WIDTH + place


async def flip_a_tiles_root(a: Attacker) -> None:
    tile = a.chance.randrange(a.size // WIDTH)
    await a.session.execute("UPDATE ledger.tile SET root = sha256(root) WHERE level = 0 AND index = $1", tile)


async def delete_a_tile(a: Attacker) -> None:
    """The leaves give its hashes, but the level above lacks one."""
    tile = a.chance.randrange(a.size // WIDTH)
    await a.session.execute("DELETE FROM ledger.tile WHERE level = 0 AND index = $1", tile)


async def change_a_leaf_and_its_tile(a: Attacker) -> None:
    index = a.some_leaf()
    await a.write(index, new_leaf(read_leaf(await a.data(index)).id).data.replace(b"a", b"b", 1))
    await _store_tiles(a, await _rebuilt(a))


async def truncate(a: Attacker) -> None:
    kept = a.chance.randrange(a.size)
    await a.session.execute("DELETE FROM ledger.leaf WHERE index >= $1", kept)


async def go_back_to_an_old_checkpoint(a: Attacker) -> None:
    """Everything as it was then: an old state that was really signed, perhaps with the leaves left in place."""
    sizes = await a.session.fetch("SELECT size FROM ledger.checkpoint WHERE size < $1", a.size)
    kept = a.chance.choice(sizes)["size"]
    await a.session.execute("DELETE FROM ledger.cosignature WHERE size > $1", kept)
    await a.session.execute("DELETE FROM ledger.checkpoint WHERE size > $1", kept)
    if a.chance.random() < 0.5:
        await a.session.execute("DELETE FROM ledger.leaf WHERE index >= $1", kept)
        await a.session.execute("DELETE FROM ledger.tile WHERE (index + 1) * 256 > $1", kept)


async def flip_a_checkpoint(a: Attacker) -> None:
    rows = await a.session.fetch("SELECT size, note FROM ledger.checkpoint")
    row = a.chance.choice(rows)
    text = parse_note(row["note"]).text
    place = a.chance.randrange(len(ORIGIN) + 1, len(text) - 3)
    other = "1" if text[place] != "1" else "2"
    note = text[:place] + (other if text[place] != "\n" else " ") + text[place + 1 :] + row["note"][len(text) :]
    await a.session.execute("UPDATE ledger.checkpoint SET note = $2 WHERE size = $1", row["size"], note)


async def back_date_a_cosignature(a: Attacker) -> None:
    (row,) = await a.session.fetch("SELECT size, line FROM ledger.cosignature ORDER BY size DESC LIMIT 1")
    (signature,) = parse_signatures(row["line"])
    seconds = int.from_bytes(signature.raw[:8], "big") - a.chance.randrange(1, 10**6)
    earlier = replace(signature, raw=seconds.to_bytes(8, "big") + signature.raw[8:])
    await a.session.execute("UPDATE ledger.cosignature SET line = $2 WHERE size = $1", row["size"], earlier.line)


async def rewrite_and_sign_with_another_key(a: Attacker) -> None:
    await _rewrite(a, new_key(ORIGIN))


async def rewrite_and_sign_with_the_stolen_key(a: Attacker) -> None:
    await _rewrite(a, a.key)


async def rewrite_and_grow_with_the_stolen_key(a: Attacker) -> None:
    """The rewritten history is longer than what the witness saw."""
    await _grow(a)
    await _rewrite(a, a.key)


async def grow_with_the_stolen_key(a: Attacker) -> None:
    """Leaves that nobody else is shown, behind those that the witness saw: not to be told from honest ones yet."""
    await _grow(a)
    await _sign_anew(a, a.key)


async def _grow(a: Attacker) -> None:
    for index in range(a.size, a.size + a.chance.randrange(1, 50)):
        leaf = new_leaf(UUID(int=a.chance.getrandbits(128)))
        await a.session.execute(
            "INSERT INTO ledger.leaf (index, id, data) VALUES ($1, $2, $3)", index, leaf.id, leaf.data
        )


async def swap_the_key(a: Attacker) -> None:
    """Nothing but the signatures is changed: every checkpoint again, by a key of the same name."""
    other = new_key(ORIGIN)
    for row in await a.session.fetch("SELECT size, note FROM ledger.checkpoint"):
        signed = sign_checkpoint(parse_checkpoint(parse_note(row["note"]).text), other)
        await a.session.execute("UPDATE ledger.checkpoint SET note = $2 WHERE size = $1", row["size"], str(signed))


async def pass_the_witnesss_word_to_a_fork(a: Attacker) -> None:
    """A rewritten tree, really signed, with the cosignature that the true one got."""
    lines = await a.session.fetch("SELECT size, line FROM ledger.cosignature")
    await _rewrite(a, a.key)
    for row in lines:
        await a.session.execute(
            "INSERT INTO ledger.cosignature (size, line) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            row["size"],
            row["line"],
        )


async def _rewrite(a: Attacker, key: PrivateKey) -> None:
    """Change one leaf and make everything that follows from it true again, signed by `key`."""
    index = a.some_leaf()
    await a.write(index, new_leaf(read_leaf(await a.data(index)).id).data.replace(b"a", b"b", 1))
    await _sign_anew(a, key)


async def _sign_anew(a: Attacker, key: PrivateKey) -> None:
    hashes = await _rebuilt(a)
    tree = TreeBuilder()
    tree.extend(hashes)
    await _store_tiles(a, hashes)
    await a.session.execute("DELETE FROM ledger.cosignature")
    await a.session.execute("DELETE FROM ledger.checkpoint")
    note = str(sign_checkpoint(Checkpoint(ORIGIN, tree.size, tree.root()), key))
    await a.session.execute("INSERT INTO ledger.checkpoint (size, note) VALUES ($1, $2)", tree.size, note)


async def _rebuilt(a: Attacker) -> list[bytes]:
    rows = await a.session.fetch("SELECT data FROM ledger.leaf ORDER BY index")
    return [SM3.leaf(row["data"]) for row in rows]


async def _store_tiles(a: Attacker, hashes: list[bytes]) -> None:
    await a.session.execute("DELETE FROM ledger.tile")
    tiles = TreeBuilder().extend(hashes)
    await a.session.executemany(
        "INSERT INTO ledger.tile (level, index, hashes, root) VALUES ($1, $2, $3, $4)",
        [(tile.level, tile.index, b"".join(tile.hashes), tile.root) for tile in tiles],
    )


# Those that change leaves alone: of these the leaf can be named.
ON_LEAVES: tuple[Attack, ...] = (
    flip_a_leaf,
    replace_a_leaf,
    delete_a_leaf,
    delete_a_leaf_and_close_the_gap,
    insert_a_leaf,
    swap_two_leaves,
    point_a_leaf_elsewhere,
    flip_a_tile,
)
ON_THE_WHOLE: tuple[Attack, ...] = (
    flip_a_tiles_root,
    delete_a_tile,
    change_a_leaf_and_its_tile,
    truncate,
    go_back_to_an_old_checkpoint,
    flip_a_checkpoint,
    back_date_a_cosignature,
    rewrite_and_sign_with_another_key,
    rewrite_and_sign_with_the_stolen_key,
    rewrite_and_grow_with_the_stolen_key,
    swap_the_key,
    pass_the_witnesss_word_to_a_fork,
)
ATTACKS = ON_LEAVES + ON_THE_WHOLE
