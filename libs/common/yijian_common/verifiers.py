"""The token verifier of a service with a database: identity's keys are kept there, ended sessions are heard of."""

from contextlib import AsyncExitStack

import httpx

from yijian_common.auth import FETCH_SECONDS, TokenVerifier
from yijian_common.database import Pool
from yijian_common.ended_sessions import EndedSessions
from yijian_common.key_sets import PostgresKeySetStore
from yijian_common.process import StartError
from yijian_common.settings import ServiceSettings


async def open_verifier(
    settings: ServiceSettings, pool: Pool, stack: AsyncExitStack, *, ended: EndedSessions
) -> TokenVerifier:
    """A verifier that begins with the keys stored last. Raises `StartError` when nobody is named who signs tokens."""
    if settings.identity_issuer is None:
        raise StartError(f"{settings.service} needs to know who signs tokens; set YIJIAN_IDENTITY_ISSUER.")
    verifier = TokenVerifier(
        issuer=settings.identity_issuer,
        audience=settings.audience,
        http=await stack.enter_async_context(httpx.AsyncClient(timeout=FETCH_SECONDS)),
        store=PostgresKeySetStore(pool, issuer=settings.identity_issuer),
        ended=ended,
    )
    await verifier.load_stored_keys()
    return verifier
