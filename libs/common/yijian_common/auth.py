"""Who calls: access tokens verified in memory, and the FastAPI dependencies that ask for a kind of caller.

An app that uses the dependencies sets `app.state.tokens` to its `TokenVerifier`, which is also a background component:
it keeps the issuer's keys fresh. With the issuer down, the last key set stored goes on working.
"""

import asyncio
import contextlib
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Protocol, TypeVar

import httpx
import structlog
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from yijian_contracts import strict_json

from yijian_common.ended_sessions import EndedSessions
from yijian_common.errors import Forbidden, Unauthenticated
from yijian_common.key_sets import FileKeySetStore, KeySetStore, PostgresKeySetStore
from yijian_common.tokens import (
    Authorisation,
    Kind,
    Post,
    Principal,
    RealNameLevel,
    TokenRefusedError,
    UnknownKeyError,
    VerificationKey,
    read_key_set,
    verify,
    verify_authorisation,
)

__all__ = [
    "Authorisation",
    "FileKeySetStore",
    "KeySetStore",
    "Kind",
    "Post",
    "PostgresKeySetStore",
    "Principal",
    "RealNameLevel",
    "TokenVerifier",
    "require_citizen",
    "require_level",
    "require_official",
    "require_principal",
    "require_service",
]

log = structlog.get_logger(__name__)

REFRESH_SECONDS = 600
FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 30.0
REFETCH_AT_MOST_EVERY_SECONDS = 60
FETCH_SECONDS = 5
LARGEST_DOCUMENT_BYTES = 65_536
TOKENS_KEPT = 10_000


Said = TypeVar("Said")


class TokenVerifier:
    """Verifies access tokens for one audience; verified ones are remembered (by hash) until they expire.

    With `ended`, tokens of sessions that ended are refused, remembered or not; it runs as a component of its own.
    """

    name = "identity-keys"

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        http: httpx.AsyncClient,
        store: KeySetStore,
        ended: EndedSessions | None = None,
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._http = http
        self._store = store
        self._ended = ended
        self._keys: Mapping[str, VerificationKey] = {}
        self._verified: OrderedDict[bytes, Principal] = OrderedDict()
        self._refetched_at = -float(REFETCH_AT_MOST_EVERY_SECONDS)
        self._refetching = asyncio.Lock()
        self._problem: str | None = "no identity keys have been loaded yet"

    async def load_stored_keys(self) -> None:
        """Begin with the last key set stored; call once before serving. A damaged document counts as none."""
        document = await self._store.load()
        if document is not None:
            with contextlib.suppress(ValueError):
                self._use(read_key_set(document))

    async def run(self, stopping: asyncio.Event) -> None:
        """Fetch the keys now and every ten minutes; on failure retry sooner, with the old keys in use meanwhile."""
        retry = FIRST_RETRY_SECONDS
        while not stopping.is_set():
            fetched = await self._fetch()
            pause = REFRESH_SECONDS if fetched else retry
            retry = FIRST_RETRY_SECONDS if fetched else min(retry * 2, LONGEST_RETRY_SECONDS)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause)

    def problem(self) -> str | None:
        return self._problem

    async def verify(self, token: str) -> Principal:
        """Whom `token` speaks for. Raises `Unauthenticated`, or 401 as well when no key is known for it."""
        now = time.time()
        digest = hashlib.sha256(token.encode()).digest()
        known = self._verified.get(digest)
        if known is not None and now < known.expires_at:
            self._verified.move_to_end(digest)
            return self._not_ended(known)
        try:
            principal = await self._verify_new(verify, token, now)
        except TokenRefusedError as error:
            raise _refused(str(error)) from None
        self._verified[digest] = principal
        while len(self._verified) > TOKENS_KEPT:
            self._verified.popitem(last=False)
        return self._not_ended(principal)

    def _not_ended(self, principal: Principal) -> Principal:
        """Asked each time: a token that was good a moment ago is void when its session has ended since."""
        if self._ended is not None and self._ended.refuses(principal):
            raise _refused("its session has ended")
        return principal

    async def verify_authorisation(self, token: str) -> Authorisation:
        """What an authorisation for our audience says. Raises `TokenRefusedError`.

        Not remembered: each is used once.
        """
        return await self._verify_new(verify_authorisation, token, time.time())

    async def _verify_new(self, read: Callable[..., Said], token: str, now: float) -> Said:
        try:
            return read(token, keys=self._keys, issuer=self._issuer, audience=self._audience, now=now)
        except UnknownKeyError:
            await self._refetch()
            return read(token, keys=self._keys, issuer=self._issuer, audience=self._audience, now=now)

    async def _refetch(self) -> None:
        """A token with an unknown key makes us ask the issuer, at most once a minute whoever sends such tokens."""
        async with self._refetching:
            now = time.monotonic()
            if now - self._refetched_at >= REFETCH_AT_MOST_EVERY_SECONDS:
                self._refetched_at = now
                await self._fetch()

    async def _fetch(self) -> bool:
        try:
            document = await self._download()
            keys = read_key_set(document)
            if not keys:
                raise ValueError("the key set is empty")  # noqa: TRY301 - one way to fail for all the reasons
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            log.warning("identity keys not fetched", error=type(error).__name__)
            if not self._keys:
                self._problem = "the identity provider's keys cannot be fetched and none are stored"
            return False
        self._use(keys)
        await self._keep(document)
        return True

    async def _keep(self, document: bytes) -> None:
        try:
            await self._store.save(document)
        except Exception as error:  # noqa: BLE001 - the keys are in use all the same; the next fetch stores them
            log.warning("identity keys not stored", error=type(error).__name__)

    def _use(self, keys: Mapping[str, VerificationKey]) -> None:
        if any(kid not in keys for kid in self._keys):
            self._verified.clear()  # a withdrawn key takes its tokens with it
        self._keys = keys
        self._problem = None

    async def _download(self) -> bytes:
        discovery = strict_json.parse(await self._get(f"{self._issuer}/.well-known/openid-configuration"))
        if discovery["issuer"] != self._issuer:
            raise ValueError("the discovery document is another issuer's")
        return await self._get(discovery["jwks_uri"])

    async def _get(self, url: str) -> bytes:
        response = await self._http.get(url, timeout=FETCH_SECONDS)
        response.raise_for_status()
        if len(response.content) > LARGEST_DOCUMENT_BYTES:
            raise ValueError("the document is too large")
        return response.content


