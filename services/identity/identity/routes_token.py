"""The token endpoint (RFC 6749 §3.2) and userinfo (OpenID Connect Core §5.3)."""

import time
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from yijian_common.auth import Principal
from yijian_common.database import connection
from yijian_common.tokens import Kind, TokenRefusedError, verify

from identity.client_authentication import FIELDS, authenticate
from identity.clients import Client
from identity.codes import redeem_code
from identity.errors import OAuthError
from identity.parameters import form_body, parse_form
from identity.people import Grant, Person, access_claims, id_claims, userinfo_claims
from identity.provider import OpenIdProvider, Provider
from identity.queries import find_person, has_ended
from identity.refresh import refresh
from identity.signing import ACCESS_TOKEN_SECONDS

routes = APIRouter(tags=["tokens"])
_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT")
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class TokenAnswer(BaseModel):
    """RFC 6749 §5.1."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str = ""
    id_token: str | None = None
    refresh_token: str | None = None


_FORM = form_body(
    {
        "grant_type": "authorization_code, refresh_token or client_credentials",
        "code": "the authorization code",
        "redirect_uri": "the one of the authorization request",
        "code_verifier": "PKCE (RFC 7636)",
        **FIELDS,
        "refresh_token": "the newest one of its lineage",
        "scope": "with refresh_token: less than was granted",
        "resource": "the audience, for client_credentials (RFC 8707)",
    },
    "grant_type",
)


@routes.post("/token", openapi_extra=_FORM, response_model_exclude_none=True)
async def token(request: Request, response: Response, provider: Provider) -> TokenAnswer:
    """Redeem an authorization code, go on with a refresh token, or let a service speak for itself."""
    response.headers.update(_NO_STORE)
    form = await parse_form(request)
    client = await authenticate(provider, form, request.headers.get("authorization"))
    match form.get("grant_type"):
        case "authorization_code":
            redeemed = await redeem_code(provider, client, form)
            return _for_person(provider, redeemed.person, redeemed.grant, refresh_token=redeemed.refresh_token)
        case "refresh_token":
            refreshed = await refresh(provider, client, form)
            return _for_person(provider, refreshed.person, refreshed.grant, refresh_token=refreshed.refresh_token)
        case "client_credentials":
            return _for_itself(provider, client, form)
        case None:
            raise OAuthError("invalid_request", "grant_type is missing")
        case _:
            raise OAuthError("unsupported_grant_type", "this grant_type is not supported")


def _for_person(provider: OpenIdProvider, person: Person, grant: Grant, *, refresh_token: str | None) -> TokenAnswer:
    claims = access_claims(person, grant, userinfo=provider.settings.audience, pairwise=provider.pairwise)
    access_token = provider.signer.access_token(claims)
    with_identity = "openid" in grant.scope.split()
    return TokenAnswer(
        access_token=access_token,
        token_type="Bearer",  # noqa: S106 - RFC 6750
        expires_in=ACCESS_TOKEN_SECONDS,
        scope=grant.scope,
        id_token=provider.signer.id_token(id_claims(person, grant), access_token=access_token)
        if with_identity
        else None,
        refresh_token=refresh_token,
    )


def _for_itself(provider: OpenIdProvider, client: Client, form: Mapping[str, str]) -> TokenAnswer:
    if client.kind is None or not client.confidential:
        raise OAuthError("unauthorized_client", "this client may not use client_credentials")
    audience = form.get("resource", client.audiences[0])
    if audience not in client.audiences:
        raise OAuthError("invalid_target", "this client may not ask for this resource")
    claims = {"sub": client.id, "aud": audience, "client_id": client.id, "scope": "", "kind": client.kind}
    access_token = provider.signer.access_token(claims)
    return TokenAnswer(access_token=access_token, token_type="Bearer", expires_in=ACCESS_TOKEN_SECONDS)  # noqa: S106 - no password: the name of a scheme


def _refused_token() -> OAuthError:
    return OAuthError("invalid_token", "the access token is not valid here", status=401, challenge="Bearer")


async def _bearer_of_person(
    provider: Provider, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Principal:
    """A person whose access token has the scope openid and was not called back."""
    if credentials is None:
        raise _refused_token()
    try:
        principal = verify(
            credentials.credentials,
            keys=provider.signer.verification_keys,
            issuer=provider.settings.issuer,
            audience=provider.settings.audience,
            now=time.time(),
        )
    except TokenRefusedError:
        raise _refused_token() from None
    if principal.kind not in (Kind.CITIZEN, Kind.OFFICIAL) or "openid" not in principal.scopes:
        raise OAuthError("insufficient_scope", "the scope openid is needed", status=403, challenge="Bearer")
    return principal


@routes.get("/userinfo", response_model=None, operation_id="userinfo_get")
@routes.post("/userinfo", response_model=None, operation_id="userinfo_post")
async def userinfo(
    provider: Provider, principal: Annotated[Principal, Depends(_bearer_of_person)], response: Response
) -> dict[str, Any]:
    """Who the token's person is, as far as its scopes allow; never an identity number."""
    response.headers.update(_NO_STORE)
    async with connection(provider.pool) as held:
        if await has_ended(held, principal):
            raise _refused_token()
        person = await find_person(held, UUID(principal.subject), keyring=provider.keyring)
    if person is None:
        raise _refused_token()
    return userinfo_claims(person, principal.scopes)


async def answer_oauth_error(_: Request, error: Exception) -> Response:
    """RFC 6749 §5.2."""
    if not isinstance(error, OAuthError):
        raise error
    headers = dict(_NO_STORE)
    if error.challenge == "Bearer":
        headers["WWW-Authenticate"] = f'Bearer error="{error.code}"'
    elif error.challenge is not None:
        headers["WWW-Authenticate"] = error.challenge
    body = {"error": error.code, "error_description": error.description}
    return JSONResponse(body, status_code=error.status, headers=headers)
