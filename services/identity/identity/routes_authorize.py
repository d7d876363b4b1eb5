"""The authorization endpoint and the login page: the browser comes, a person logs in, a code goes back."""

import time

from fastapi import APIRouter, Request, Response
from yijian_common.database import connection
from yijian_common.tokens import Kind

from identity import browser
from identity.authorization import AuthorizationRequest, check
from identity.codes import issue_code
from identity.devices import device_of
from identity.errors import AuthorizationRefusedError, LoginFailedError, UnsafeRequestError
from identity.logins import Session, find_login, log_in, start_session
from identity.parameters import form_body, parse, parse_form
from identity.people import Person
from identity.provider import OpenIdProvider, Provider
from identity.queries import first_people

routes = APIRouter(tags=["login"])

UNREADABLE = "请求无法读懂"
FAILED = "账号或密码不正确，或者尝试次数过多。请核对后再试；多次失败后需等待 15 分钟。"
FORM_ENDED = "登录页面已失效，请重新填写。"
PEOPLE_OFFERED = 50

_PARAMETERS = {
    "client_id": "the client",
    "redirect_uri": "a registered address of the client",
    "response_type": "code",
    "code_challenge": "PKCE (RFC 7636)",
    "code_challenge_method": "S256",
    "scope": "openid, profile, offline_access",
    "state": "given back unchanged",
    "nonce": "repeated in the id token",
    "resource": "the audience of the access token (RFC 8707)",
    "prompt": "none or login",
    "max_age": "seconds since the last login",
}
_AUTHORIZE = {
    "parameters": [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
        for name, text in _PARAMETERS.items()
    ]
}
_LOGIN = form_body(
    {"form": "the page's own token", "request": "the authorization request", "account": "", "password": ""},
    "form",
    "request",
    "account",
    "password",
)


@routes.get("/authorize", openapi_extra=_AUTHORIZE, response_model=None)
async def authorize(request: Request, provider: Provider) -> Response:
    """Send a person who is logged in back with a code; show anyone else the login page."""
    return await _authorize(request, provider, request.url.query)


@routes.post("/authorize", openapi_extra=form_body(_PARAMETERS, "client_id"), response_model=None)
async def authorize_by_form(request: Request, provider: Provider) -> Response:
    """The same by POST (OpenID Connect Core §3.1.2.1)."""
    return await _authorize(request, provider, (await request.body()).decode("latin-1"))


@routes.post("/login", openapi_extra=_LOGIN, response_model=None)
async def login(request: Request, provider: Provider) -> Response:
    """Check the password; send the person back with a code."""
    form = await parse_form(request)
    asked = read_request(provider, form.get("request", ""))
    if not browser.is_our_form(provider, request, form.get("form")):
        return await login_page(request, provider, asked, query=form.get("request", ""), message=FORM_ENDED, status=403)
    source = request.client.host if request.client else "unknown"
    try:
        person = await log_in(
            provider, account=form.get("account", ""), password=form.get("password", ""), source=source
        )
    except LoginFailedError:
        return await login_page(request, provider, asked, query=form["request"], message=FAILED, status=401)
    return await enter(request, provider, asked, person)


async def _authorize(request: Request, provider: OpenIdProvider, query: str) -> Response:
    asked = read_request(provider, query)
    session = await find_login(provider, browser.read_cookie(provider, request, browser.SESSION))
    if session is not None and not _must_log_in_again(asked, session):
        return await send_code(provider, asked, session)
    if "none" in asked.prompts:
        raise AuthorizationRefusedError(
            "login_required", "nobody is logged in", redirect_uri=asked.redirect_uri, state=asked.state
        )
    return await login_page(request, provider, asked, query=query)


def _must_log_in_again(asked: AuthorizationRequest, session: Session) -> bool:
    too_old = asked.max_age is not None and time.time() - session.auth_time.timestamp() > asked.max_age
    return too_old or "login" in asked.prompts


def read_request(provider: OpenIdProvider, query: str) -> AuthorizationRequest:
    """The checked request of a query string. Raises `UnsafeRequestError` or `AuthorizationRefusedError`."""
    try:
        parameters = parse(query)
    except ValueError:
        raise UnsafeRequestError(UNREADABLE) from None
    return check(parameters, provider.clients)


async def enter(request: Request, provider: OpenIdProvider, asked: AuthorizationRequest, person: Person) -> Response:
    """Begin a session for `person` and send them back."""
    device = device_of(request.headers.get("user-agent", ""))
    token, session = await start_session(provider, person, device=device)
    response = await send_code(provider, asked, session)
    browser.set_cookie(provider, response, browser.SESSION, token)
    return response


async def send_code(provider: OpenIdProvider, asked: AuthorizationRequest, session: Session) -> Response:
    code = await issue_code(provider, asked, session)
    answer = {"code": code, "state": asked.state, "iss": provider.settings.issuer}
    return browser.send_back(asked.redirect_uri, answer)


async def login_page(
    request: Request,
    provider: OpenIdProvider,
    asked: AuthorizationRequest,
    *,
    query: str,
    message: str | None = None,
    status: int = 200,
) -> Response:
    """The page, with a form that only this browser can send."""
    browser_secret = browser.read_cookie(provider, request, browser.CSRF) or browser.new_browser_secret()
    response = browser.page(
        "login.html",
        status=status,
        form_targets=(browser.origin_of(asked.redirect_uri),),
        client_name=asked.client.name,
        form_token=browser.form_token(provider, browser_secret),
        request_query=query,
        message=message,
        development_people=await _people_offered(provider),
    )
    browser.set_cookie(provider, response, browser.CSRF, browser_secret)
    return response


async def _people_offered(provider: OpenIdProvider) -> list[Person]:
    """Outside production: some fictitious people to log in as."""
    if provider.settings.in_production:
        return []
    async with connection(provider.pool) as held:
        officials = await first_people(held, Kind.OFFICIAL, PEOPLE_OFFERED, keyring=provider.keyring)
        citizens = await first_people(held, Kind.CITIZEN, PEOPLE_OFFERED, keyring=provider.keyring)
    return [*citizens, *officials]


async def answer_unsafe_request(_: Request, error: Exception) -> Response:
    return browser.page("refused.html", status=400, reason=str(error))


async def answer_refused_request(request: Request, error: Exception) -> Response:
    if not isinstance(error, AuthorizationRefusedError):
        raise error
    provider: OpenIdProvider = request.app.state.provider
    told = {
        "error": error.code,
        "error_description": error.description,
        "state": error.state,
        "iss": provider.settings.issuer,
    }
    return browser.send_back(error.redirect_uri, told)
