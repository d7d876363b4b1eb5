"""The keys that sign tokens, and the tokens (RFC 9068 access tokens, OpenID Connect id tokens)."""

import hashlib
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from joserfc import jws
from joserfc.jwk import ECKey
from yijian_common.crypto import Keyring
from yijian_common.database import Pool, transaction
from yijian_common.tokens import VerificationKey, read_key_set

ALGORITHM = "ES256"
ACCESS_TOKEN_SECONDS = 300
ID_TOKEN_SECONDS = 300
AUTHORISATION_SECONDS = 600

_CONTEXT = b"identity signing key"
_LOCK = 4_180_001  # one replica creates the first key


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with the newest key; publishes every key that tokens in use may carry."""

    issuer: str
    key: ECKey
    key_set: bytes
    verification_keys: Mapping[str, VerificationKey]

    def access_token(self, claims: Mapping[str, Any]) -> str:
        """`claims` are all but issuer, instants and id."""
        now = int(time.time())
        own = {"iss": self.issuer, "iat": now, "exp": now + ACCESS_TOKEN_SECONDS, "jti": uuid4().hex}
        return self._sign({**own, **claims}, token_type="at+jwt")  # noqa: S106 - a media type

    def id_token(self, claims: Mapping[str, Any], *, access_token: str) -> str:
        now = int(time.time())
        own = {
            "iss": self.issuer,
            "iat": now,
            "exp": now + ID_TOKEN_SECONDS,
            "at_hash": _half_hash(access_token),
        }
        return self._sign({**own, **claims}, token_type="JWT")  # noqa: S106 - a media type

    def authorisation(self, claims: Mapping[str, Any]) -> tuple[str, int]:
        """One person's word that another may act for them (`verify_authorisation`), and when it ends."""
        now = int(time.time())
        own = {"iss": self.issuer, "iat": now, "exp": now + AUTHORISATION_SECONDS}
        return self._sign({**own, **claims}, token_type="authorisation+jwt"), now + AUTHORISATION_SECONDS  # noqa: S106

    def _sign(self, claims: Mapping[str, Any], *, token_type: str) -> str:
        header = {"alg": ALGORITHM, "typ": token_type, "kid": self.key.kid}
        payload = json.dumps(claims, ensure_ascii=False, separators=(",", ":"))
        return jws.serialize_compact(header, payload, self.key, algorithms=[ALGORITHM])


def _half_hash(token: str) -> str:
    """OpenID Connect Core §3.1.3.6: the left half of the hash that the signature algorithm uses."""
    return urlsafe_b64encode(hashlib.sha256(token.encode()).digest()[:16]).rstrip(b"=").decode()


async def load_signer(pool: Pool, keyring: Keyring, *, issuer: str) -> Signer:
    """The signer; on the very first start its key is made and stored sealed."""
    async with transaction(pool) as held:
        await held.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        if not await held.fetchval("SELECT EXISTS (SELECT FROM signing_keys WHERE signing)"):
            key = ECKey.generate_key("P-256", {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
            private = json.dumps(key.as_dict(private=True)).encode()
            await held.execute(
                "INSERT INTO signing_keys (kid, sealed, public, signing) VALUES ($1, $2, $3, true)",
                key.kid,
                keyring.new_data_key().seal_envelope(private, _CONTEXT),
                json.dumps(key.as_dict(private=False)),
            )
        rows = await held.fetch("SELECT kid, sealed, public, signing FROM signing_keys ORDER BY created_at DESC")
    key_set = json.dumps({"keys": [json.loads(row["public"]) for row in rows]}).encode()
    current = next(row for row in rows if row["signing"])
    private_jwk = json.loads(keyring.open_envelope(current["sealed"], _CONTEXT))
    return Signer(issuer, ECKey.import_key(private_jwk), key_set, read_key_set(key_set))
