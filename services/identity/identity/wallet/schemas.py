"""HTTP bodies of the wallet. Instants are RFC 3339 in UTC; texts for residents are Chinese."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from identity.wallet.documents import DocumentStatus
from identity.wallet.holders import HolderKind, Role
from identity.wallet.looks import Looker
from identity.wallet.presenting import ShownField

MOST_OPENS = 10


def _plain(text: str) -> str:
    if not text.isprintable():
        raise ValueError("不能有换行或控制字符")
    return text.strip()


Words = Annotated[str, AfterValidator(_plain)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RelationOut(_Body):
    """A registered child of mine, or a parent (`role` is the parent's). Guardianship ends at eighteen."""

    other: str = Field(description="CHILD or PARENT")
    role: Role
    id_no: str
    name: str | None
    registered_at: datetime
    guardianship: bool
    guardianship_until: date


class DocumentOut(_Body):
    """A document of the caller (`role` null), of a child or of the family; the number is masked."""

    id: UUID
    kind: str
    name: str
    department: str
    department_name: str
    matter: str
    holder_kind: HolderKind
    holder: str
    role: Role | None
    number: str
    identifier: str
    version: int
    status: DocumentStatus
    status_name: str
    issued_at: datetime
    expires_at: datetime | None
    lost_at: datetime | None
    revoked_at: datetime | None
    reason: str | None
    application_id: UUID


class DocumentPage(_Body):
    """One page, newest first; `next` is the cursor of the following one."""

    items: list[DocumentOut]
    next: UUID | None


class LookOut(_Body):
    """Somebody saw the complete document, or was shown the named fields of it."""

    at: datetime
    by: Looker
    who: str
    purpose: str
    fields: list[str]


class PresentationRequest(_Body):
    """Who is to see which fields, and what for. A link opens `opens` times, within five minutes."""

    recipient: Words = Field(default="", max_length=100)
    purpose: Words = Field(min_length=1, max_length=200)
    fields: list[ShownField] = Field(default_factory=list, max_length=len(ShownField))
    opens: int = Field(default=3, ge=1, le=MOST_OPENS)


class PresentationOut(_Body):
    """A link and the same as a QR code (SVG)."""

    id: UUID
    link: str
    qr_svg: str
    expires_at: datetime
    opens: int


class RevocationRequest(_Body):
    """Why; the owner reads it."""

    reason: Words = Field(min_length=2, max_length=300)


class IssuedOut(_Body):
    """A document as the office that issued it sees it: nothing about its holder."""

    id: UUID
    kind: str
    name: str
    department: str
    matter: str
    identifier: str
    version: int
    status: DocumentStatus
    issued_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    reason: str | None


class ShownOut(_Body):
    """What a verifier is told through a link."""

    valid: bool
    status: DocumentStatus
    status_name: str
    name: str
    issuer: str
    identifier: str
    holder: str
    fields: dict[str, str]
    purpose: str
    recipient: str
    at: datetime


class IdentifierOut(_Body):
    """What anyone is told of an identifier: that there is such a document, and its status."""

    exists: bool
    valid: bool
    status: DocumentStatus | None
    status_name: str | None
