"""No forged token is anybody's, and none makes us fetch, wait or fail otherwise than by refusing it."""

from typing import Any

import httpx
import pytest
from yijian_common.auth import TokenVerifier
from yijian_common.errors import Unauthenticated
from yijian_common.forged_tokens import forged_tokens
from yijian_common.testing import InMemoryKeySetStore, Issuer
from yijian_common.tokens import TokenRefusedError

AUDIENCE = "approval"
ISSUER = Issuer("http://identity.test")
# Their names only: tokens are good, and nearly good, for minutes, and a test may come much later than this.
FORGERIES = tuple(forged_tokens(ISSUER, ISSUER.claims(AUDIENCE)))


class Verified:
    """A verifier that has identity to ask, and how often it asked."""

    def __init__(self) -> None:
        self.fetched = 0
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        store = InMemoryKeySetStore(ISSUER.key_set)
        self.verifier = TokenVerifier(issuer=ISSUER.url, audience=AUDIENCE, http=http, store=store)

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert request.url.host == "identity.test", "a token decided whom we ask"
        if request.url.path != "/jwks":
            return httpx.Response(200, json={"issuer": ISSUER.url, "jwks_uri": f"{ISSUER.url}/jwks"})
        self.fetched += 1
        return httpx.Response(200, content=ISSUER.key_set)


@pytest.fixture
async def verified() -> Verified:
    made = Verified()
    await made.verifier.load_stored_keys()
    return made


@pytest.fixture
def claims() -> dict[str, Any]:
    return ISSUER.claims(AUDIENCE)


@pytest.fixture
def forged(claims: dict[str, Any]) -> dict[str, str]:
    return forged_tokens(ISSUER, claims)


@pytest.mark.parametrize("name", FORGERIES)
async def test_it_is_refused(verified: Verified, forged: dict[str, str], name: str) -> None:
    with pytest.raises(Unauthenticated):
        await verified.verifier.verify(forged[name])


@pytest.mark.parametrize("name", [name for name in FORGERIES if "authorisation" not in name])
async def test_it_authorises_nobody_either(verified: Verified, forged: dict[str, str], name: str) -> None:
    with pytest.raises(TokenRefusedError):
        await verified.verifier.verify_authorisation(forged[name])


async def test_the_good_one_is_accepted(verified: Verified, claims: dict[str, Any]) -> None:
    assert (await verified.verifier.verify(ISSUER.sign(claims))).subject == claims["sub"]
    assert len(FORGERIES) > 100


async def test_all_of_them_make_us_ask_identity_once(verified: Verified, forged: dict[str, str]) -> None:
    for token in forged.values():
        with pytest.raises(Unauthenticated):
            await verified.verifier.verify(token)
    assert verified.fetched == 1
