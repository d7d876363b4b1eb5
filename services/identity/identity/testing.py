"""For tests: someone with a browser at identity's pages, and the client they came from."""

import re
import subprocess
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636 appendix B
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CALLBACK = "http://127.0.0.1:45678/callback"


@dataclass(frozen=True)
class Running:
    """`python -m identity` on a port of its own."""

    url: str
    process: subprocess.Popen[str]


@dataclass
class Browser:
    """Someone with a browser of their own, and what a client does around it."""

    http: httpx.AsyncClient
    asked: dict[str, str] = field(
        default_factory=lambda: {
            "client_id": "yijian-app",
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "scope": "openid profile",
            "state": "the state",
            "nonce": "the nonce",
        }
    )

    async def authorize(self, **changes: str | None) -> httpx.Response:
        """Open the authorization address with these parameters changed (None leaves one out)."""
        asked = {name: value for name, value in {**self.asked, **changes}.items() if value is not None}
        return await self.http.get("/authorize", params=asked)

    async def log_in(
        self,
        account: str = "mother-0001",
        password: str = "correct horse",  # noqa: S107 - a fictitious one
        **changes: str | None,
    ) -> httpx.Response:
        page = await self.authorize(**changes)
        return await self.send(page, account=account, password=password)

    async def send(self, page: httpx.Response, **fields: str) -> httpx.Response:
        """Fill in and send the page's form."""
        return await self.http.post("/login", data={**hidden_fields(page), **fields})

    async def redeem(
        self, code: str | None, *, auth: tuple[str, str] | None = None, **changes: str | None
    ) -> httpx.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "client_id": "yijian-app",
            "code_verifier": VERIFIER,
            **changes,
        }
        data = {name: value for name, value in form.items() if value is not None}
        return await self.http.post("/token", data=data, auth=auth or httpx.USE_CLIENT_DEFAULT)

    async def code(self) -> str:
        return answered(await self.log_in())["code"]

    async def tokens(self) -> dict[str, Any]:
        tokens: dict[str, Any] = (await self.redeem(await self.code())).json()
        return tokens


def hidden_fields(page: httpx.Response) -> dict[str, str]:
    first_form = page.text.partition("</form>")[0]
    fields = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', first_form)
    return {name: unescape(value) for name, value in fields}


def answered(response: httpx.Response) -> dict[str, str]:
    """What the client was sent back with."""
    if response.status_code != httpx.codes.SEE_OTHER:
        raise AssertionError(f"no redirect but {response.status_code}: {response.text}")
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["Location"]).query).items()}
