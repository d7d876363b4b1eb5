"""What tokens say, and what they never say."""

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from identity.provider import OpenIdProvider
from identity.signing import load_signer
from identity.testing import Browser, answered
from joserfc import jwt
from joserfc.jwk import KeySet
from yijian_common.pairwise import proves
from yijian_common.tokens import Kind, Post, TokenRefusedError, verify

pytestmark = pytest.mark.postgres

NUMBER = "990101199202290029"


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    head, claims = (json.loads(urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    return head, claims


async def test_an_access_token_is_one_of_rfc_9068(browser: Browser, provider: OpenIdProvider) -> None:
    head, claims = parts((await browser.tokens())["access_token"])
    assert head == {"alg": "ES256", "typ": "at+jwt", "kid": provider.signer.key.kid}
    assert {"iss", "exp", "aud", "sub", "client_id", "iat", "jti", "auth_time", "scope"} <= set(claims)
    assert claims["exp"] - claims["iat"] <= 300
    assert claims["aud"] == ["approval", "identity"]
    assert (claims["kind"], claims["real_name_level"], claims["client_id"]) == ("CITIZEN", "L3", "yijian-app")


async def test_a_token_proves_the_number_and_does_not_hold_it(browser: Browser, provider: OpenIdProvider) -> None:
    tokens = await browser.tokens()
    _, claims = parts(tokens["access_token"])
    assert proves(claims["id_proof"], key=provider.pairwise["approval"], id_no=NUMBER)
    assert not proves(claims["id_proof"], key=provider.pairwise["approval"], id_no="99010119880808003X")
    for token in (tokens["access_token"], tokens["id_token"]):
        said = json.dumps(parts(token), ensure_ascii=False)
        for personal in (NUMBER, "王小明", "13812345678"):
            assert personal not in said


async def test_a_persons_subject_stays_the_same_and_says_nothing(
    new_browser: Callable[..., Browser], provider: OpenIdProvider
) -> None:
    subjects = {parts((await new_browser().tokens())["access_token"])[1]["sub"] for _ in range(2)}
    stored = await provider.pool.fetchval("SELECT id FROM people WHERE account = 'mother-0001'")
    assert subjects == {str(stored)}
    assert stored.version == 4


async def test_an_officials_token_names_the_post(browser: Browser, provider: OpenIdProvider) -> None:
    code = answered(await browser.log_in("health-0001", "battery staple", resource="department.health"))["code"]
    principal = verify(
        (await browser.redeem(code)).json()["access_token"],
        keys=provider.signer.verification_keys,
        issuer="http://identity.test",
        audience="department.health",
        now=time.time(),
    )
    assert principal.kind is Kind.OFFICIAL
    assert principal.post == Post("health", "990101000000", ("B1", "B2", "B9"), "OFFICER")


async def test_an_id_token_is_for_the_client_and_bound_to_the_request(
    browser: Browser, provider: OpenIdProvider
) -> None:
    tokens = await browser.tokens()
    keys = KeySet.import_key_set(json.loads(provider.signer.key_set))
    claims = jwt.decode(tokens["id_token"], keys, algorithms=["ES256"]).claims
    assert (claims["iss"], claims["aud"], claims["nonce"]) == ("http://identity.test", "yijian-app", "the nonce")
    digest = sha256(tokens["access_token"].encode()).digest()[:16]
    assert urlsafe_b64decode(claims["at_hash"] + "==") == digest


async def test_an_id_token_is_no_access_token(browser: Browser) -> None:
    tokens = await browser.tokens()
    response = await browser.http.get("/userinfo", headers={"Authorization": f"Bearer {tokens['id_token']}"})
    assert (response.status_code, response.json()["error"]) == (401, "invalid_token")


async def test_userinfo_says_what_the_scope_allows(browser: Browser) -> None:
    full = await browser.tokens()
    bare = (await browser.redeem(answered(await browser.authorize(scope="openid"))["code"])).json()
    by_full = await browser.http.get("/userinfo", headers={"Authorization": f"Bearer {full['access_token']}"})
    by_bare = await browser.http.post("/userinfo", headers={"Authorization": f"Bearer {bare['access_token']}"})
    assert by_full.json()["name"] == "王小明"
    assert set(by_bare.json()) == {"sub"}
    assert NUMBER not in by_full.text


@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer x", "Basic YTpi", "Bearer a.b.c"])
async def test_userinfo_needs_a_token(browser: Browser, authorization: str | None) -> None:
    response = await browser.http.get("/userinfo", headers={"Authorization": authorization} if authorization else {})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_services_token_opens_no_userinfo(browser: Browser) -> None:
    service = ("department.health", "department.health-secret-0123456789abcdef")
    form = {"grant_type": "client_credentials", "resource": "identity"}
    token = (await browser.http.post("/token", data=form, auth=service)).json()["access_token"]
    response = await browser.http.get("/userinfo", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 403


async def test_a_token_for_one_service_is_refused_by_another(browser: Browser, provider: OpenIdProvider) -> None:
    token = (await browser.tokens())["access_token"]
    with pytest.raises(TokenRefusedError, match="audience"):
        verify(
            token,
            keys=provider.signer.verification_keys,
            issuer="http://identity.test",
            audience="department.health",
            now=time.time(),
        )


async def test_the_key_set_is_public_and_nothing_more(browser: Browser, provider: OpenIdProvider) -> None:
    response = await browser.http.get("/jwks")
    [key] = response.json()["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert "max-age" in response.headers["Cache-Control"]
    assert key["kid"] == provider.signer.key.thumbprint()


async def test_the_key_survives_a_restart_sealed(provider: OpenIdProvider) -> None:
    again = await load_signer(provider.pool, provider.keyring, issuer="http://identity.test")
    assert again.key_set == provider.signer.key_set
    sealed = await provider.pool.fetchval("SELECT sealed FROM signing_keys")
    assert provider.signer.key.as_dict(private=True)["d"].encode() not in sealed


async def test_discovery_names_what_exists_and_nothing_else(browser: Browser) -> None:
    document = (await browser.http.get("/.well-known/openid-configuration")).json()
    assert document["issuer"] == "http://identity.test"
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["authorization_response_iss_parameter_supported"] is True
    assert document["grant_types_supported"] == ["authorization_code", "refresh_token", "client_credentials"]
    assert "none" not in document["introspection_endpoint_auth_methods_supported"]
    for absent in ("end_session_endpoint", "registration_endpoint", "device_authorization_endpoint"):
        assert absent not in document
    assert {name for name in document if name.endswith("_endpoint")} == {
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "revocation_endpoint",
        "introspection_endpoint",
    }
    for name in [*(name for name in document if name.endswith("_endpoint")), "jwks_uri"]:
        path = document[name].removeprefix("http://identity.test")
        assert (await browser.http.get(path)).status_code != 404
