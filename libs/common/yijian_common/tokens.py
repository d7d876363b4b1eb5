"""Reading what identity signs, access tokens (RFC 9068) and authorisations: pure, given the issuer's keys.

The algorithm is the key's, never the token's wish. Anything unknown or out of place refuses the whole token.
"""

from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey
from yijian_contracts import strict_json

LEEWAY_SECONDS = 30
LONGEST_TOKEN = 8192

_HEADER_NAMES = frozenset({"alg", "kid", "typ"})  # `crit`, `jwk`, `jku`, `x5u`, `x5c`, `b64`, `zip` are all refused
_ACCESS_TYPES = frozenset({"at+jwt", "application/at+jwt"})
_AUTHORISATION_TYPES = frozenset({"authorisation+jwt"})
_MEANS = "ONE_TIME_CODE"


class TokenRefusedError(Exception):
    """The token is not one that we accept. The reason is for logs, not for the caller."""


class UnknownKeyError(TokenRefusedError):
    """It is signed by a key that we have not seen (yet)."""


class Kind(StrEnum):
    """Who acts."""

    CITIZEN = "CITIZEN"
    OFFICIAL = "OFFICIAL"
    SERVICE = "SERVICE"
    DEPARTMENT = "DEPARTMENT"


class RealNameLevel(StrEnum):
    """How surely the person is who they say (L1 weakest); compared by value."""

    L1 = "L1"
    L2 = "L2"
    L3 = "L3"


