"""For tests of services: an issuer in memory whose tokens a `TokenVerifier` accepts, with no identity running."""

import json
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx
from joserfc import jws
from joserfc.jwk import ECKey

from yijian_common.auth import TokenVerifier
from yijian_common.ended_sessions import EndedSessions
from yijian_common.tokens import Kind, Post, RealNameLevel


class InMemoryKeySetStore:
    """A key set that lives as long as the test."""

    def __init__(self, document: bytes | None = None) -> None:
        self.document = document

    async def load(self) -> bytes | None:
        return self.document

    async def save(self, document: bytes) -> None:
        self.document = document


class Issuer:
    """Signs access tokens as identity does."""

    def __init__(self, url: str = "http://127.0.0.1:8001") -> None:
        self.url = url
        self.key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)

    @property
    def key_set(self) -> bytes:
        return json.dumps({"keys": [self.key.as_dict(private=False)]}).encode()

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        """A token of exactly these claims; header members may be replaced (None leaves one out)."""
        protected = {"alg": "ES256", "typ": "at+jwt", "kid": self.key.kid, **header}
        kept = {name: value for name, value in protected.items() if value is not None}
        return jws.serialize_compact(kept, json.dumps(dict(claims)), self.key, algorithms=["ES256"])

    def claims(self, audience: str, kind: Kind = Kind.CITIZEN, **claims: Any) -> dict[str, Any]:
        now = int(time.time())
        return {
            "iss": self.url,
            "aud": audience,
            "sub": str(uuid4()),
            "client_id": "yijian-app",
            "iat": now,
            "exp": now + 300,
            "jti": str(uuid4()),
            "kind": kind,
            **claims,
        }

    def token(self, audience: str, kind: Kind = Kind.CITIZEN, **claims: Any) -> str:
        return self.sign(self.claims(audience, kind, **claims))

    def citizen(self, audience: str, *, subject: str, id_proof: str | None = None) -> str:
        claims = self.claims(audience, sub=subject, real_name_level=RealNameLevel.L3)
        return self.sign(claims if id_proof is None else {**claims, "id_proof": id_proof})

    def official(self, audience: str, post: Post, *, subject: str) -> str:
        claim = {"department": post.department, "area": post.area, "matters": list(post.matters), "role": post.role}
        return self.token(audience, Kind.OFFICIAL, sub=subject, post=claim)

    def service(self, audience: str, client_id: str, *, scope: str = "") -> str:
        return self.token(audience, Kind.SERVICE, sub=client_id, client_id=client_id, scope=scope)

    def authorisation_claims(self, audience: str, **claims: Any) -> dict[str, Any]:
        now = int(time.time())
        return {
            "iss": self.url,
            "aud": audience,
            "sub": str(uuid4()),
            "id_proof": "p" * 43,
            "act": {"sub": str(uuid4())},
            "life_event": "birth",
            "means": "ONE_TIME_CODE",
            "jti": uuid4().hex,
            "iat": now,
            "exp": now + 600,
            **claims,
        }

    def authorisation(self, audience: str, *, subject: str, actor: str, id_proof: str, life_event: str) -> str:
        """What identity gives `actor` when `subject` says yes by a one-time code."""
        claims = self.authorisation_claims(
            audience, sub=subject, act={"sub": actor}, id_proof=id_proof, life_event=life_event
        )
        return self.sign(claims, typ="authorisation+jwt")

    async def verifier(self, audience: str, *, ended: EndedSessions | None = None) -> TokenVerifier:
        """A verifier that knows this issuer's key already and fetches nothing."""
        http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(503)))
        store = InMemoryKeySetStore(self.key_set)
        verifier = TokenVerifier(issuer=self.url, audience=audience, http=http, store=store, ended=ended)
        await verifier.load_stored_keys()
        return verifier
