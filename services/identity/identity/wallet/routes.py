"""HTTP in, for citizens and officials with a token for identity: one action or query each."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from yijian_common import idempotency
from yijian_common.auth import require_level, require_official
from yijian_common.database import connection, transaction
from yijian_common.errors import Forbidden
from yijian_common.idempotency import IdempotencyKey, KeyInFlight, StoredResponse
from yijian_common.tokens import Post, Principal, RealNameLevel

from identity.provider import Provider
from identity.wallet import actions, queries, views
from identity.wallet.errors import DocumentNotFound
from identity.wallet.looks import read_looks
from identity.wallet.presenting import Wish, present
from identity.wallet.schemas import (
    DocumentOut,
    DocumentPage,
    IssuedOut,
    LookOut,
    PresentationOut,
    PresentationRequest,
    RelationOut,
    RevocationRequest,
)

PAGE = 50
MOST_LOOKS = 200
LONGEST_IDENTIFIER = 120


async def _no_store(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


routes = APIRouter(prefix="/v1", tags=["wallet"], dependencies=[Depends(_no_store)])

Citizen = Annotated[Principal, Depends(require_level(RealNameLevel.L2))]
Official = Annotated[Principal, Depends(require_official())]


@routes.get("/relations")
async def list_relations(provider: Provider, citizen: Citizen) -> list[RelationOut]:
    """My children and my parents, as the register of residents has them."""
    async with connection(provider.pool) as held:
        viewer = await queries.get_viewer(held, provider, citizen)
        relations = await queries.list_relations(held, viewer, keyring=provider.keyring)
    now = datetime.now(UTC)
    return [views.relation(relation, now) for relation in relations]


@routes.get("/documents")
async def list_documents(
    provider: Provider,
    citizen: Citizen,
    before: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
) -> DocumentPage:
    """My documents and my minor children's, newest first, with masked numbers."""
    async with connection(provider.pool) as held:
        viewer = await queries.get_viewer(held, provider, citizen)
        documents, following = await queries.list_documents(
            held, viewer, keyring=provider.keyring, before=before, limit=limit
        )
    now = datetime.now(UTC)
    return DocumentPage(items=[views.document(each, viewer, now) for each in documents], next=following)


@routes.get("/documents/{document_id}")
async def get_document(document_id: UUID, provider: Provider, citizen: Citizen) -> DocumentOut:
    """The document with its complete number; that you looked is written down."""
    async with transaction(provider.pool) as held:
        viewer = await queries.get_viewer(held, provider, citizen)
        document = await actions.look_at(held, viewer, document_id, keyring=provider.keyring)
    return views.document(document, viewer, datetime.now(UTC), complete=True)


@routes.get("/documents/{document_id}/looks")
async def list_looks(document_id: UUID, provider: Provider, citizen: Citizen) -> list[LookOut]:
    """Who saw it complete and to whom it was shown, the latest first."""
    async with connection(provider.pool) as held:
        viewer = await queries.get_viewer(held, provider, citizen)
        document = await queries.get_own_document(held, viewer, document_id, keyring=provider.keyring)
        looks = await read_looks(held, document.id, data_key=document.data_key, limit=MOST_LOOKS)
    return [
        LookOut(at=at, by=look.by, who=look.who, purpose=look.purpose, fields=list(look.fields)) for at, look in looks
    ]


@routes.post("/documents/{document_id}/loss")
async def report_lost(document_id: UUID, provider: Provider, citizen: Citizen) -> DocumentOut:
    """挂失."""
    async with transaction(provider.pool) as held:
        viewer = await queries.get_viewer(held, provider, citizen)
        document = await actions.report_lost(held, viewer, document_id, keyring=provider.keyring)
    return views.document(document, viewer, datetime.now(UTC))


@routes.delete("/documents/{document_id}/loss")
async def report_found(document_id: UUID, provider: Provider, citizen: Citizen) -> DocumentOut:
    """解除挂失."""
    async with transaction(provider.pool) as held:
        viewer = await queries.get_viewer(held, provider, citizen)
        document = await actions.report_found(held, viewer, document_id, keyring=provider.keyring)
    return views.document(document, viewer, datetime.now(UTC))


@routes.post("/documents/{document_id}/presentations", status_code=201, response_model=PresentationOut)
async def present_document(
    document_id: UUID, body: PresentationRequest, provider: Provider, citizen: Citizen, key: IdempotencyKey
) -> Response:
    """A link and QR code that somebody without an account may open for five minutes."""
    keyring, scope = provider.keyring, f"presentations:{citizen.subject}"
    digest = idempotency.request_digest(keyring, "present", str(document_id), body.model_dump_json())
    wish = Wish(body.recipient, body.purpose, tuple(dict.fromkeys(body.fields)), body.opens)
    async with transaction(provider.pool) as held:
        viewer = await queries.get_viewer(held, provider, citizen)
        answer = await idempotency.find_response(held, keyring=keyring, scope=scope, key=key, request_digest=digest)
        if answer is None:
            made = await present(held, provider, viewer, document_id, wish=wish)
            out = PresentationOut(
                id=made.id, link=made.link, qr_svg=made.qr_svg, expires_at=made.expires_at, opens=wish.opens
            )
            answer = StoredResponse(201, out.model_dump_json().encode())
            earlier = await idempotency.remember(
                held,
                keyring=keyring,
                scope=scope,
                key=key,
                request_digest=digest,
                response=answer,
                about=viewer.person.id,
            )
            if earlier is not None:  # the same request was answered a moment ago: this link is taken back
                raise KeyInFlight(headers={"Retry-After": "1"})
    return Response(
        answer.body, status_code=answer.status, media_type="application/json", headers={"Cache-Control": "no-store"}
    )


@routes.get("/issued-documents/{identifier}")
async def get_issued_document(identifier: str, provider: Provider, official: Official) -> IssuedOut:
    """A document that this official's office issued, by its licence identifier; nothing about its holder."""
    async with connection(provider.pool) as held:
        document = await queries.find_by_identifier(held, identifier[:LONGEST_IDENTIFIER], keyring=provider.keyring)
    if document is None or not actions.may_manage(_post(official), document):
        raise DocumentNotFound
    return views.issued(document, datetime.now(UTC))


@routes.post("/documents/{document_id}/revocation")
async def revoke_document(
    document_id: UUID, body: RevocationRequest, provider: Provider, official: Official
) -> IssuedOut:
    """撤销, by the head of the office that issued it, for good."""
    async with transaction(provider.pool) as held:
        document = await actions.revoke(
            held, _post(official), document_id, reason=body.reason, keyring=provider.keyring
        )
    return views.issued(document, datetime.now(UTC))


def _post(official: Principal) -> Post:
    if official.post is None:
        raise Forbidden
    return official.post
