"""A redirect address is the registered one, byte by byte, or there is an error page and no redirect at all."""

from urllib.parse import quote, urlencode

import pytest
from identity.clients import registry
from identity.testing import Browser

PORTAL = "https://portal.test/signed-in?from=identity"
NATIVE = "http://127.0.0.1:45678/callback"

PORTAL_VARIANTS = [
    "",
    "https://portal.test/signed-in",
    "https://portal.test/signed-in?from=identity&x=1",
    "https://portal.test/signed-in?from=identity#",
    "https://portal.test/signed-in?from=identity#code",
    "https://portal.test/signed-in?from=Identity",
    "https://portal.test/signed-in/?from=identity",
    "https://portal.test/Signed-in?from=identity",
    "https://portal.test/signed%2din?from=identity",
    "https://portal.test/x/../signed-in?from=identity",
    "https://portal.test/%2e%2e/signed-in?from=identity",
    "https://portal.test/..;/signed-in?from=identity",
    "https://portal.test//signed-in?from=identity",
    "https://portal.test:443/signed-in?from=identity",
    "https://portal.test:8443/signed-in?from=identity",
    "http://portal.test/signed-in?from=identity",
    "HTTPS://portal.test/signed-in?from=identity",
    "https://PORTAL.test/signed-in?from=identity",
    "https://portal.test./signed-in?from=identity",
    "https://portal.test.evil.example/signed-in?from=identity",
    "https://evil.example/https://portal.test/signed-in?from=identity",
    "https://evil.example@portal.test/signed-in?from=identity",
    "https://portal.test@evil.example/signed-in?from=identity",
    "https://portal.test@@evil.example/signed-in?from=identity",
    "https://evil.example\\@portal.test/signed-in?from=identity",
    "https://portal.tеst/signed-in?from=identity",  # a Cyrillic е
    "https://xn--portal-9cf.test/signed-in?from=identity",
    "//portal.test/signed-in?from=identity",
    "/signed-in?from=identity",
    "javascript:alert(1)//https://portal.test/signed-in?from=identity",
    "data:text/html,https://portal.test/signed-in?from=identity",
    " https://portal.test/signed-in?from=identity",
    "https://portal.test/signed-in?from=identity ",
    "https://portal.test/signed-in?from=identity\t",
    "https://portal.test/signed-in?from=identity\r\nSet-Cookie: a=b",
    "https://portal.test/signed-in?from=identity\x00",
    "https://portal.test/signed-in?from=identity%00",
    NATIVE,
]
NATIVE_VARIANTS = [
    "http://127.0.0.1/callback",
    "http://127.0.0.1:0/callback",
    "http://127.0.0.1:045678/callback",
    "http://127.0.0.1:65536/callback",
    "http://127.0.0.1:45678/callback/",
    "http://127.0.0.1:45678/callback?x=1",
    "http://127.0.0.1:45678/callback#x",
    "http://127.0.0.1:45678/Callback",
    "http://127.0.0.1:45678/x/../callback",
    "http://127.0.0.1:45678@evil.example/callback",
    "http://evil.example@127.0.0.1:45678/callback",
    "http://127.0.0.1:45678.evil.example/callback",
    "http://127.0.0.1.evil.example:45678/callback",
    "http://localhost:45678/callback",
    "http://127.1:45678/callback",
    "http://0x7f000001:45678/callback",
    "http://127.0.0.2:45678/callback",
    "http://127.0.0.1:４５６７８/callback",
    "https://127.0.0.1:45678/callback",
    "http://127.0.0.1:45678/callback\n",
    PORTAL,
]
VARIANTS = [("portal", uri) for uri in PORTAL_VARIANTS] + [("yijian-app", uri) for uri in NATIVE_VARIANTS]


@pytest.mark.parametrize(
    ("client", "uri"), VARIANTS, ids=[f"{client}-{place}" for place, (client, _) in enumerate(VARIANTS)]
)
def test_nothing_like_a_registered_address_is_one(client: str, uri: str) -> None:
    assert not registry(portal_redirect_uris=(PORTAL,))[client].may_redirect_to(uri)


def test_the_registered_addresses_are() -> None:
    clients = registry(portal_redirect_uris=(PORTAL,))
    assert clients["portal"].may_redirect_to(PORTAL)
    for port in (1, 8080, 65535):
        assert clients["yijian-app"].may_redirect_to(f"http://127.0.0.1:{port}/callback")


def test_services_are_sent_nowhere() -> None:
    assert not registry(portal_redirect_uris=(PORTAL,))["approval"].may_redirect_to(NATIVE)


@pytest.mark.postgres
async def test_every_variant_shows_a_page_and_redirects_nowhere(browser: Browser) -> None:
    for client, uri in VARIANTS:
        query = urlencode({**browser.asked, "client_id": client, "redirect_uri": uri})
        answer = await browser.http.get(f"/authorize?{query}")
        assert answer.status_code == 400, uri
        assert "Location" not in answer.headers
        assert "Set-Cookie" not in answer.headers
        assert "evil.example" not in answer.text


@pytest.mark.postgres
@pytest.mark.parametrize(
    "extra",
    [
        f"&redirect_uri={quote(NATIVE, safe='')}",
        "&client_id=yijian-app",
        "&client_id=portal",
        "&state=other",
        "&code_challenge_method=plain",
        "&" + "&".join(f"p{n}=1" for n in range(60)),
        "&x=%ff",
    ],
)
async def test_no_parameter_is_given_twice_or_unreadably(browser: Browser, extra: str) -> None:
    answer = await browser.http.get(f"/authorize?{urlencode(browser.asked)}{extra}")
    assert answer.status_code == 400
    assert "Location" not in answer.headers


@pytest.mark.postgres
@pytest.mark.parametrize("client", [None, "", "unknown", "approval", "YIJIAN-APP", "department.health", "'; --"])
async def test_an_unknown_client_is_sent_nowhere(browser: Browser, client: str | None) -> None:
    answer = await browser.authorize(client_id=client)
    assert answer.status_code == 400
    assert "Location" not in answer.headers
