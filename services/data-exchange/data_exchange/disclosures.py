"""How a disclosure is kept: its details and its leaf's salt, sealed under the data key of its case."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from yijian_common.crypto import DataKey
from yijian_common.database import Connection
from yijian_contracts.events import DataDisclosed, DocumentShown
from yijian_ledger.canonical import canonical_json


class DisclosureKind(StrEnum):
    """A department received fields for a matter, or an owner showed a document from the wallet."""

    DATA_DISCLOSED = "DATA_DISCLOSED"
    DOCUMENT_SHOWN = "DOCUMENT_SHOWN"


OWNER = "OWNER"
"""The role of everyone who may see a document that was shown: all of its fields are theirs to see."""


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What an event says was disclosed. `details` is what the leaf commits to: every part of it but who the people are.

    `people` are roles of the case with the reference of who plays them.
    """

    id: UUID
    case_id: UUID
    disclosed_at: datetime
    details: dict[str, Any]
    people: tuple[tuple[str, str], ...]


def of_data_disclosed(event: DataDisclosed) -> Disclosure:
    details = {
        "v": 1,
        "kind": DisclosureKind.DATA_DISCLOSED.value,
        "id": str(event.task_id),
        "case": str(event.application_id),
        **event.model_dump(mode="json", exclude={"application_id", "task_id", "people"}),
    }
    people = tuple((person.role, person.ref) for person in event.people)
    return Disclosure(event.task_id, event.application_id, event.disclosed_at, details, people)


def of_document_shown(event: DocumentShown) -> Disclosure:
    """A document that was shown is a case of its own."""
    details = {
        "v": 1,
        "kind": DisclosureKind.DOCUMENT_SHOWN.value,
        "id": str(event.disclosure_id),
        "case": str(event.disclosure_id),
        "document": {"kind": event.kind, "name": event.name},
        "recipient": event.recipient,
        "purpose": event.purpose,
        "guardians": [OWNER],
        "parts": [event.part.model_dump(mode="json")],
        "disclosed_at": event.model_dump(mode="json", include={"shown_at"})["shown_at"],
    }
    people = tuple((OWNER, ref) for ref in event.people)
    return Disclosure(event.disclosure_id, event.disclosure_id, event.shown_at, details, people)


def seal(disclosure: Disclosure, *, salt: bytes, data_key: DataKey) -> bytes:
    kept = canonical_json({"details": disclosure.details, "salt": salt.hex()})
    return data_key.seal(kept, _context(disclosure.id))


@dataclass(frozen=True, slots=True)
class Opened:
    """What a disclosure's leaf was made of."""

    details: dict[str, Any]
    salt: bytes


def open_sealed(sealed: bytes, *, disclosure_id: UUID, data_key: DataKey) -> Opened:
    """Raises `UnsealError`."""
    kept = json.loads(data_key.open(sealed, _context(disclosure_id)))
    return Opened(kept["details"], bytes.fromhex(kept["salt"]))


def _context(disclosure_id: UUID) -> bytes:
    return b"disclosure:" + disclosure_id.bytes


async def store_new(
    connection: Connection, disclosures: Iterable[Disclosure], sealed: Mapping[UUID, bytes]
) -> frozenset[UUID]:
    """Store those that are not there yet; returns which these were."""
    wanted = [disclosure for disclosure in disclosures if disclosure.id in sealed]
    rows = await connection.fetch(
        """
        INSERT INTO disclosure (id, case_id, disclosed_at, sealed)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::bytea[])
        ON CONFLICT DO NOTHING RETURNING id
        """,
        [disclosure.id for disclosure in wanted],
        [disclosure.case_id for disclosure in wanted],
        [disclosure.disclosed_at for disclosure in wanted],
        [sealed[disclosure.id] for disclosure in wanted],
    )
    return frozenset(row["id"] for row in rows)
