"""Somebody with an account, at whichever service: a token for each, and what the services answer."""

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
from yijian_embedded.errors import PlatformError
from yijian_embedded.platform import Platform

from yijian_cli.approval_api import TIMEOUT_S, Tokens, refusal, unreachable

PATIENCE_S = 30.0
POLL_S = 0.2


class Person:
    """A resident or an official of this machine's platform. Every refusal is a `PlatformError`."""

    def __init__(self, platform: Platform, account: str) -> None:
        self.account = account
        self._platform = platform
        self._tokens: dict[str, Tokens] = {}
        self._http = httpx.Client(timeout=TIMEOUT_S, trust_env=False)

    def get(self, service: str, path: str, *, audience: str | None = None) -> Any:
        return self._call(service, "GET", path, audience)

    def post(self, service: str, path: str, body: object, *, audience: str | None = None) -> Any:
        """Creates or decides something, once, however often it has to be sent."""
        return self._call(service, "POST", path, audience, json=body, headers={"Idempotency-Key": str(uuid4())})

    def _call(self, service: str, method: str, path: str, audience: str | None, **request: Any) -> Any:
        base = self._platform.url(service)
        token = self._token(audience or service)
        headers = {"Authorization": f"Bearer {token}", **request.pop("headers", {})}
        try:
            answer = self._http.request(method, base + path, headers=headers, **request)
        except httpx.TransportError as error:
            raise unreachable(service, base, error) from None
        if answer.is_error:
            raise refusal(answer)
        return answer.json()

    def _token(self, audience: str) -> str:
        if audience not in self._tokens:
            identity = self._platform.url("identity")
            self._tokens[audience] = Tokens(identity=identity, account=self.account, audience=audience)
        return self._tokens[audience].current()


def wait_for(what: str, look: Callable[[], Any]) -> Any:
    """What `look` returns as soon as it is something. Raises `PlatformError` when it stays nothing."""
    patient_until = time.monotonic() + PATIENCE_S
    while not (found := look()):
        if time.monotonic() > patient_until:
            raise PlatformError(
                f"{what} did not come within {PATIENCE_S:.0f} s: `yijian status` and the logs say more."
            )
        time.sleep(POLL_S)
    return found
