"""Access tokens: everything that must be refused is."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey
from yijian_common.testing import Issuer
from yijian_common.tokens import (
    Authorisation,
    Kind,
    TokenRefusedError,
    UnknownKeyError,
    read_key_set,
    verify,
    verify_authorisation,
)

AUDIENCE = "approval"


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


def read(token: str, issuer: Issuer, *, now: float | None = None) -> Any:
    return verify(
        token, keys=read_key_set(issuer.key_set), issuer=issuer.url, audience=AUDIENCE, now=now or time.time()
    )


def encoded(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_good_token_says_who_it_is(issuer: Issuer) -> None:
    principal = read(issuer.citizen(AUDIENCE, subject="p-1", id_proof="proof"), issuer)
    assert (principal.subject, principal.kind, principal.real_name_level, principal.id_proof) == (
        "p-1",
        Kind.CITIZEN,
        "L3",
        "proof",
    )


def test_an_audience_may_be_one_of_several(issuer: Issuer) -> None:
    assert read(issuer.sign({**issuer.claims(AUDIENCE), "aud": ["identity", AUDIENCE]}), issuer).kind is Kind.CITIZEN


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": "logout+jwt"},
        {"typ": None},
        {"typ": "AT+JWT "},
        {"kid": None},
        {"crit": ["exp"]},
        {"crit": ["unknown"], "unknown": 1},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/cert"},
        {"jwk": {"kty": "EC"}},
        {"cty": "JWT"},
    ],
)
def test_an_odd_header_is_refused(issuer: Issuer, header: dict[str, Any]) -> None:
    good = {"alg": "ES256", "typ": "at+jwt", "kid": issuer.key.kid}
    members = {name: value for name, value in {**good, **header}.items() if value is not None}
    signed = jws.serialize_compact(good, json.dumps(issuer.claims(AUDIENCE)), issuer.key, algorithms=["ES256"])
    _, payload, signature = signed.split(".")
    with pytest.raises(TokenRefusedError):
        read(f"{encoded(members)}.{payload}.{signature}", issuer)


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", ""])
def test_no_signature_is_refused(issuer: Issuer, alg: str) -> None:
    head = encoded({"alg": alg, "typ": "at+jwt", "kid": issuer.key.kid})
    with pytest.raises(TokenRefusedError, match="algorithm"):
        read(f"{head}.{encoded(issuer.claims(AUDIENCE))}.", issuer)


def test_the_public_key_is_no_shared_secret(issuer: Issuer) -> None:
    header = encoded({"alg": "HS256", "typ": "at+jwt", "kid": issuer.key.kid})
    signed = f"{header}.{encoded(issuer.claims(AUDIENCE))}"
    mac = hmac.digest(issuer.key.as_pem(private=False), signed.encode(), "sha256")
    with pytest.raises(TokenRefusedError, match="algorithm"):
        read(f"{signed}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}", issuer)


def test_another_key_under_our_kid_is_refused(issuer: Issuer) -> None:
    other = ECKey.generate_key("P-256")
    header = {"alg": "ES256", "typ": "at+jwt", "kid": issuer.key.kid}
    forged = jws.serialize_compact(header, json.dumps(issuer.claims(AUDIENCE)), other, algorithms=["ES256"])
    with pytest.raises(TokenRefusedError, match="signature"):
        read(forged, issuer)


@pytest.mark.parametrize("kid", ["unknown", "../../etc/passwd", "' OR 1=1 --", ""])
def test_a_kid_only_names_a_key_we_have(issuer: Issuer, kid: str) -> None:
    with pytest.raises(UnknownKeyError):
        read(issuer.sign(issuer.claims(AUDIENCE), kid=kid), issuer)


@pytest.mark.parametrize("signature", ["", "AA", encoded(0), urlsafe_b64encode(bytes(64)).rstrip(b"=").decode()])
def test_an_empty_or_zero_signature_is_refused(issuer: Issuer, signature: str) -> None:
    head, payload, _ = issuer.token(AUDIENCE).split(".")
    with pytest.raises(TokenRefusedError, match="signature"):
        read(f"{head}.{payload}.{signature}", issuer)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "http://127.0.0.1:8001/"},
        {"iss": None},
        {"aud": "other"},
        {"aud": []},
        {"aud": "approva"},
        {"exp": 0},
        {"exp": "9999999999"},
        {"exp": True},
        {"exp": 1e309},
        {"iat": 99999999999},
        {"nbf": 99999999999},
        {"nbf": "soon"},
        {"sub": 7},
        {"sub": None},
        {"kind": "ADMIN"},
        {"kind": ["CITIZEN"]},
        {"client_id": None},
        {"scope": ["openid"]},
        {"real_name_level": "L9"},
        {"post": "OFFICER"},
        {"post": {"department": "health"}},
    ],
)
def test_an_odd_claim_is_refused(issuer: Issuer, claims: dict[str, Any]) -> None:
    merged = {name: value for name, value in {**issuer.claims(AUDIENCE), **claims}.items() if value is not None}
    with pytest.raises(TokenRefusedError):
        read(issuer.sign(merged), issuer)


def test_a_token_ends_with_half_a_minute_of_grace(issuer: Issuer) -> None:
    token = issuer.token(AUDIENCE)
    now = time.time()
    assert read(token, issuer, now=now + 320).kind is Kind.CITIZEN
    with pytest.raises(TokenRefusedError, match="expired"):
        read(token, issuer, now=now + 331)


@pytest.mark.parametrize("garbage", ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "ä.b.c", "e30.e30.e30", "A" * 9000])
def test_what_is_no_token_is_refused(issuer: Issuer, garbage: str) -> None:
    with pytest.raises(TokenRefusedError):
        read(garbage, issuer)


def test_duplicate_members_are_refused(issuer: Issuer) -> None:
    header = {"alg": "ES256", "typ": "at+jwt", "kid": issuer.key.kid}
    claims = json.dumps(issuer.claims("other"))[:-1] + f', "aud": "{AUDIENCE}"}}'
    with pytest.raises(TokenRefusedError, match="payload"):
        read(jws.serialize_compact(header, claims, issuer.key, algorithms=["ES256"]), issuer)


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": [{"kid":"a","kty":"EC","crv":"P-256"}]}']
)
def test_a_damaged_key_set_is_refused_whole(document: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - several libraries' words
        read_key_set(document)


def test_secret_and_foreign_keys_are_passed_over() -> None:
    foreign = {
        "keys": [{"kid": "s", "kty": "oct", "k": "AAAA"}, {"kid": "e", "use": "enc", "kty": "EC"}, {"kty": "EC"}]
    }
    assert read_key_set(json.dumps(foreign).encode()) == {}


def read_authorisation(token: str, issuer: Issuer, *, now: float | None = None) -> Authorisation:
    keys = read_key_set(issuer.key_set)
    return verify_authorisation(token, keys=keys, issuer=issuer.url, audience=AUDIENCE, now=now or time.time())


def test_an_authorisation_says_who_lets_whom_do_what(issuer: Issuer) -> None:
    proof = "p" * 43
    token = issuer.authorisation(AUDIENCE, subject="father", actor="mother", id_proof=proof, life_event="birth")
    said = read_authorisation(token, issuer)
    assert (said.subject, said.actor, said.life_event, said.id_proof) == ("father", "mother", "birth", proof)
    assert said.jti
    assert said.expires_at > time.time()


def test_an_authorisation_opens_nothing_and_an_access_token_authorises_nothing(issuer: Issuer) -> None:
    authorisation = issuer.sign(issuer.authorisation_claims(AUDIENCE), typ="authorisation+jwt")
    with pytest.raises(TokenRefusedError, match="type"):
        read(authorisation, issuer)
    everything = {**issuer.claims(AUDIENCE), **issuer.authorisation_claims(AUDIENCE)}
    for other in ("at+jwt", "JWT", "authorization+jwt", "AUTHORISATION+JWT "):
        with pytest.raises(TokenRefusedError, match="type"):
            read_authorisation(issuer.sign(everything, typ=other), issuer)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"aud": "data-exchange"},
        {"exp": 1},
        {"exp": None},
        {"iat": 99999999999},
        {"sub": None},
        {"id_proof": None},
        {"id_proof": 7},
        {"act": None},
        {"act": "mother"},
        {"act": {}},
        {"act": {"sub": ["mother"]}},
        {"life_event": None},
        {"life_event": ["birth"]},
        {"means": None},
        {"means": "PASSWORD"},
        {"jti": None},
    ],
)
def test_an_odd_authorisation_is_refused(issuer: Issuer, claims: dict[str, Any]) -> None:
    merged = {**issuer.authorisation_claims(AUDIENCE), **claims}
    kept = {name: value for name, value in merged.items() if value is not None}
    with pytest.raises(TokenRefusedError):
        read_authorisation(issuer.sign(kept, typ="authorisation+jwt"), issuer)


def test_an_authorisation_of_another_key_is_refused(issuer: Issuer) -> None:
    stranger = Issuer(issuer.url)
    with pytest.raises(UnknownKeyError):
        read_authorisation(stranger.sign(stranger.authorisation_claims(AUDIENCE), typ="authorisation+jwt"), issuer)
