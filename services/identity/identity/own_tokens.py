"""Tokens for identity's own API: it is the issuer, so it asks its own keys and knows which grants were called back."""

import time

from yijian_common.database import connection
from yijian_common.errors import Unauthenticated
from yijian_common.tokens import Principal, TokenRefusedError, verify

from identity.provider import OpenIdProvider
from identity.queries import has_ended


class OwnTokens:
    """`app.state.tokens` of identity, which `yijian_common.auth`'s dependencies ask.

    Invariant: a token for another service opens userinfo (that is what the scope openid is for) and nothing else here,
    so that no service can act with the tokens that it is shown.
    """

    def __init__(self, provider: OpenIdProvider) -> None:
        self._provider = provider

    async def verify(self, token: str) -> Principal:
        """Whom `token` speaks for. Raises `Unauthenticated`."""
        provider = self._provider
        audience = provider.settings.audience
        try:
            principal = verify(
                token,
                keys=provider.signer.verification_keys,
                issuer=provider.settings.issuer,
                audience=audience,
                now=time.time(),
            )
        except TokenRefusedError:
            raise Unauthenticated("登录已失效，请重新登录", token_error=True) from None
        if principal.claims["aud"] not in (audience, [audience]):
            raise Unauthenticated("登录已失效，请重新登录", token_error=True)
        async with connection(provider.pool) as held:
            if await has_ended(held, principal):
                raise Unauthenticated("登录已失效，请重新登录", token_error=True)
        return principal
