"""What a verifier opens without an account: a plain page, or the same as JSON for a program that asks for it."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from yijian_common.errors import TooManyRequests

from identity import browser
from identity.parameters import form_body, parse_form
from identity.provider import Provider
from identity.wallet import views
from identity.wallet.documents import STATUS_NAMES, DocumentStatus
from identity.wallet.errors import PresentationEnded
from identity.wallet.identifiers import look_up
from identity.wallet.presenting import open_presentation
from identity.wallet.schemas import IdentifierOut, ShownOut

routes = APIRouter(tags=["verification"])

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
LONGEST = 200


def _either(model: type[BaseModel]) -> dict[int | str, dict[str, object]]:
    """Two ways to say the same, for the API's description."""
    return {200: {"model": model, "content": {"text/html": {"schema": {"type": "string"}}}}}


@routes.get("/v/{token}", response_model=None, responses=_either(ShownOut))
async def verify_presentation(token: str, request: Request, provider: Provider) -> Response:
    """Whether the shown document is valid now, and the fields that its owner chose; each opening counts."""
    try:
        async with provider.store.transaction() as transaction:
            seen = await open_presentation(transaction, provider, token[:LONGEST])
    except PresentationEnded:
        if wants_json(request):
            raise
        return _page("presentation_ended.html", status=404)
    if wants_json(request):
        return _json(views.shown(seen))
    return _page("presentation.html", shown=seen, status_name=STATUS_NAMES[seen.status])


@routes.get("/verify", response_model=None)
async def ask_for_identifier() -> Response:
    """A page on which anyone may type an identifier."""
    return _page("identifier.html", identifier="", message=None, status_name=None, valid=False)


_FORM = form_body({"identifier": "电子证照标识码 (GB/T 36904)"}, "identifier")


@routes.post("/verify", response_model=None, responses=_either(IdentifierOut), openapi_extra=_FORM)
async def verify_identifier(request: Request, provider: Provider) -> Response:
    """Whether there is a document with this identifier, and its status; never whose."""
    identifier = (await parse_form(request)).get("identifier", "").strip()[:LONGEST]
    source = request.client.host if request.client else "unknown"
    try:
        found = await look_up(provider, identifier, source=source)
    except TooManyRequests as refusal:
        if wants_json(request):
            raise
        page = _page(
            "identifier.html", status=429, identifier="", message=refusal.detail, status_name=None, valid=False
        )
        page.headers.update(refusal.headers)
        return page
    valid = found is DocumentStatus.VALID
    status_name = None if found is None else STATUS_NAMES[found]
    if wants_json(request):
        return _json(IdentifierOut(exists=found is not None, valid=valid, status=found, status_name=status_name))
    message = None if found is not None else "没有查到这个标识码对应的证照。请核对后再试。"
    return _page("identifier.html", identifier=identifier, message=message, status_name=status_name, valid=valid)


def wants_json(request: Request) -> bool:
    """Whether a program asks; a browser names text/html."""
    accepted = request.headers.get("accept", "")
    return "application/json" in accepted and "text/html" not in accepted


def _json(body: BaseModel) -> Response:
    return JSONResponse(body.model_dump(mode="json"), headers=_HEADERS)


def _page(template: str, *, status: int = 200, **values: Any) -> Response:
    response = browser.page(template, status=status, **values)
    response.headers["Vary"] = "Accept"
    return response
