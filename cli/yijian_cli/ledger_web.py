"""Fetching from a ledger or a witness over HTTP."""

from http import HTTPStatus
from typing import Any

import httpx
from yijian_embedded.errors import PlatformError
from yijian_ledger.mirror import FetchError, NotThereError

LONGEST_BYTES = 4 * 1024 * 1024


class Web:
    """A `yijian_ledger.mirror.Fetch` over one connection that is kept."""

    def __init__(self, url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        self._client = httpx.Client(timeout=20, follow_redirects=False, transport=transport)

    def __call__(self, path: str) -> bytes:
        try:
            answer = self._client.get(self.url + path)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise FetchError(f"{self.url} does not answer ({type(error).__name__})") from None
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise NotThereError(f"{self.url} has no {path}")
        if answer.status_code != HTTPStatus.OK:
            raise FetchError(f"{self.url}{path} answers {answer.status_code}{_detail(answer)}")
        if len(answer.content) > LONGEST_BYTES:
            raise FetchError(f"{self.url}{path} is too long")
        return answer.content

    def json(self, path: str) -> Any:
        """The JSON at a path. Raises `PlatformError` with what to do."""
        try:
            answer = self._client.get(self.url + path)
            body = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise PlatformError(
                f"The ledger at {self.url} does not answer ({type(error).__name__}): is it running? `yijian status`."
            ) from None
        if answer.status_code != HTTPStatus.OK:
            detail = body.get("title") if isinstance(body, dict) else None
            raise PlatformError(f"The ledger answers {answer.status_code}: {detail or 'no reason given'}.")
        return body


def _detail(answer: httpx.Response) -> str:
    """What a refusal says of itself (RFC 9457)."""
    try:
        told = answer.json()
    except ValueError:
        return ""
    return f": {told['detail']}" if isinstance(told, dict) and isinstance(told.get("detail"), str) else ""
