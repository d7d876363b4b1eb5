"""Which client calls a token endpoint (RFC 6749 §2.3): by Basic, by form, or (public ones) by name alone."""

from base64 import b64decode
from collections.abc import Mapping
from urllib.parse import unquote_plus

from identity.client_secrets import is_secret
from identity.clients import Client
from identity.errors import InvalidClientError, OAuthError
from identity.provider import OpenIdProvider

FIELDS = {
    "client_id": "for public clients, and with client_secret_post",
    "client_secret": "with client_secret_post",
}


async def authenticate(provider: OpenIdProvider, form: Mapping[str, str], authorization: str | None) -> Client:
    """The client. Raises `InvalidClientError`, or `OAuthError` for what no client may send."""
    client_id, secret = form.get("client_id"), form.get("client_secret")
    if authorization is not None:
        if secret is not None:
            raise OAuthError("invalid_request", "a client authenticates in one way at a time")
        named, secret = _basic(authorization)
        if client_id not in (None, named):
            raise OAuthError("invalid_request", "client_id and the Authorization header name different clients")
        client_id = named
    client = provider.clients.get(client_id or "")
    if client is None:
        raise InvalidClientError
    if client.confidential or secret is not None:
        await _check_secret(provider, client, secret)
    return client


async def _check_secret(provider: OpenIdProvider, client: Client, secret: str | None) -> None:
    if secret is None or not client.confidential:
        raise InvalidClientError
    if not await is_secret(provider, client, secret):
        raise InvalidClientError


def _basic(authorization: str) -> tuple[str, str]:
    """RFC 6749 §2.3.1: both parts are form-encoded before they are joined."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        decoded = b64decode(encoded.strip(), validate=True).decode("utf-8")
    except ValueError:
        raise InvalidClientError from None
    name, colon, secret = decoded.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise InvalidClientError
    return unquote_plus(name), unquote_plus(secret)
