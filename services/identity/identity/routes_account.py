"""A plain page for people: where they are logged in, signing out, changing the password. It needs no application."""

from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from yijian_common.database import connection

from identity import browser
from identity.endings import end_all, end_session
from identity.errors import PasswordRefusedError
from identity.logins import Session, find_login
from identity.parameters import form_body, parse_form
from identity.provider import OpenIdProvider, Provider
from identity.sessions import change_password, open_sessions

routes = APIRouter(prefix="/account", tags=["login"])

FORM_ENDED = "页面已失效，请重新操作。"
CHANGED = "密码已修改，其他设备已退出。"
SIGNED_OUT_EVERYWHERE = "您已在所有设备上退出。"

_SIGN_OUT = form_body({"form": "the page's own token", "session": "a session's id, or all"}, "form", "session")
_PASSWORD = form_body({"form": "the page's own token", "current": "", "new": ""}, "form", "current", "new")


@routes.get("", response_model=None)
async def account(request: Request, provider: Provider) -> Response:
    """The page, for whoever is logged in in this browser."""
    return await _page(request, provider, await _session(request, provider))


@routes.post("/sign-out", openapi_extra=_SIGN_OUT, response_model=None)
async def sign_out(request: Request, provider: Provider) -> Response:
    """End one session, or all."""
    form = await parse_form(request)
    session = await _session(request, provider)
    if session is None or not browser.is_our_form(provider, request, form.get("form")):
        return await _page(request, provider, session, message=FORM_ENDED, status=403)
    if form.get("session") == "all":
        await end_all(provider, session.person.id)
        return await _page(request, provider, None, message=SIGNED_OUT_EVERYWHERE)
    try:
        await end_session(provider, session.person.id, UUID(form.get("session", "")))
    except ValueError:
        return await _page(request, provider, session, message=FORM_ENDED, status=400)
    return RedirectResponse("/account", status_code=303, headers={"Cache-Control": "no-store"})


@routes.post("/password", openapi_extra=_PASSWORD, response_model=None)
async def password(request: Request, provider: Provider) -> Response:
    """Change the password; every other session ends."""
    form = await parse_form(request)
    session = await _session(request, provider)
    if session is None or not browser.is_our_form(provider, request, form.get("form")):
        return await _page(request, provider, session, message=FORM_ENDED, status=403)
    source = request.client.host if request.client else "unknown"
    try:
        await change_password(
            provider,
            session.person,
            current=form.get("current", ""),
            new=form.get("new", ""),
            source=source,
            session=session.id,
        )
    except PasswordRefusedError as error:
        return await _page(request, provider, session, message=str(error), status=422)
    return await _page(request, provider, session, message=CHANGED)


async def _session(request: Request, provider: OpenIdProvider) -> Session | None:
    return await find_login(provider, browser.read_cookie(provider, request, browser.SESSION))


async def _page(
    request: Request,
    provider: OpenIdProvider,
    session: Session | None,
    *,
    message: str | None = None,
    status: int | None = None,
) -> Response:
    sessions = None
    if session is not None:
        async with connection(provider.pool) as held:
            sessions = await open_sessions(held, session.person.id, current=session.id, clients=provider.clients)
    browser_secret = browser.read_cookie(provider, request, browser.CSRF) or browser.new_browser_secret()
    response = browser.page(
        "account.html",
        status=status or 200,
        person_name=None if session is None else session.person.name,
        sessions=sessions,
        message=message,
        form_token=browser.form_token(provider, browser_secret),
    )
    browser.set_cookie(provider, response, browser.CSRF, browser_secret)
    return response
