"""A document as the wallet knows it: what its status is now, and until when parents stand in for a child."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
from yijian_common.crypto import DataKey, Keyring
from yijian_contracts.identifiers import InvalidIdentifierError, parse_citizen_id

from identity.wallet.holders import HolderKind, Role, open_id_no
from identity.wallet.issuing import document_context, open_document

SHANGHAI = ZoneInfo("Asia/Shanghai")
OF_AGE = 18
"""民法典 第十七条: whoever is eighteen is an adult."""


class DocumentStatus(StrEnum):
    """GB/T 36904's states; computed, never stored. CANCELLED (注销) is what a reissue took the place of."""

    VALID = "VALID"
    EXPIRED = "EXPIRED"
    LOST = "LOST"
    CANCELLED = "CANCELLED"
    REVOKED = "REVOKED"


STATUS_NAMES = {
    DocumentStatus.VALID: "有效",
    DocumentStatus.EXPIRED: "过期",
    DocumentStatus.LOST: "挂失",
    DocumentStatus.CANCELLED: "注销",
    DocumentStatus.REVOKED: "撤销",
}

COLUMNS = (
    "document.id, document.holder_id, holder.kind AS holder_kind, holder.data_key, holder.sealed AS holder_sealed,"
    " holder.created_at AS holder_since, document.application_id, document.department, document.matter, document.kind,"
    " document.name, document.version, document.sealed, document.issued_at, document.expires_at, document.replaced_at,"
    " document.lost_at, document.revoked_at, document.revocation"
)
"""What `read_document` needs; beside it a `role`, which is null for the holder."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document, opened. `role` is the viewer's towards the holder: None for their own. Never logged."""

    id: UUID
    holder_id: UUID
    holder_kind: HolderKind
    holder_id_no: str | None
    holder_since: datetime
    data_key: DataKey
    role: Role | None
    application_id: UUID
    department: str
    matter: str
    kind: str
    name: str
    version: int
    number: str
    identifier: str
    issued_at: datetime
    expires_at: datetime | None
    replaced_at: datetime | None
    lost_at: datetime | None
    revoked_at: datetime | None
    reason: str | None

    def status(self, now: datetime) -> DocumentStatus:
        """The gravest of what holds."""
        if self.revoked_at is not None:
            return DocumentStatus.REVOKED
        if self.replaced_at is not None:
            return DocumentStatus.CANCELLED
        if self.lost_at is not None:
            return DocumentStatus.LOST
        if self.expires_at is not None and now >= self.expires_at:
            return DocumentStatus.EXPIRED
        return DocumentStatus.VALID

    def is_guarded(self, now: datetime) -> bool:
        """Whether parents stand in for the holder: a family's always, a child's until it comes of age."""
        if self.holder_kind is HolderKind.FAMILY:
            return True
        return now.astimezone(SHANGHAI).date() < comes_of_age(self.holder_id_no, self.holder_since)

    def is_open_to_viewer(self, now: datetime) -> bool:
        return self.role is None or self.is_guarded(now)


def read_document(row: asyncpg.Record, keyring: Keyring) -> Document:
    """A row of `COLUMNS` and `role`, opened."""
    data_key = keyring.unwrap(row["data_key"])
    details = open_document(data_key, row["id"], row["sealed"])
    revocation = row["revocation"]
    return Document(
        id=row["id"],
        holder_id=row["holder_id"],
        holder_kind=HolderKind(row["holder_kind"]),
        holder_id_no=open_id_no(data_key, row["holder_id"], row["holder_sealed"]),
        holder_since=row["holder_since"],
        data_key=data_key,
        role=None if row["role"] is None else Role(row["role"]),
        application_id=row["application_id"],
        department=row["department"],
        matter=row["matter"],
        kind=row["kind"],
        name=row["name"],
        version=row["version"],
        number=details["number"],
        identifier=details["identifier"],
        issued_at=row["issued_at"],
        expires_at=row["expires_at"],
        replaced_at=row["replaced_at"],
        lost_at=row["lost_at"],
        revoked_at=row["revoked_at"],
        reason=None if revocation is None else data_key.open(revocation, document_context(row["id"])).decode(),
    )


def comes_of_age(id_no: str | None, known_since: datetime) -> date:
    """The day on which a child becomes an adult. A newborn without a number was born before it became known."""
    try:
        born = parse_citizen_id(id_no or "").birth_date
    except InvalidIdentifierError:
        born = known_since.astimezone(SHANGHAI).date()
    try:
        return born.replace(year=born.year + OF_AGE)
    except ValueError:  # born on 29 February
        return date(born.year + OF_AGE, 3, 1)
