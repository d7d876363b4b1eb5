"""What an authorization request must be (RFC 6749 §4.1.1, RFC 7636, RFC 9700, OpenID Connect Core §3.1.2.1).

Pure: parameters and clients in, a checked request out. Until client and redirect address are known to belong together
nothing is sent anywhere: `UnsafeRequestError`. After that the client is told: `AuthorizationRefusedError`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from identity.clients import Client
from identity.errors import AuthorizationRefusedError, UnsafeRequestError

OFFLINE_ACCESS = "offline_access"
SCOPES = ("openid", "profile", OFFLINE_ACCESS)
_S256 = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request that may be granted."""

    client: Client
    redirect_uri: str
    scope: str
    audience: str
    code_challenge: str
    state: str | None
    nonce: str | None
    prompts: frozenset[str]
    max_age: int | None


# What makes a request refused: the test, the error code, and what the client's developer is told.
_RULES: tuple[tuple[Callable[[Mapping[str, str]], bool], str, str], ...] = (
    (lambda p: "request" in p, "request_not_supported", "request objects are not supported"),
    (lambda p: "request_uri" in p, "request_uri_not_supported", "request objects are not supported"),
    (lambda p: p.get("response_type") != "code", "unsupported_response_type", "only code is supported"),
    (lambda p: p.get("response_mode", "query") != "query", "invalid_request", "only response_mode query is supported"),
    (lambda p: p.get("code_challenge_method") != "S256", "invalid_request", "PKCE with S256 is required"),
    (lambda p: not _S256.fullmatch(p.get("code_challenge", "")), "invalid_request", "code_challenge is not of S256"),
    (lambda p: "none" in _prompts(p) and len(_prompts(p)) > 1, "invalid_request", "prompt none excludes every other"),
    (lambda p: not _SECONDS.fullmatch(p.get("max_age", "0")), "invalid_request", "max_age is a number of seconds"),
    (lambda p: len(p.get("nonce", "")) > _LONGEST, "invalid_request", "nonce is too long"),
)


def check(parameters: Mapping[str, str], clients: Mapping[str, Client]) -> AuthorizationRequest:
    """The request. Raises `UnsafeRequestError` or `AuthorizationRefusedError`."""
    client, redirect_uri = _where_to(parameters, clients)
    state = parameters.get("state")
    for is_broken, code, description in _RULES:
        if is_broken(parameters):
            raise AuthorizationRefusedError(code, description, redirect_uri=redirect_uri, state=state)
    audience = parameters.get("resource", client.audiences[0])
    if audience not in client.audiences:
        raise AuthorizationRefusedError(
            "invalid_target", "this client may not ask for this resource", redirect_uri=redirect_uri, state=state
        )
    return AuthorizationRequest(
        client=client,
        redirect_uri=redirect_uri,
        scope=granted_scope(parameters.get("scope", "")),
        audience=audience,
        code_challenge=parameters["code_challenge"],
        state=state,
        nonce=parameters.get("nonce"),
        prompts=_prompts(parameters),
        max_age=int(parameters["max_age"]) if "max_age" in parameters else None,
    )


def _prompts(parameters: Mapping[str, str]) -> frozenset[str]:
    return frozenset(parameters.get("prompt", "").split())


def granted_scope(asked: str) -> str:
    """Of what is asked, what exists; unknown scopes are ignored (OpenID Connect Core §3.1.2.1)."""
    wanted = set(asked.split())
    return " ".join(scope for scope in SCOPES if scope in wanted)


def _where_to(parameters: Mapping[str, str], clients: Mapping[str, Client]) -> tuple[Client, str]:
    client = clients.get(parameters.get("client_id", ""))
    if client is None:
        raise UnsafeRequestError("没有登记这个应用")
    redirect_uri = parameters.get("redirect_uri", "")
    if not client.may_redirect_to(redirect_uri):
        raise UnsafeRequestError("这个应用没有登记要返回的地址")
    if len(parameters.get("state", "")) > _LONGEST:
        raise UnsafeRequestError("请求中的 state 太长")
    return client, redirect_uri
