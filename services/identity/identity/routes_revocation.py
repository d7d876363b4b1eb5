"""Calling tokens back (RFC 7009), and asking whether one is good (RFC 7662)."""

import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Request, Response
from yijian_common.database import connection
from yijian_common.tokens import Principal, TokenRefusedError, verify

from identity.client_authentication import FIELDS, authenticate
from identity.clients import Client
from identity.endings import end_grant
from identity.errors import InvalidClientError, InvalidGrantError, OAuthError
from identity.parameters import form_body, parse_form
from identity.provider import OpenIdProvider, Provider
from identity.queries import has_ended
from identity.refresh import find_presented

routes = APIRouter(tags=["tokens"])

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_INACTIVE = {"active": False}
_FORM = form_body(
    {"token": "an access or refresh token", "token_type_hint": "access_token or refresh_token; not needed", **FIELDS},
    "token",
)


@routes.post("/revoke", openapi_extra=_FORM, response_model=None)
async def revoke(request: Request, provider: Provider) -> Response:
    """End the grant of a token: its refresh tokens and its access tokens, everywhere. An unknown token is no error."""
    form = await parse_form(request)
    client = await authenticate(provider, form, request.headers.get("authorization"))
    owner, grant_id = await _owner(provider, client, _token(form))
    if owner not in (None, client.id):
        raise InvalidGrantError
    if owner is not None:
        if grant_id is None:
            raise OAuthError("unsupported_token_type", "a token without a grant runs out by itself")
        await end_grant(provider, grant_id)
    return Response(headers=_NO_STORE)


@routes.post("/introspect", openapi_extra=_FORM, response_model=None)
async def introspect(request: Request, response: Response, provider: Provider) -> dict[str, Any]:
    """What a token says and whether it is good now: for whom it was made, or was given to, and for nobody else."""
    response.headers.update(_NO_STORE)
    form = await parse_form(request)
    client = await authenticate(provider, form, request.headers.get("authorization"))
    if not client.confidential:
        raise InvalidClientError
    token = _token(form)
    principal = _read(provider, client, token)
    async with connection(provider.pool) as held:
        if principal is not None:
            return _INACTIVE if await has_ended(held, principal) else _told_of_access(principal)
        found = await find_presented(held, provider.keyring, token)
    if found is None or found[0]["client_id"] != client.id:
        return _INACTIVE
    return _told_of_refresh(provider, *found)


def _token(form: Mapping[str, str]) -> str:
    if "token" not in form:
        raise OAuthError("invalid_request", "token is missing")
    return form["token"]


async def _owner(provider: OpenIdProvider, client: Client, token: str) -> tuple[str | None, UUID | None]:
    """The client that a token was given to, and its grant; nobody's when it is no token of ours."""
    async with connection(provider.pool) as held:
        found = await find_presented(held, provider.keyring, token)
    if found is not None:
        return found[0]["client_id"], found[0]["id"]
    principal = _verified(provider, client, token)
    if principal is None:
        return None, None
    grant = principal.claims.get("grant")
    return principal.client_id, None if grant is None else UUID(grant)


def _read(provider: OpenIdProvider, client: Client, token: str) -> Principal | None:
    """An access token that is for this client, or was given to it."""
    principal = _verified(provider, client, token)
    if principal is None:
        return None
    audiences = principal.claims["aud"]
    is_for = client.id in (audiences if isinstance(audiences, list) else [audiences])
    return principal if is_for or principal.client_id == client.id else None


def _verified(provider: OpenIdProvider, client: Client, token: str) -> Principal | None:
    """The principal of an access token for any of the audiences that this client has to do with."""
    for audience in dict.fromkeys((client.id, provider.settings.audience, *client.audiences)):
        try:
            return verify(
                token,
                keys=provider.signer.verification_keys,
                issuer=provider.settings.issuer,
                audience=audience,
                now=time.time(),
            )
        except TokenRefusedError:
            continue
    return None


def _told_of_access(principal: Principal) -> dict[str, Any]:
    """RFC 7662 §2.2; the token's own claims, and so no name and no number."""
    return {"active": True, "token_type": "Bearer", **principal.claims}


def _told_of_refresh(provider: OpenIdProvider, grant: asyncpg.Record, generation: int) -> dict[str, Any]:
    live = grant["revoked_at"] is None and grant["expires_at"].timestamp() > time.time()
    if not live or generation != grant["generation"]:
        return _INACTIVE
    return {
        "active": True,
        "client_id": grant["client_id"],
        "sub": str(grant["person_id"]),
        "scope": grant["scope"],
        "iss": provider.settings.issuer,
        "iat": int((grant["rotated_at"] or grant["began_at"]).timestamp()),
        "exp": int(grant["expires_at"].timestamp()),
    }
