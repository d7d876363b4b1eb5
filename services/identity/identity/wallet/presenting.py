"""Showing a document to somebody without an account: a link that lives five minutes and opens a few times.

Invariant: an opened link, the look in the owner's log and the disclosure for the ledger are one transaction, so that
nothing leaves the owner's hands unwritten.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from io import BytesIO
from uuid import UUID

import segno
from yijian_common.database import Connection
from yijian_common.errors import FieldError, Unprocessable
from yijian_common.ids import uuid7
from yijian_common.masking import mask_id_no, mask_name
from yijian_common.pairwise import id_proof
from yijian_contracts.departments import get_department
from yijian_contracts.events import Basis, DisclosedField, DisclosedPart, DocumentShown
from yijian_messaging import Transaction

from identity.events import say
from identity.provider import OpenIdProvider
from identity.wallet.documents import SHANGHAI, Document, DocumentStatus
from identity.wallet.errors import NotInForce, PresentationEnded
from identity.wallet.holders import HolderKind
from identity.wallet.looks import Look, Looker, write_look
from identity.wallet.queries import Viewer, get_document, get_own_document, guardian_numbers

LIVES_SECONDS = 300
LEDGER = "data-exchange"
SOMEBODY = "未注明的查验人"
SHOWN_BY_OWNER = Basis(kind="CONSENT", reference="持证人或其监护人主动出示")


class ShownField(StrEnum):
    """What an owner may choose to show beside type, issuer, identifier, status and the masked holder."""

    NUMBER = "number"
    HOLDER_ID_NO = "holder_id_no"
    ISSUED_ON = "issued_on"
    EXPIRES_ON = "expires_on"


TITLES = {
    ShownField.NUMBER: "证照号码",
    ShownField.HOLDER_ID_NO: "持证人公民身份号码",
    ShownField.ISSUED_ON: "签发日期",
    ShownField.EXPIRES_ON: "有效期至",
}
ALWAYS = {"identifier": "电子证照标识码", "holder": "持证人（脱敏）", "status": "证照状态"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the owner decided: who is to see which fields, and what for."""

    recipient: str
    purpose: str
    fields: tuple[ShownField, ...]
    opens: int


@dataclass(frozen=True, slots=True)
class Presentation:
    id: UUID
    link: str
    qr_svg: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Shown:
    """What the verifier sees. `fields` are the owner's choice by title, empty unless the document is valid."""

    name: str
    issuer: str
    identifier: str
    status: DocumentStatus
    holder: str
    fields: Mapping[str, str]
    purpose: str
    recipient: str
    at: datetime

    @property
    def is_valid(self) -> bool:
        return self.status is DocumentStatus.VALID

    @property
    def checked_at(self) -> str:
        """The minute of the check, on the clock of whoever reads the page."""
        return f"{self.at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"


async def present(
    held: Connection, provider: OpenIdProvider, viewer: Viewer, document_id: UUID, *, wish: Wish
) -> Presentation:
    """A fresh link for one document. Raises `DocumentNotFound`, `NotInForce`, `Unprocessable`."""
    document = await get_own_document(held, viewer, document_id, keyring=provider.keyring, lock=True)
    if document.status(datetime.now(UTC)) is not DocumentStatus.VALID:
        raise NotInForce("证照现在不是有效状态，不能出示")
    for place, field in enumerate(wish.fields):
        if _value(document, field) is None:
            raise Unprocessable(errors=[FieldError("这份证照没有这一项", pointer=f"/fields/{place}")])
    identity, token = uuid7(), secrets.token_urlsafe(32)
    details = {
        "recipient": wish.recipient,
        "purpose": wish.purpose,
        "fields": wish.fields,
        "holder": masked_holder(document, viewer),
    }
    expires_at = await held.fetchval(
        "INSERT INTO presentation (id, token_index, document_id, person_id, sealed, opens_left, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7)) RETURNING expires_at",
        identity,
        _token_index(provider, token),
        document.id,
        viewer.person.id,
        document.data_key.seal(json.dumps(details, ensure_ascii=False).encode(), presentation_context(identity)),
        wish.opens,
        LIVES_SECONDS,
    )
    link = f"{provider.settings.issuer}/v/{token}"
    return Presentation(identity, link, qr_svg(link), expires_at)