def _refused(reason: str) -> Unauthenticated:
    log.info("token refused", reason=reason)
    return Unauthenticated("登录已失效，请重新登录", token_error=True)


class Tokens(Protocol):
    """What the dependencies need of `app.state.tokens`."""

    async def verify(self, token: str) -> Principal: ...


_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="An access token for this service (RFC 9068)")
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
Dependency = Callable[..., Awaitable[Principal]]

# They call each other: had FastAPI to solve one dependency behind the other, it would take longer than the handler.


async def require_principal(request: Request, credentials: _Credentials) -> Principal:
    """Anyone with a valid token. 401 otherwise."""
    if credentials is None:
        raise Unauthenticated
    tokens: Tokens = request.app.state.tokens
    return await tokens.verify(credentials.credentials)


async def require_citizen(request: Request, credentials: _Credentials) -> Principal:
    """A citizen. 403 for anyone else."""
    principal = await require_principal(request, credentials)
    if principal.kind is not Kind.CITIZEN:
        raise Forbidden("这项操作只能由本人办理")
    return principal


def require_level(level: RealNameLevel) -> Dependency:
    """A citizen whose real name is confirmed at least to `level`."""

    async def require(request: Request, credentials: _Credentials) -> Principal:
        principal = await require_citizen(request, credentials)
        if principal.real_name_level is None or principal.real_name_level < level:
            raise Forbidden(f"请先完成 {level} 级实名认证", required_level=level)
        return principal

    return require


def require_official(*, department: str | None = None, roles: frozenset[str] | None = None) -> Dependency:
    """An official, of `department` and in one of `roles` when given."""

    async def require(request: Request, credentials: _Credentials) -> Principal:
        principal = await require_principal(request, credentials)
        post = principal.post
        if principal.kind is not Kind.OFFICIAL or post is None:
            raise Forbidden("这项操作只能由工作人员办理")
        if department is not None and post.department != department:
            raise Forbidden("这项业务不属于您所在的部门")
        if roles is not None and post.role not in roles:
            raise Forbidden("您的岗位不能进行这项操作")
        return principal

    return require


def require_service(*names: str, scope: str | None = None) -> Dependency:
    """One of the services (client ids) `names`, holding `scope` when given."""

    async def require(request: Request, credentials: _Credentials) -> Principal:
        principal = await require_principal(request, credentials)
        if principal.kind not in (Kind.SERVICE, Kind.DEPARTMENT) or principal.client_id not in names:
            raise Forbidden
        if scope is not None and scope not in principal.scopes:
            raise Forbidden
        return principal

    return require
