"""For tests: someone with a browser at identity's pages, and the client they came from."""

import asyncio
import json
import re
import subprocess
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from html import unescape
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx
from yijian_contracts.events import Event
from yijian_messaging.store import SHARDS

from identity.provider import OpenIdProvider

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636 appendix B
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CALLBACK = "http://127.0.0.1:45678/callback"


@dataclass(frozen=True)
class Running:
    """`python -m identity` on a port of its own."""

    url: str
    process: subprocess.Popen[str]
    log: Path
    """What it wrote to stderr."""


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

    async def code(self, **changes: str) -> str:
        return answered(await self.log_in(**changes))["code"]

    async def tokens(self, **changes: str) -> dict[str, Any]:
        tokens: dict[str, Any] = (await self.redeem(await self.code(**changes))).json()
        return tokens

    async def refresh(
        self, tokens: dict[str, Any], *, auth: tuple[str, str] | None = None, **changes: str | None
    ) -> httpx.Response:
        """Go on with the refresh token of a token answer."""
        form = {
            "grant_type": "refresh_token",
            "refresh_token": tokens["refresh_token"],
            "client_id": "yijian-app",
            **changes,
        }
        data = {name: value for name, value in form.items() if value is not None}
        return await self.http.post("/token", data=data, auth=auth or httpx.USE_CLIENT_DEFAULT)

    async def userinfo(self, tokens: dict[str, Any]) -> httpx.Response:
        return await self.http.get("/userinfo", headers=bearer(tokens["access_token"]))


async def patiently(ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """The first answer that does not tell us to come back: in a crowd too many may be waiting already."""
    answer = await ask()
    while answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        await asyncio.sleep(0.2)
        answer = await ask()
    return answer


def bearer(access_token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {access_token}"}


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, believed without a look at its signature."""
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims


AnyEvent = TypeVar("AnyEvent", bound=Event)


async def said(provider: OpenIdProvider, event: type[AnyEvent]) -> list[AnyEvent]:
    """The events of this type that wait in the outbox, the oldest first."""
    waiting = await provider.store.unsent(range(SHARDS), 1000)
    messages = [row.message for row in waiting if row.message.topic == event.TOPIC]
    return [event.model_validate_json(message.value) for message in messages]


def hidden_fields(page: httpx.Response) -> dict[str, str]:
    first_form = page.text.partition("</form>")[0]
    fields = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', first_form)
    return {name: unescape(value) for name, value in fields}


def answered(response: httpx.Response) -> dict[str, str]:
    """What the client was sent back with."""
    if response.status_code != httpx.codes.SEE_OTHER:
        raise AssertionError(f"no redirect but {response.status_code}: {response.text}")
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["Location"]).query).items()}
