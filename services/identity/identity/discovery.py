"""Where a client learns what this provider can do (OpenID Connect Discovery 1.0, RFC 8414), and its public keys."""

from typing import Any

from fastapi import APIRouter, Response

from identity.authorization import SCOPES
from identity.key_rotation import ALGORITHM
from identity.provider import Provider

routes = APIRouter(tags=["discovery"])
JWKS_SECONDS = 300


@routes.get("/.well-known/openid-configuration")
async def openid_configuration(provider: Provider, response: Response) -> dict[str, Any]:
    """What is not named here does not exist: no implicit or hybrid flow, no dynamic registration."""
    response.headers["Cache-Control"] = f"public, max-age={JWKS_SECONDS}"
    issuer = provider.settings.issuer
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "revocation_endpoint": f"{issuer}/revoke",
        "introspection_endpoint": f"{issuer}/introspect",
        "jwks_uri": f"{issuer}/jwks",
        "scopes_supported": SCOPES,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "claims_supported": ["sub", "name", "preferred_username", "kind", "real_name_level", "post", "auth_time"],
        "prompt_values_supported": ["none", "login"],
        "ui_locales_supported": ["zh-CN"],
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "claims_parameter_supported": False,
    }


@routes.get("/jwks")
async def jwks(provider: Provider) -> Response:
    """The public keys; a key is published before it signs and stays until its last token has ended."""
    headers = {"Cache-Control": f"public, max-age={JWKS_SECONDS}"}
    return Response(provider.signer.key_set, media_type="application/jwk-set+json", headers=headers)
