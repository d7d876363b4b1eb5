"""Every table of the ledger held against every other. In one snapshot, so that nobody writing meanwhile disturbs."""

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
from yijian_common.crypto import Keyring, UnsealError
from yijian_common.database import Connection
from yijian_contracts.events import CheckpointSigned
from yijian_contracts.topics import CHECKPOINTS
from yijian_ledger.builder import TreeBuilder
from yijian_ledger.checkpoints import open_checkpoint
from yijian_ledger.compact_range import CompactRange
from yijian_ledger.cosignatures import cosigned_at
from yijian_ledger.keys import PublicKey
from yijian_ledger.leaf import LeafContent, LeafError, LeafKind, read_leaf
from yijian_ledger.notes import NoteError, parse_note, parse_signatures
from yijian_ledger.portions import opens_with
from yijian_ledger.tree_hash import SM3

from data_exchange.disclosures import open_sealed

PAGE = 5_000
MOST_FINDINGS = 1_000


class Findings(list[str]):
    """What is not in order; the list ends somewhere when nothing is."""

    def add(self, sentence: str) -> None:
        if len(self) < MOST_FINDINGS:
            self.append(sentence)


async def check(
    connection: Connection, *, keyring: Keyring | None, log: PublicKey, witness: PublicKey | None
) -> list[str]:
    """Whatever is not in order, in sentences; without a keyring the details stay closed."""
    findings = Findings()
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        signed = await _read_checkpoints(connection, log, findings)
        hashes, kinds = await _check_leaves(connection, findings)
        _check_roots(hashes, signed, findings)
        await _check_tiles(connection, hashes[: max(signed, default=0)], findings)
        await _check_cosignatures(connection, witness, findings)
        await _check_published(connection, findings)
        await _check_disclosures(connection, kinds, keyring, findings)
    return list(findings)


async def _read_checkpoints(connection: Connection, log: PublicKey, findings: Findings) -> dict[int, bytes]:
    """The signed root at each size."""
    signed: dict[int, bytes] = {}
    async for row in _rows(connection, "SELECT size, note FROM ledger.checkpoint ORDER BY size"):
        size = row["size"]
        try:
            checkpoint, _ = open_checkpoint(row["note"], log)
        except NoteError as error:
            findings.add(f"The checkpoint of size {size} is not in order: {error}.")
            continue
        if checkpoint.size != size:
            findings.add(f"The checkpoint of size {size} is not what its row says.")
        signed[checkpoint.size] = checkpoint.root
    return signed


async def _check_leaves(connection: Connection, findings: Findings) -> tuple[list[bytes], dict[UUID, LeafContent]]:
    hashes: list[bytes] = []
    contents: dict[UUID, LeafContent] = {}
    async for row in _rows(connection, "SELECT index, id, data FROM ledger.leaf ORDER BY index"):
        place = row["index"]
        if place != len(hashes):
            findings.add(f"The leaves {len(hashes)} to {place - 1} are missing.")
        hashes.append(SM3.leaf(row["data"]))
        try:
            content = read_leaf(row["data"])
        except LeafError as error:
            findings.add(f"Leaf {place} is none: {error}.")
            continue
        if content.id != row["id"]:
            findings.add(f"Leaf {place} is about another id than its row says.")
        contents[row["id"]] = content
    return hashes, contents


def _check_roots(hashes: list[bytes], signed: dict[int, bytes], findings: Findings) -> None:
    edge = CompactRange()
    for size, root in sorted(signed.items()):
        if size > len(hashes):
            findings.add(f"Of the {size} leaves that were signed there are {len(hashes)}.")
            return
        edge.extend(hashes[edge.size : size])
        if edge.root() != root:
            findings.add(f"The first {size} leaves do not have the root that was signed.")