def qr_svg(link: str) -> str:
    """The link as a QR code, an SVG of its own without scripts or styles."""
    drawn = BytesIO()
    segno.make(link, error="m").save(
        drawn, kind="svg", scale=8, light="#fff", xmldecl=False, svgclass=None, lineclass=None
    )
    return drawn.getvalue().decode()


async def open_presentation(transaction: Transaction[Connection], provider: OpenIdProvider, token: str) -> Shown:
    """What a link shows, counted, logged and told to the ledger. Raises `PresentationEnded`, always the same."""
    held = transaction.connection
    row = await held.fetchrow(
        "UPDATE presentation SET opens_left = opens_left - 1"
        " WHERE token_index = $1 AND opens_left > 0 AND expires_at > now() RETURNING id, document_id, sealed",
        _token_index(provider, token),
    )
    if row is None:
        raise PresentationEnded
    # A revocation that is under way is waited for: afterwards nobody is told that the document is valid.
    document = await get_document(held, row["document_id"], keyring=provider.keyring, lock="SHARE")
    details = json.loads(document.data_key.open(row["sealed"], presentation_context(row["id"])))
    at = datetime.now(UTC)
    status = document.status(at)
    fields = tuple(ShownField(name) for name in details["fields"]) if status is DocumentStatus.VALID else ()
    shown = Shown(
        name=document.name,
        issuer=get_department(document.department).name,
        identifier=document.identifier,
        status=status,
        holder=details["holder"],
        fields={TITLES[field]: _value(document, field) or "" for field in fields},
        purpose=details["purpose"],
        recipient=details["recipient"],
        at=at,
    )
    await _write_down(transaction, provider, document, shown, fields=fields)
    return shown


async def _write_down(
    transaction: Transaction[Connection],
    provider: OpenIdProvider,
    document: Document,
    shown: Shown,
    *,
    fields: Sequence[ShownField],
) -> None:
    disclosure_id = uuid7()
    recipient = shown.recipient or SOMEBODY
    titles = {**ALWAYS, **{field.value: TITLES[field] for field in fields}}
    look = Look(Looker.RECIPIENT, recipient, shown.purpose, tuple(titles))
    held = transaction.connection
    await write_look(
        held, look, document_id=document.id, data_key=document.data_key, person_id=None, look_id=disclosure_id
    )
    event = DocumentShown(
        disclosure_id=disclosure_id,
        recipient=recipient,
        purpose=shown.purpose,
        kind=document.kind,
        name=document.name,
        people=await _people(held, provider, document),
        part=DisclosedPart(
            basis=SHOWN_BY_OWNER,
            concerns=("OWNER",),
            fields=tuple(DisclosedField(name=name, title=title, source="wallet") for name, title in titles.items()),
        ),
        shown_at=shown.at,
    )
    await say(transaction, event)


async def _people(held: Connection, provider: OpenIdProvider, document: Document) -> tuple[str, ...]:
    """Who may see this in their ledger: the holder, and the parents while they stand in for a child or own alike."""
    numbers = [] if document.holder_id_no is None else [document.holder_id_no]
    if document.is_guarded(datetime.now(UTC)):
        numbers += await guardian_numbers(held, document)
    return tuple(dict.fromkeys(id_proof(provider.pairwise[LEDGER], number) for number in numbers))


def masked_holder(document: Document, viewer: Viewer) -> str:
    """The holder as a stranger sees them: masked, and of a child not even a name."""
    if document.role is None:
        return f"{mask_name(viewer.person.name)}（{mask_id_no(document.holder_id_no or '')}）"
    if document.holder_kind is HolderKind.FAMILY:
        return f"{mask_name(viewer.person.name)}及其家庭"
    return mask_id_no(document.holder_id_no) if document.holder_id_no else "新生儿（尚未取得公民身份号码）"


def _value(document: Document, field: ShownField) -> str | None:
    match field:
        case ShownField.NUMBER:
            return document.number
        case ShownField.HOLDER_ID_NO:
            return document.holder_id_no
        case ShownField.ISSUED_ON:
            return _day(document.issued_at)
        case ShownField.EXPIRES_ON:
            return None if document.expires_at is None else _day(document.expires_at)


def _day(instant: datetime) -> str:
    return instant.astimezone(SHANGHAI).date().isoformat()


def _token_index(provider: OpenIdProvider, token: str) -> bytes:
    return provider.keyring.blind_index("presentation", token)


def presentation_context(presentation_id: UUID) -> bytes:
    return b"presentation:" + presentation_id.bytes
