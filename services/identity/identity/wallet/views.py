"""How the wallet's contents look over HTTP: names in Chinese, numbers masked unless somebody opens one document."""

from datetime import datetime

from yijian_common.masking import mask_document_number, mask_id_no, mask_name
from yijian_contracts.departments import get_department

from identity.wallet.documents import STATUS_NAMES, Document
from identity.wallet.holders import HolderKind
from identity.wallet.presenting import Shown
from identity.wallet.queries import Relation, Viewer
from identity.wallet.schemas import DocumentOut, IssuedOut, RelationOut, ShownOut


def relation(known: Relation, now: datetime) -> RelationOut:
    return RelationOut(
        other="CHILD" if known.is_child else "PARENT",
        role=known.role,
        id_no=known.id_no,
        name=known.name,
        registered_at=known.registered_at,
        guardianship=known.is_guarded(now),
        guardianship_until=known.guarded_until,
    )


def document(known: Document, viewer: Viewer, now: datetime, *, complete: bool = False) -> DocumentOut:
    status = known.status(now)
    return DocumentOut(
        id=known.id,
        kind=known.kind,
        name=known.name,
        department=known.department,
        department_name=get_department(known.department).name,
        matter=known.matter,
        holder_kind=known.holder_kind,
        holder=_holder(known, viewer),
        role=known.role,
        number=known.number if complete else mask_document_number(known.number),
        identifier=known.identifier,
        version=known.version,
        status=status,
        status_name=STATUS_NAMES[status],
        issued_at=known.issued_at,
        expires_at=known.expires_at,
        lost_at=known.lost_at,
        revoked_at=known.revoked_at,
        reason=known.reason,
        application_id=known.application_id,
    )


def _holder(known: Document, viewer: Viewer) -> str:
    if known.role is None:
        return mask_name(viewer.person.name)
    if known.holder_kind is HolderKind.FAMILY:
        return "家庭"
    return mask_id_no(known.holder_id_no) if known.holder_id_no else "新生儿"


def issued(known: Document, now: datetime) -> IssuedOut:
    return IssuedOut(
        id=known.id,
        kind=known.kind,
        name=known.name,
        department=known.department,
        matter=known.matter,
        identifier=known.identifier,
        version=known.version,
        status=known.status(now),
        issued_at=known.issued_at,
        expires_at=known.expires_at,
        revoked_at=known.revoked_at,
        reason=known.reason,
    )


def shown(seen: Shown) -> ShownOut:
    return ShownOut(
        valid=seen.is_valid,
        status=seen.status,
        status_name=STATUS_NAMES[seen.status],
        name=seen.name,
        issuer=seen.issuer,
        identifier=seen.identifier,
        holder=seen.holder,
        fields=dict(seen.fields),
        purpose=seen.purpose,
        recipient=seen.recipient,
        at=seen.at,
    )
