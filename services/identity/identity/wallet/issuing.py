"""Documents into the wallet: what is new, what is told again, and what takes an earlier one's place."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from yijian_common.crypto import DataKey, Keyring
from yijian_common.database import Connection
from yijian_contracts.events import DocumentIssued
from yijian_contracts.identifiers import make_licence_identifier, parse_licence_identifier

from identity.wallet.holders import Holder


@dataclass(frozen=True, slots=True)
class Issued:
    """A document on its way into its holder's wallet; `id` is derived, the same whenever it is told."""

    id: UUID
    event: DocumentIssued
    holder: Holder


@dataclass(slots=True)
class _Kept:
    """A document of the wallet as far as a newer one of its kind must know it."""

    id: UUID
    number: str
    version: int
    issued_at: datetime
    expires_at: datetime | None
    is_out_of_force: bool
    replaced_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _New:
    """A row to insert, beside its event."""

    issued: Issued
    version: int
    identifier: str
    replaced_at: datetime | None


_INSERT = """
INSERT INTO document (id, holder_id, application_id, department, matter, kind, name, version, identifier_index, sealed,
    issued_at, expires_at, replaced_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::smallint[],
    $9::bytea[], $10::bytea[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[])
ON CONFLICT (id) DO NOTHING
"""
_REPLACE = """
UPDATE document SET replaced_at = given.at FROM unnest($1::uuid[], $2::timestamptz[]) AS given(id, at)
WHERE document.id = given.id AND document.replaced_at IS NULL
"""
_OF_KINDS = """
SELECT document.id, document.holder_id, document.kind, version, sealed, issued_at, expires_at, replaced_at,
    (lost_at IS NOT NULL OR revoked_at IS NOT NULL OR replaced_at IS NOT NULL) AS out_of_force
FROM document JOIN unnest($1::uuid[], $2::text[]) AS wanted(holder_id, kind) USING (holder_id, kind)
"""


async def store_documents(held: Connection, issued: Sequence[Issued], *, keyring: Keyring) -> None:
    """Store each document once. Of one holder and kind the latest is in force; those before it are cancelled (注销).

    The same number with the same term, told again while it is in force, is the document that is there already: an
    application that only proves it. Anything else is a reissue, and its identifier says so by the version.
    """
    if not issued:
        return
    kept = await _kept(held, issued)
    new: list[_New] = []
    replaced: dict[UUID, datetime] = {}
    for each in sorted(issued, key=lambda one: one.event.issued_at):
        siblings = kept[each.holder.id, each.event.kind]
        if not _is_there(each, siblings):
            new.append(_take_its_place(each, siblings, replaced))
    if new:
        await held.execute(_INSERT, *map(list, zip(*(_row(one, keyring) for one in new), strict=True)))
    if replaced:
        await held.execute(_REPLACE, list(replaced), list(replaced.values()))


async def _kept(held: Connection, issued: Sequence[Issued]) -> dict[tuple[UUID, str], list[_Kept]]:
    keys = {each.holder.id: each.holder.data_key for each in issued}
    wanted = {(each.holder.id, each.event.kind) for each in issued}
    rows = await held.fetch(_OF_KINDS, [holder for holder, _ in wanted], [kind for _, kind in wanted])
    kept: dict[tuple[UUID, str], list[_Kept]] = defaultdict(list)
    for row in rows:
        kept[row["holder_id"], row["kind"]].append(_read_kept(row, keys[row["holder_id"]]))
    return kept


def _read_kept(row: asyncpg.Record, data_key: DataKey) -> _Kept:
    return _Kept(
        id=row["id"],
        number=open_document(data_key, row["id"], row["sealed"])["number"],
        version=row["version"],
        issued_at=row["issued_at"],
        expires_at=row["expires_at"],
        is_out_of_force=row["out_of_force"],
        replaced_at=row["replaced_at"],
    )


def _is_there(each: Issued, siblings: Sequence[_Kept]) -> bool:
    event = each.event
    return any(
        kept.id == each.id
        or (kept.number == event.personal.number and kept.expires_at == event.expires_at and not kept.is_out_of_force)
        for kept in siblings
    )


def _take_its_place(each: Issued, siblings: list[_Kept], replaced: dict[UUID, datetime]) -> _New:
    """The new document among those of its kind; one that was issued before the latest comes late and is cancelled."""
    event = each.event
    later = [kept.issued_at for kept in siblings if kept.issued_at > event.issued_at]
    version = 1 + max((kept.version for kept in siblings if kept.issued_at <= event.issued_at), default=0)
    for kept in siblings:
        if kept.issued_at <= event.issued_at and kept.replaced_at is None:
            kept.is_out_of_force, kept.replaced_at = True, event.issued_at
            replaced[kept.id] = event.issued_at
    replaced_at = min(later, default=None)
    siblings.append(
        _Kept(
            id=each.id,
            number=event.personal.number,
            version=version,
            issued_at=event.issued_at,
            expires_at=event.expires_at,
            is_out_of_force=replaced_at is not None,
            replaced_at=replaced_at,
        )
    )
    identifier = event.identifier if version == 1 else reissued(event.identifier, version)
    return _New(each, version, identifier, replaced_at)


def reissued(identifier: str, version: int) -> str:
    """The identifier with this version (GB/T 36904: it grows with each reissue)."""
    parts = parse_licence_identifier(identifier)
    return make_licence_identifier(parts.licence_type, parts.issuer, parts.serial, version=version)


def _row(new: _New, keyring: Keyring) -> tuple[Any, ...]:
    identity, event, holder = new.issued.id, new.issued.event, new.issued.holder
    return (
        identity,
        holder.id,
        event.application_id,
        event.department,
        event.matter,
        event.kind,
        event.name,
        new.version,
        identifier_index(keyring, new.identifier),
        seal_document(holder.data_key, identity, number=event.personal.number, identifier=new.identifier),
        event.issued_at,
        event.expires_at,
        new.replaced_at,
    )


def identifier_index(keyring: Keyring, identifier: str) -> bytes:
    return keyring.blind_index("licence identifier", identifier)


_encoder = json.JSONEncoder(ensure_ascii=False)


def seal_document(data_key: DataKey, document_id: UUID, *, number: str, identifier: str) -> bytes:
    details = _encoder.encode({"number": number, "identifier": identifier})
    return data_key.seal(details.encode(), document_context(document_id))


def open_document(data_key: DataKey, document_id: UUID, sealed: bytes) -> dict[str, str]:
    """`number` and `identifier`."""
    details: dict[str, str] = json.loads(data_key.open(sealed, document_context(document_id)))
    return details


def document_context(document_id: UUID) -> bytes:
    return b"document:" + document_id.bytes
