"""For tests: tokens that nobody may accept, each a small step from one that everybody must.

`forged_tokens` is the one table of them; common, identity and approval are all attacked with it.
"""

import hmac
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from yijian_common.testing import Issuer

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
KIDS = {
    "unknown": "unknown",
    "empty": "",
    "SQL": "' OR 1=1 --",
    "SQL that selects": "x' UNION SELECT 'secret' --",
    "a path": "../../../../dev/null",
    "an absolute path": "/proc/sys/kernel/randomize_va_space",
    "a URL": "https://evil.example/key.pem",
    "a command": "| touch /tmp/owned",
    "NUL": "\x00",
}


def forged_tokens(issuer: Issuer, claims: Mapping[str, Any]) -> dict[str, str]:
    """By name, what an attacker makes who knows the issuer's public key and has a token of `claims`, a good one."""
    return {
        **_without_a_signature(issuer, claims),
        **_with_another_algorithm(issuer, claims),
        **_with_a_key_of_their_own(issuer, claims),
        **_with_odd_headers(issuer, claims),
        **_with_odd_signatures(issuer, claims),
        **_with_odd_claims(issuer, claims),
        **_in_another_form(issuer, claims),
    }


def _without_a_signature(issuer: Issuer, claims: Mapping[str, Any]) -> dict[str, str]:
    payload = _encoded(claims)
    signature = issuer.sign(claims).rpartition(".")[2]
    made = {}
    for algorithm in ("none", "None", "NONE", "nOnE", "none ", ""):
        head = _header(issuer, alg=algorithm)
        made[f"alg {algorithm!r}"] = f"{head}.{payload}."
        made[f"alg {algorithm!r} with a signature"] = f"{head}.{payload}.{signature}"
    made["no alg"] = f"{_header(issuer, alg=None)}.{payload}."
    made["no signature"] = f"{_header(issuer)}.{payload}."
    made["no third part"] = f"{_header(issuer)}.{payload}"
    return made


def _with_another_algorithm(issuer: Issuer, claims: Mapping[str, Any]) -> dict[str, str]:
    """The public key is no shared secret, whatever it is written as; RS and EdDSA are not this key's algorithms."""
    public = issuer.key.as_dict(private=False)
    secrets = {
        "PEM": issuer.key.as_pem(private=False),
        "PEM without the last newline": issuer.key.as_pem(private=False).rstrip(b"\n"),
        "DER": issuer.key.as_der(private=False),
        "JWK": json.dumps(public).encode(),
        "x": str(public["x"]).encode(),
        "kid": str(issuer.key.kid).encode(),
        "nothing": b"",
    }
    made = {}
    for algorithm, digest in (("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512")):
        for name, secret in secrets.items():
            signed = f"{_header(issuer, alg=algorithm)}.{_encoded(claims)}"
            made[f"{algorithm} keyed by {name}"] = f"{signed}.{_b64(hmac.digest(secret, signed.encode(), digest))}"
    for name, (algorithm, key) in _keys_of_other_kinds().items():
        made[name] = _signed(issuer, claims, key=key, alg=algorithm)
    right = issuer.sign(claims)
    for algorithm in ("RS256", "ES256K", "es256", "SM2", "HS256"):
        made[f"labelled {algorithm}"] = f"{_header(issuer, alg=algorithm)}.{right.partition('.')[2]}"
    return made


@cache
def _keys_of_other_kinds() -> dict[str, tuple[str, Any]]:
    """Made once: RSA's take a while, and an attacker would not make new ones for each token either."""
    return {
        "RS256": ("RS256", RSAKey.generate_key(2048)),
        "PS256": ("PS256", RSAKey.generate_key(2048)),
        "EdDSA": ("Ed25519", OKPKey.generate_key("Ed25519")),
        "ES384": ("ES384", ECKey.generate_key("P-384")),
    }


def _with_a_key_of_their_own(issuer: Issuer, claims: Mapping[str, Any]) -> dict[str, str]:
    own = ECKey.generate_key("P-256")
    public = own.as_dict(private=False)
    brought: dict[str, dict[str, Any]] = {
        "jwk": {"jwk": public},
        "jku": {"jku": "https://evil.example/jwks"},
        "x5u": {"x5u": "https://evil.example/cert.pem"},
        "x5c": {"x5c": ["MIIB"]},
    }
    made = {
        f"their key under our kid, with {name}": _raw(issuer, claims, own, **more) for name, more in brought.items()
    }
    made["their key under our kid"] = _raw(issuer, claims, own)
    for name, kid in KIDS.items():
        made[f"their key, kid is {name}"] = _raw(issuer, claims, own, kid=kid)
        made[f"our key, kid is {name}"] = _raw(issuer, claims, issuer.key, kid=kid)
    for name, more in brought.items():
        made[f"our key, with {name} besides"] = _raw(issuer, claims, issuer.key, **more)
    return made


def _with_odd_headers(issuer: Issuer, claims: Mapping[str, Any]) -> dict[str, str]:
    """Signed by the right key: what is not understood must not be passed over."""
    odd: dict[str, dict[str, Any]] = {
        "no kid": {"kid": None},
        "kid is a number": {"kid": 7},
        "kid is a list": {"kid": [issuer.key.kid]},
        "no typ": {"typ": None},
        "typ JWT (an id token)": {"typ": "JWT"},
        "typ logout+jwt": {"typ": "logout+jwt"},
        "typ authorisation+jwt": {"typ": "authorisation+jwt"},
        "typ dpop+jwt": {"typ": "dpop+jwt"},
        "crit of something unknown": {"crit": ["unknown"], "unknown": True},
        "crit of exp": {"crit": ["exp"], "exp": 1},
        "crit that is empty": {"crit": []},
        "unencoded payload": {"crit": ["b64"], "b64": False},
        "compressed": {"zip": "DEF"},
        "cty": {"cty": "JWT"},
        "encrypted": {"enc": "A256GCM"},
    }
    return {name: _raw(issuer, claims, issuer.key, **more) for name, more in odd.items()}