async def _check_tiles(connection: Connection, hashes: list[bytes], findings: Findings) -> None:
    wanted = {(tile.level, tile.index): tile for tile in TreeBuilder().extend(hashes)}
    async for row in _rows(connection, "SELECT level, index, hashes, root FROM ledger.tile ORDER BY level, index"):
        tile = wanted.pop((row["level"], row["index"]), None)
        name = f"tile {row['level']}/{row['index']}"
        if tile is None:
            findings.add(f"There is a {name} that no signed leaf is under.")
        elif (b"".join(tile.hashes), tile.root) != (row["hashes"], row["root"]):
            findings.add(f"The {name} does not follow from its leaves.")
    for level, index in sorted(wanted):
        findings.add(f"The tile {level}/{index} is missing.")


async def _check_cosignatures(connection: Connection, witness: PublicKey | None, findings: Findings) -> None:
    statement = """
        SELECT s.size, s.line, c.note FROM ledger.cosignature s JOIN ledger.checkpoint c ON c.size = s.size
        ORDER BY s.size
    """
    async for row in _rows(connection, statement):
        try:
            note = parse_note(row["note"]).with_signatures(*parse_signatures(row["line"]))
            if witness is not None:
                cosigned_at(note, witness)
        except NoteError as error:
            findings.add(f"The cosignature at size {row['size']} is not in order: {error}.")


async def _check_published(connection: Connection, findings: Findings) -> None:
    """What was said of checkpoints, as far as it is kept: each was stored, and covers exactly the leaves it adds."""
    statement = """
        SELECT o.value, c.note,
            (SELECT coalesce(max(p.size), 0) FROM ledger.checkpoint p WHERE p.size < c.size) AS before
        FROM outbox o LEFT JOIN ledger.checkpoint c
            ON c.size = (convert_from(o.value, 'UTF8')::jsonb ->> 'size')::bigint
        WHERE o.topic = $1 ORDER BY o.id
    """
    covered: dict[tuple[int, int], set[UUID]] = {}
    async for row in _rows(connection, statement, CHECKPOINTS):
        event = CheckpointSigned.model_validate_json(row["value"])
        if row["note"] != event.checkpoint:
            findings.add(f"The checkpoint of size {event.size} was published and is not stored as such.")
            continue
        covered.setdefault((row["before"], event.size), set()).update(event.covered)
    for (before, size), told in covered.items():
        rows = await connection.fetch("SELECT id FROM ledger.leaf WHERE index >= $1 AND index < $2", before, size)
        if told != {row["id"] for row in rows}:
            findings.add(f"What was published as covered at size {size} is not what stands there.")


async def _check_disclosures(
    connection: Connection, contents: dict[UUID, LeafContent], keyring: Keyring | None, findings: Findings
) -> None:
    expected = {leaf_id for leaf_id, content in contents.items() if content.kind is LeafKind.DISCLOSURE}
    statement = """
        SELECT d.id, d.disclosed_at, d.sealed, k.data_key FROM disclosure d
        LEFT JOIN case_key k ON k.case_id = d.case_id ORDER BY d.id
    """
    async for row in _rows(connection, statement):
        content = contents.get(row["id"])
        if content is None or content.kind is not LeafKind.DISCLOSURE:
            findings.add(f"The disclosure {row['id']} has no leaf.")
            continue
        expected.discard(row["id"])
        if keyring is not None and row["sealed"]:
            _check_details(row, content, keyring, findings)
    erased = await connection.fetch("SELECT DISTINCT disclosure_id FROM erased_disclosure WHERE whole")
    for leaf_id in sorted(expected - {row["disclosure_id"] for row in erased}):
        findings.add(f"What leaf {leaf_id} speaks of is neither there nor erased.")


def _check_details(row: asyncpg.Record, content: LeafContent, keyring: Keyring, findings: Findings) -> None:
    try:
        data_key = keyring.unwrap(row["data_key"] or b"")
        opened = open_sealed(row["sealed"], disclosure_id=row["id"], data_key=data_key)
    except UnsealError:
        findings.add(f"The details of {row['id']} cannot be opened.")
        return
    if not opens_with(content, opened.details.value, salt=opened.salt, portions=opened.portions):
        findings.add(f"The details of {row['id']} are not those that were written down.")


async def _rows(connection: Connection, statement: str, *values: object) -> AsyncIterator[asyncpg.Record]:
    async for row in connection.cursor(statement, *values, prefetch=PAGE):
        yield row
