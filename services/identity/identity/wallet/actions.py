"""Verbs on documents: look, report lost or found, revoke. Each in the caller's open transaction."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_common.masking import mask_name
from yijian_common.tokens import Post

from identity.wallet.documents import Document, DocumentStatus
from identity.wallet.errors import NotInForce, NotYours
from identity.wallet.issuing import document_context
from identity.wallet.looks import Look, Looker, write_look
from identity.wallet.queries import Viewer, get_document, get_own_document

REVOKING_ROLE = "HEAD"
ROLE_NAMES = {"MOTHER": "母亲", "FATHER": "父亲"}


async def look_at(held: Connection, viewer: Viewer, document_id: UUID, *, keyring: Keyring) -> Document:
    """The complete document, with the look written down. Raises `DocumentNotFound`."""
    document = await get_own_document(held, viewer, document_id, keyring=keyring)
    name = mask_name(viewer.person.name)
    if document.role is None:
        look = Look(Looker.OWNER, f"本人（{name}）")
    else:
        look = Look(Looker.GUARDIAN, f"{ROLE_NAMES[document.role]}（{name}）")
    await write_look(held, look, document_id=document.id, data_key=document.data_key, person_id=viewer.person.id)
    return document


async def report_lost(held: Connection, viewer: Viewer, document_id: UUID, *, keyring: Keyring) -> Document:
    """挂失: nobody is told that it is valid until it is found. Once reported it stays so, whoever reports again."""
    document = await get_own_document(held, viewer, document_id, keyring=keyring, lock=True)
    at = datetime.now(UTC)
    match document.status(at):
        case DocumentStatus.LOST:
            return document
        case DocumentStatus.REVOKED | DocumentStatus.CANCELLED:
            raise NotInForce("证照已经撤销或注销，不需要挂失")
        case DocumentStatus.VALID | DocumentStatus.EXPIRED:
            await held.execute("UPDATE document SET lost_at = $2 WHERE id = $1", document_id, at)
            return replace(document, lost_at=at)


async def report_found(held: Connection, viewer: Viewer, document_id: UUID, *, keyring: Keyring) -> Document:
    """解除挂失. What is revoked or cancelled stays so."""
    document = await get_own_document(held, viewer, document_id, keyring=keyring, lock=True)
    await held.execute("UPDATE document SET lost_at = NULL WHERE id = $1", document_id)
    return replace(document, lost_at=None)


async def revoke(held: Connection, post: Post, document_id: UUID, *, reason: str, keyring: Keyring) -> Document:
    """撤销, by the head of the office that issued it; for good, and with a reason that the owner reads.

    Raises `DocumentNotFound`, `NotYours`; revoked again, the first reason stands.
    """
    document = await get_document(held, document_id, keyring=keyring, lock="UPDATE")
    if not may_manage(post, document) or post.role != REVOKING_ROLE:
        raise NotYours
    if document.revoked_at is not None:
        return document
    at = datetime.now(UTC)
    sealed = document.data_key.seal(reason.encode(), document_context(document_id))
    await held.execute("UPDATE document SET revoked_at = $2, revocation = $3 WHERE id = $1", document_id, at, sealed)
    return replace(document, revoked_at=at, reason=reason)


def may_manage(post: Post, document: Document) -> bool:
    """Whether a document is of this official's department and one of their matters."""
    return post.department == document.department and document.matter in post.matters
