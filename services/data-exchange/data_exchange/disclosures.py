"""How a disclosure is kept: its details, its portions and their salts, sealed under the data key of its case.

What each person may see differs within one disclosure, so its fields stand in portions by their basis and whom
they concern (`yijian_ledger.portions`): each is shown, or destroyed, alone, and the leaf goes on verifying.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final
from uuid import UUID

import msgspec
from pydantic import TypeAdapter
from yijian_common.crypto import DataKey
from yijian_common.database import Connection
from yijian_contracts.events import DataDisclosed, DisclosedPart, DocumentShown
from yijian_ledger.canonical import Written
from yijian_ledger.leaf import new_salt
from yijian_ledger.portions import PORTIONS, Portion, in_portions

from data_exchange.packing import pack, unpack


class DisclosureKind(StrEnum):
    """A department received fields for a matter, or an owner showed a document from the wallet."""

    DATA_DISCLOSED = "DATA_DISCLOSED"
    DOCUMENT_SHOWN = "DOCUMENT_SHOWN"


OWNER = "OWNER"
"""The role of everyone who may see a document that was shown: all of its fields are theirs to see."""


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What an event says was disclosed: to whom and why in `shared`, and the fields by the roles that they concern.

    `shared` and `contents` are what thousands of disclosures say in the same words. `people` are roles of the case with
    the reference of who plays them; they are no part of what the leaf commits to.
    """

    id: UUID
    case_id: UUID
    disclosed_at: datetime
    shared: Written
    contents: tuple[Written, ...]
    people: tuple[tuple[str, str], ...]


def of_data_disclosed(event: DataDisclosed) -> Disclosure:
    shared = _shared(event.life_event, event.department, event.matter, event.child, event.purpose, event.guardians)
    people = tuple((person.role, person.ref) for person in event.people)
    contents = _contents(event.parts)
    return Disclosure(event.task_id, event.application_id, event.disclosed_at, shared, contents, people)


@lru_cache(maxsize=1024)
def _shared(
    life_event: str, department: str, matter: str, child: int | None, purpose: str, guardians: tuple[str, ...]
) -> Written:
    return Written.of(
        {
            "v": 1,
            "kind": DisclosureKind.DATA_DISCLOSED.value,
            "life_event": life_event,
            "department": department,
            "matter": matter,
            "child": child,
            "purpose": purpose,
            "guardians": list(guardians),
        }
    )


def of_document_shown(event: DocumentShown) -> Disclosure:
    """A document that was shown is a case of its own, and everyone named may see all of it."""
    shared = {
        "v": 1,
        "kind": DisclosureKind.DOCUMENT_SHOWN.value,
        "document": {"kind": event.kind, "name": event.name},
        "recipient": event.recipient,
        "purpose": event.purpose,
        "guardians": [],
    }
    people = tuple((OWNER, ref) for ref in event.people)
    contents = _contents((event.part.model_copy(update={"concerns": (OWNER,)}),))
    return Disclosure(event.disclosure_id, event.disclosure_id, event.shown_at, Written.of(shared), contents, people)


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
    """What a disclosure's leaf was made of: the details with the digest of every portion, and the portions kept.

    `shared` is that part of the details which other disclosures say in the same words.
    """

    details: Written
    salt: bytes
    portions: tuple[Portion, ...]
    shared: Written


def write_out(disclosure: Disclosure) -> Opened:
    """The disclosure as its leaf commits to it, under salts of its own."""
    head = {**disclosure.shared.value, **_own(disclosure.id, disclosure.case_id, _instant(disclosure.disclosed_at))}
    details, portions = in_portions(head, disclosure.contents)
    return Opened(details, new_salt(), portions, disclosure.shared)


def _own(disclosure_id: UUID, case_id: UUID, disclosed_at: str) -> dict[str, str]:
    """What the details say of this disclosure alone."""
    return {"id": str(disclosure_id), "case": str(case_id), "disclosed_at": disclosed_at}


def _instant(at: datetime) -> str:
    """As events write it."""
    return at.isoformat().replace("+00:00", "Z")


class _Kept(msgspec.Struct, array_like=True):
    """What is sealed. Texts that thousands share are packed once for all of them; what is random stays as it is."""

    case_id: UUID
    disclosed_at: str
    shared: bytes
    salt: bytes
    digests: list[bytes]
    portions: list[tuple[bytes, bytes]]
    """The salt and the packed content of each that is kept."""


_IN_PIECES: Final = b"\0"
"""Stands before a `_Kept`. What was sealed before there were any is one packed text, which begins with its list."""
_encoder: Final = msgspec.msgpack.Encoder(uuid_format="bytes")
_decoder: Final = msgspec.msgpack.Decoder(_Kept)
_packed: Final = lru_cache(maxsize=1024)(pack)


def seal(opened: Opened, *, disclosure_id: UUID, data_key: DataKey) -> bytes:
    """The disclosure as it is stored."""
    details = opened.details.value
    kept = _Kept(
        case_id=UUID(details["case"]),
        disclosed_at=details["disclosed_at"],
        shared=_packed(opened.shared.text),
        salt=opened.salt,
        digests=[bytes.fromhex(digest) for digest in details[PORTIONS]],
        portions=[(portion.salt, _packed(portion.content.text)) for portion in opened.portions],
    )
    return data_key.seal(_IN_PIECES + _encoder.encode(kept), _context(disclosure_id))


def open_sealed(sealed: bytes, *, disclosure_id: UUID, data_key: DataKey) -> Opened:
    """Raises `UnsealError`."""
    return read_kept(data_key.open(sealed, _context(disclosure_id)), disclosure_id)


def read_kept(plain: bytes, disclosure_id: UUID) -> Opened:
    """What stands in a seal, whenever it was made."""
    if not plain.startswith(_IN_PIECES):
        return _read_text(unpack(plain))
    kept = _decoder.decode(plain[len(_IN_PIECES) :])
    shared = _read_packed(kept.shared)
    own = _own(disclosure_id, kept.case_id, kept.disclosed_at)
    details = {**shared.value, **own, PORTIONS: [digest.hex() for digest in kept.digests]}
    portions = tuple(Portion(_read_packed(content), salt) for salt, content in kept.portions)
    return Opened(Written.of(details), kept.salt, portions, shared)


def _read_packed(packed: bytes) -> Written:
    text = unpack(packed)
    return Written(json.loads(text), text)


def _read_text(text: bytes) -> Opened:
    kept = json.loads(text)
    details = kept["details"]
    shared = {name: value for name, value in details.items() if name not in ("id", "case", "disclosed_at", PORTIONS)}
    portions = tuple(
        Portion(Written.of(portion["content"]), bytes.fromhex(portion["salt"])) for portion in kept["portions"]
    )
    return Opened(Written.of(details), bytes.fromhex(kept["salt"]), portions, Written.of(shared))


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