def _with_odd_signatures(issuer: Issuer, claims: Mapping[str, Any]) -> dict[str, str]:
    signed, _, signature = issuer.sign(claims).rpartition(".")
    raw = _unb64(signature)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    order = P256_ORDER.to_bytes(32, "big")
    odd = {
        "r and s are 0": bytes(64),
        "r is 0": bytes(32) + raw[32:],
        "s is 0": raw[:32] + bytes(32),
        "r and s are the order": order + order,
        "s is beyond the order": raw[:32] + b"\xff" * 32,
        "r and s are 1": (1).to_bytes(32, "big") * 2,
        "one byte": b"\x00",
        "too short": raw[:-1],
        "too long": raw + b"\x00",
        "twice": raw * 2,
        "as DER": encode_dss_signature(r, s),
        "one bit off": bytes((raw[0] ^ 1,)) + raw[1:],
    }
    return {f"signature: {name}": f"{signed}.{_b64(value)}" for name, value in odd.items()}


def _with_odd_claims(issuer: Issuer, claims: Mapping[str, Any]) -> dict[str, str]:
    """Signed by the right key as well: what must have come from elsewhere, from before, or for somebody else."""
    now = int(time.time())
    odd: dict[str, dict[str, Any]] = {
        "expired": {"exp": now - 60},
        "never expires": {"exp": None},
        "exp is text": {"exp": str(now + 300)},
        "exp is true": {"exp": True},
        "not valid yet": {"nbf": now + 120},
        "issued in the future": {"iat": now + 120},
        "another issuer": {"iss": "https://evil.example"},
        "the issuer with a slash": {"iss": f"{issuer.url}/"},
        "no issuer": {"iss": None},
        "for another audience": {"aud": "somewhere-else"},
        "for the client (an id token)": {"aud": claims["client_id"]},
        "for nobody": {"aud": []},
        "audience is nested": {"aud": [[claims["aud"]]]},
        "no audience": {"aud": None},
        "no subject": {"sub": None},
        "subject is a number": {"sub": 0},
        "of a kind that does not exist": {"kind": "ADMIN"},
        "of no kind": {"kind": None},
    }
    made = {}
    for name, changes in odd.items():
        merged = {claim: value for claim, value in {**claims, **changes}.items() if value is not None}
        made[name] = issuer.sign(merged)
    tampered = issuer.sign(claims).split(".")
    made["claims changed after signing"] = f"{tampered[0]}.{_encoded({**claims, 'exp': now + 9999})}.{tampered[2]}"
    made["a claim given twice"] = _given_twice(issuer, claims)
    made["an authorisation"] = issuer.sign(
        issuer.authorisation_claims(str(claims["aud"]), sub=claims["sub"]), typ="authorisation+jwt"
    )
    return made


def _in_another_form(issuer: Issuer, claims: Mapping[str, Any]) -> dict[str, str]:
    good = issuer.sign(claims)
    head, payload, signature = good.split(".")
    return {
        "a fourth part": f"{good}.{signature}",
        "five parts (JWE)": f"{_encoded({'alg': 'dir', 'enc': 'A256GCM', 'zip': 'DEF'})}..AAAA.{'A' * 4000}.AAAA",
        "padded": f"{head}=.{payload}.{signature}",
        "JSON": json.dumps({"protected": head, "payload": payload, "signature": signature}),
        "very long": f"{head}.{_encoded({**claims, 'pad': 'x' * 9000})}.{signature}",
        "not JSON": f"{_b64(b'{')}.{payload}.{signature}",
        "header is a list": f"{_encoded([])}.{payload}.{signature}",
        "nothing but dots": "..",
    }


def _header(issuer: Issuer, **changes: Any) -> str:
    header = {"alg": "ES256", "typ": "at+jwt", "kid": issuer.key.kid, **changes}
    return _encoded({name: value for name, value in header.items() if value is not None})


def _raw(issuer: Issuer, claims: Mapping[str, Any], key: ECKey, **changes: Any) -> str:
    """Signed with ES256 over any header at all, also one that a library would refuse to make."""
    head, payload = _header(issuer, **changes), _encoded(claims)
    algorithm = jws.JWSRegistry.algorithms["ES256"]
    return f"{head}.{payload}.{_b64(algorithm.sign(f'{head}.{payload}'.encode(), key))}"


def _signed(issuer: Issuer, claims: Mapping[str, Any], *, key: Any, alg: str) -> str:
    header = {"alg": alg, "typ": "at+jwt", "kid": issuer.key.kid}
    return jws.serialize_compact(header, json.dumps(dict(claims)), key, algorithms=[alg])


def _given_twice(issuer: Issuer, claims: Mapping[str, Any]) -> str:
    doubled = json.dumps(dict(claims))[:-1] + ', "sub": "somebody else"}'
    header = {"alg": "ES256", "typ": "at+jwt", "kid": issuer.key.kid}
    return jws.serialize_compact(header, doubled, issuer.key, algorithms=["ES256"])


def _encoded(value: object) -> str:
    return _b64(json.dumps(value).encode())


def _b64(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _unb64(value: str) -> bytes:
    return urlsafe_b64decode(value + "=" * (-len(value) % 4))
