"""What identity shows in a browser: pages that work without JavaScript, cookies, and the way back to the client.

Every page forbids framing, scripts and caching. Forms carry a token bound to a cookie of this browser (CSRF).
"""

import hmac
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from identity.provider import OpenIdProvider

SHANGHAI = ZoneInfo("Asia/Shanghai")
_pages = Environment(loader=PackageLoader("identity", "pages"), autoescape=True, undefined=StrictUndefined)
_pages.filters["local_time"] = lambda instant: f"{instant.astimezone(SHANGHAI):%Y年%m月%d日 %H:%M}"

SESSION = "yijian-session"
CSRF = "yijian-form"


def page(name: str, *, status: int = 200, form_targets: tuple[str, ...] = (), **values: Any) -> Response:
    """A page from `pages/`. `form_targets` are the origins that a form's answer may redirect to."""
    nonce = secrets.token_urlsafe(12)
    targets = " ".join(("'self'", *form_targets))
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors 'none'; form-action {targets}"
    )
    headers = {
        "Content-Security-Policy": policy,
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(_pages.get_template(name).render(nonce=nonce, **values), status_code=status, headers=headers)


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def send_back(redirect_uri: str, parameters: Mapping[str, str | None]) -> Response:
    """To the client, by 303, so that nothing of a form is sent on (RFC 9700 §4.12)."""
    given = urlencode({name: value for name, value in parameters.items() if value is not None})
    joint = "&" if "?" in redirect_uri else "?"
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return RedirectResponse(f"{redirect_uri}{joint}{given}", status_code=303, headers=headers)


def cookie_name(provider: OpenIdProvider, name: str) -> str:
    """`__Host-` binds a cookie to this host, but browsers take it over https alone."""
    return f"__Host-{name}" if provider.settings.over_https else name


def read_cookie(provider: OpenIdProvider, request: Request, name: str) -> str | None:
    return request.cookies.get(cookie_name(provider, name))


def set_cookie(provider: OpenIdProvider, response: Response, name: str, value: str) -> None:
    response.set_cookie(
        cookie_name(provider, name), value, secure=provider.settings.over_https, httponly=True, samesite="lax", path="/"
    )


def new_browser_secret() -> str:
    return secrets.token_urlsafe(24)


def form_token(provider: OpenIdProvider, browser_secret: str) -> str:
    return provider.keyring.blind_index("form", browser_secret).hex()


def is_our_form(provider: OpenIdProvider, request: Request, token: str | None) -> bool:
    """Whether a form was filled in on a page that this browser got from us."""
    browser_secret = read_cookie(provider, request, CSRF)
    if browser_secret is None or token is None:
        return False
    return hmac.compare_digest(form_token(provider, browser_secret).encode(), token.encode())
