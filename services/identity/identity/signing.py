"""The keys that sign tokens, and the tokens (RFC 9068 access tokens, OpenID Connect id tokens, authorisations)."""

import asyncio
import contextlib
import hashlib
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from joserfc import jws
from joserfc.jwk import ECKey
from yijian_common.crypto import Keyring
from yijian_common.database import Pool, connection
from yijian_common.tokens import VerificationKey, read_key_set

from identity.key_rotation import ALGORITHM, StoredKey, ensure_first_key, open_key, stored_keys

ACCESS_TOKEN_SECONDS = 300
ID_TOKEN_SECONDS = 300
AUTHORISATION_SECONDS = 600
RELOAD_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Turn:
    """A key that we can sign with, and from when on we do."""

    signs_from: float
    key: ECKey


class Signer:
    """Signs with the key whose turn it is; publishes every key that tokens in use may carry.

    A background component as well: it looks for new and withdrawn keys, so that replicas agree.
    """

    name = "signing-keys"

    def __init__(self, *, issuer: str, pool: Pool, keyring: Keyring) -> None:
        self.issuer = issuer
        self.key_set: bytes = b""
        self.verification_keys: Mapping[str, VerificationKey] = {}
        self._pool = pool
        self._keyring = keyring
        self._turns: Sequence[_Turn] = ()

    @property
    def key(self) -> ECKey:
        """The key that signs now: the newest whose turn has come."""
        now = time.time()
        come = [turn for turn in self._turns if turn.signs_from <= now]
        return (come[-1] if come else self._turns[0]).key

    async def reload(self) -> None:
        """Take over what the database holds now."""
        async with connection(self._pool) as held:
            stored = await stored_keys(held)
        self._turns = [_Turn(key.signs_from, self._opened(key)) for key in stored if key.sealed is not None]
        self.key_set = json.dumps({"keys": [json.loads(key.public) for key in reversed(stored)]}).encode()
        self.verification_keys = read_key_set(self.key_set)

    def _opened(self, stored: StoredKey) -> ECKey:
        known = next((turn.key for turn in self._turns if turn.key.kid == stored.kid), None)
        return known or open_key(self._keyring, stored)

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await self.reload()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), RELOAD_SECONDS)

    def problem(self) -> str | None:
        return None

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

    def authorisation(self, claims: Mapping[str, Any]) -> tuple[str, datetime]:
        """One person's word that another may act for them (`verify_authorisation`), and when it ends."""
        now = int(time.time())
        own = {"iss": self.issuer, "iat": now, "exp": now + AUTHORISATION_SECONDS}
        signed = self._sign({**own, **claims}, token_type="authorisation+jwt")  # noqa: S106 - a media type
        return signed, datetime.fromtimestamp(now + AUTHORISATION_SECONDS, UTC)

    def _sign(self, claims: Mapping[str, Any], *, token_type: str) -> str:
        key = self.key
        header = {"alg": ALGORITHM, "typ": token_type, "kid": key.kid}
        payload = json.dumps(claims, ensure_ascii=False, separators=(",", ":"))
        return jws.serialize_compact(header, payload, key, algorithms=[ALGORITHM])


def _half_hash(token: str) -> str:
    """OpenID Connect Core §3.1.3.6: the left half of the hash that the signature algorithm uses."""
    return urlsafe_b64encode(hashlib.sha256(token.encode()).digest()[:16]).rstrip(b"=").decode()


async def load_signer(pool: Pool, keyring: Keyring, *, issuer: str) -> Signer:
    """The signer; on the very first start its key is made and stored sealed."""
    await ensure_first_key(pool, keyring)
    signer = Signer(issuer=issuer, pool=pool, keyring=keyring)
    await signer.reload()
    return signer
