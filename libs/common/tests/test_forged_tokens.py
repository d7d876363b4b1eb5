"""No forged token is anybody's, and none makes us fetch, wait or fail otherwise than by refusing it."""

import httpx
import pytest
from yijian_common.auth import TokenVerifier
from yijian_common.errors import Unauthenticated
from yijian_common.forged_tokens import forged_tokens
from yijian_common.testing import InMemoryKeySetStore, Issuer
from yijian_common.tokens import TokenRefusedError

AUDIENCE = "approval"
ISSUER = Issuer("http://identity.test")
CLAIMS = ISSUER.claims(AUDIENCE)
FORGED = forged_tokens(ISSUER, CLAIMS)


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


@pytest.mark.parametrize("name", FORGED)
async def test_it_is_refused(verified: Verified, name: str) -> None:
    with pytest.raises(Unauthenticated):
        await verified.verifier.verify(FORGED[name])


@pytest.mark.parametrize("name", [name for name in FORGED if "authorisation" not in name])
async def test_it_authorises_nobody_either(verified: Verified, name: str) -> None:
    with pytest.raises(TokenRefusedError):
        await verified.verifier.verify_authorisation(FORGED[name])


async def test_the_good_one_is_accepted(verified: Verified) -> None:
    assert (await verified.verifier.verify(ISSUER.sign(CLAIMS))).subject == CLAIMS["sub"]
    assert len(FORGED) > 100


async def test_all_of_them_make_us_ask_identity_once(verified: Verified) -> None:
    for token in FORGED.values():
        with pytest.raises(Unauthenticated):
            await verified.verifier.verify(token)
    assert verified.fetched == 1