@dataclass(frozen=True, slots=True)
class Post:
    """An official's post: rights follow department × area (12 digits, a prefix rules below it) × matter."""

    department: str
    area: str
    matters: tuple[str, ...]
    role: str


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a verified token speaks for. `id_proof` compares with `pairwise.id_proof`, see identity's decision record."""

    subject: str
    client_id: str
    kind: Kind
    expires_at: int
    scopes: frozenset[str] = frozenset()
    real_name_level: RealNameLevel | None = None
    id_proof: str | None = None
    post: Post | None = None
    claims: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Authorisation:
    """One person's word, given by a one-time code, that another may act for them in one life event.

    `id_proof` is the giver's, for the audience that reads it; `jti` tells this authorisation from every other.
    """

    subject: str
    id_proof: str
    actor: str
    life_event: str
    jti: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One public key with the one algorithm that it is used with."""

    algorithm: str
    key: ECKey | OKPKey


def read_key_set(document: bytes) -> dict[str, VerificationKey]:
    """The signature keys of a JWKS by `kid`. Raises `ValueError`; keys of other kinds are passed over."""
    parsed = strict_json.parse(document)
    if not isinstance(parsed, dict) or not isinstance(parsed.get("keys"), list):
        raise ValueError("not a key set")  # noqa: TRY004 - it is the document's content that is wrong
    keys = {}
    for jwk in parsed["keys"]:
        key = _read_key(jwk)
        if key is not None:
            keys[str(jwk["kid"])] = key
    return keys


def _read_key(jwk: Any) -> VerificationKey | None:
    if not isinstance(jwk, dict) or "kid" not in jwk or jwk.get("use", "sig") != "sig":
        return None
    public = {name: jwk[name] for name in ("kty", "crv", "x", "y") if name in jwk}
    try:
        match jwk.get("kty"), jwk.get("crv"):
            case "EC", "P-256":
                return VerificationKey("ES256", ECKey.import_key(public))
            case "OKP", "Ed25519":
                return VerificationKey("EdDSA", OKPKey.import_key(public))
            case _:
                return None
    except (JoseError, ValueError) as error:
        raise ValueError("a key of the set is damaged") from error


def verify(token: str, *, keys: Mapping[str, VerificationKey], issuer: str, audience: str, now: float) -> Principal:
    """The principal of an access token. Raises `TokenRefusedError` (`UnknownKeyError` when the `kid` is new)."""
    claims = _claims(token, keys, types=_ACCESS_TYPES)
    _check(claims, issuer=issuer, audience=audience, now=now)
    return _principal(claims)


def verify_authorisation(
    token: str, *, keys: Mapping[str, VerificationKey], issuer: str, audience: str, now: float
) -> Authorisation:
    """What an authorisation says. Raises `TokenRefusedError` (`UnknownKeyError` when the `kid` is new).

    That it is used once, by the actor it names and for the life event it names, is for the caller to see to.
    """
    claims = _claims(token, keys, types=_AUTHORISATION_TYPES)
    _check(claims, issuer=issuer, audience=audience, now=now)
    return _authorisation(claims)


def _claims(token: str, keys: Mapping[str, VerificationKey], *, types: frozenset[str]) -> dict[str, Any]:
    if len(token) > LONGEST_TOKEN or token.count(".") != 2 or not token.isascii():
        raise TokenRefusedError("not a compact JWS")
    header = _header(token.partition(".")[0], types=types)
    key = keys.get(header["kid"])
    if key is None:
        raise UnknownKeyError("its key is unknown")
    if header["alg"] != key.algorithm:
        raise TokenRefusedError("its algorithm is not its key's")
    try:
        payload = jws.deserialize_compact(token, key.key, algorithms=[key.algorithm]).payload
        claims = strict_json.parse(payload)
    except (JoseError, ValueError) as error:
        raise TokenRefusedError(f"its signature or payload is bad: {type(error).__name__}") from None
    if not isinstance(claims, dict):
        raise TokenRefusedError("its payload is not an object")
    return claims


def _header(encoded: str, *, types: frozenset[str]) -> dict[str, str]:
    try:
        header = strict_json.parse(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (Base64Error, ValueError):
        raise TokenRefusedError("its header is not JSON") from None
    if not isinstance(header, dict) or set(header) != _HEADER_NAMES:
        raise TokenRefusedError("its header has other members than alg, kid and typ")
    if not all(isinstance(value, str) for value in header.values()):
        raise TokenRefusedError("its header has values that are not text")
    if header["typ"].lower() not in types:
        raise TokenRefusedError("it is a token of another type")
    return header


def _check(claims: dict[str, Any], *, issuer: str, audience: str, now: float) -> None:
    if claims.get("iss") != issuer:
        raise TokenRefusedError("another issuer")
    audiences = claims.get("aud")
    if audience not in (audiences if isinstance(audiences, list) else [audiences]):
        raise TokenRefusedError("another audience")
    if now >= _instant(claims, "exp") + LEEWAY_SECONDS:
        raise TokenRefusedError("expired")
    if now < _instant(claims, "iat") - LEEWAY_SECONDS:
        raise TokenRefusedError("issued in the future")
    if "nbf" in claims and now < _instant(claims, "nbf") - LEEWAY_SECONDS:
        raise TokenRefusedError("not valid yet")


def _instant(claims: dict[str, Any], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise TokenRefusedError(f"{name} is not an instant")
    return value


def _principal(claims: dict[str, Any]) -> Principal:
    try:
        level, post = claims.get("real_name_level"), claims.get("post")
        return Principal(
            subject=_text(claims["sub"]),
            client_id=_text(claims["client_id"]),
            kind=Kind(claims["kind"]),
            expires_at=claims["exp"],
            scopes=frozenset(_text(claims.get("scope", "")).split()),
            real_name_level=None if level is None else RealNameLevel(level),
            id_proof=None if "id_proof" not in claims else _text(claims["id_proof"]),
            post=None if post is None else _post(post),
            claims=claims,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise TokenRefusedError(f"a claim is missing or odd: {type(error).__name__}") from None


def _authorisation(claims: dict[str, Any]) -> Authorisation:
    try:
        if claims["means"] != _MEANS:
            raise TokenRefusedError("it was given by other means")
        return Authorisation(
            subject=_text(claims["sub"]),
            id_proof=_text(claims["id_proof"]),
            actor=_text(claims["act"]["sub"]),
            life_event=_text(claims["life_event"]),
            jti=_text(claims["jti"]),
            expires_at=claims["exp"],
        )
    except (KeyError, TypeError) as error:
        raise TokenRefusedError(f"a claim is missing or odd: {type(error).__name__}") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value


def _post(value: dict[str, Any]) -> Post:
    return Post(
        department=_text(value["department"]),
        area=_text(value["area"]),
        matters=tuple(_text(matter) for matter in value["matters"]),
        role=_text(value["role"]),
    )
