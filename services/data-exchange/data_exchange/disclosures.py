"""How a disclosure is kept: its details, its portions and their salts, sealed under the data key of its case.

What each person may see differs within one disclosure, so its fields stand in portions by their basis and whom
they concern (`yijian_ledger.portions`): each is shown, or destroyed, alone, and the leaf goes on verifying.
"""

import json
from binascii import hexlify
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter
from yijian_common.crypto import DataKey
from yijian_common.database import Connection
from yijian_contracts.events import DataDisclosed, DisclosedPart, DocumentShown
from yijian_ledger.canonical import Written
from yijian_ledger.portions import Portion

from data_exchange.packing import pack, unpack


class DisclosureKind(StrEnum):
    """A department received fields for a matter, or an owner showed a document from the wallet."""

    DATA_DISCLOSED = "DATA_DISCLOSED"
    DOCUMENT_SHOWN = "DOCUMENT_SHOWN"


OWNER = "OWNER"
"""The role of everyone who may see a document that was shown: all of its fields are theirs to see."""


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What an event says was disclosed: to whom and why in `head`, and the fields by the roles that they concern.

    `people` are roles of the case with the reference of who plays them; they are no part of what the leaf commits to.
    """

    id: UUID
    case_id: UUID
    disclosed_at: datetime
    head: dict[str, Any]
    contents: tuple[Written, ...]
    people: tuple[tuple[str, str], ...]


def of_data_disclosed(event: DataDisclosed) -> Disclosure:
    head = {
        "v": 1,
        "kind": DisclosureKind.DATA_DISCLOSED.value,
        "id": str(event.task_id),
        "case": str(event.application_id),
        **event.model_dump(mode="json", exclude={"application_id", "task_id", "people", "parts"}),
    }
    contents = _contents(event.parts)
    people = tuple((person.role, person.ref) for person in event.people)
    return Disclosure(event.task_id, event.application_id, event.disclosed_at, head, contents, people)


def of_document_shown(event: DocumentShown) -> Disclosure:
    """A document that was shown is a case of its own, and everyone named may see all of it."""
    head = {
        "v": 1,
        "kind": DisclosureKind.DOCUMENT_SHOWN.value,
        "id": str(event.disclosure_id),
        "case": str(event.disclosure_id),
        "document": {"kind": event.kind, "name": event.name},
        "recipient": event.recipient,
        "purpose": event.purpose,
        "guardians": [],
        "disclosed_at": event.model_dump(mode="json", include={"shown_at"})["shown_at"],
    }
    contents = _contents((event.part.model_copy(update={"concerns": (OWNER,)}),))
    people = tuple((OWNER, ref) for ref in event.people)
    return Disclosure(event.disclosure_id, event.disclosure_id, event.shown_at, head, contents, people)


_PARTS: Final = TypeAdapter(tuple[DisclosedPart, ...])


_known: Final[dict[int, tuple[tuple[DisclosedPart, ...], tuple[Written, ...]]]] = {}
_MOST_KNOWN: Final = 1024


def _contents(parts: tuple[DisclosedPart, ...]) -> tuple[Written, ...]:
    """The portions that parts make: each `{"basis": {…}, "concerns": [role…], "fields": [{name, source, title}…]}`.

    Parts that say the same are read as the same object (`DataDisclosed`), so they are known by it.
    """
    known = _known.get(id(parts))
    if known is None or known[0] is not parts:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        written = tuple(Written.of(part) for part in json.loads(_PARTS.dump_json(parts)))
        known = _known[id(parts)] = (parts, written)
    return known[1]


@dataclass(frozen=True, slots=True)
class Opened:
    """What a disclosure's leaf was made of: the details with the digest of every portion, and the portions kept."""

    details: Written
    salt: bytes
    portions: tuple[Portion, ...]


def seal(opened: Opened, *, disclosure_id: UUID, data_key: DataKey) -> bytes:
    """JSON, put together from texts that are there already, and packed: a fifth of it is left to be kept."""
    portions = [
        b'{"content":%b,"salt":"%b"}' % (portion.content.text, hexlify(portion.salt)) for portion in opened.portions
    ]
    kept = b'{"details":%b,"portions":[%b],"salt":"%b"}' % (
        opened.details.text,
        b",".join(portions),
        hexlify(opened.salt),
    )
    return data_key.seal(pack(kept), _context(disclosure_id))


def open_sealed(sealed: bytes, *, disclosure_id: UUID, data_key: DataKey) -> Opened:
    """Raises `UnsealError`."""
    kept = json.loads(unpack(data_key.open(sealed, _context(disclosure_id))))
    portions = tuple(
        Portion(Written.of(portion["content"]), bytes.fromhex(portion["salt"])) for portion in kept["portions"]
    )
    return Opened(Written.of(kept["details"]), bytes.fromhex(kept["salt"]), portions)


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
