"""Authorization codes: given once, redeemed once, within a minute, by the client that asked, with the PKCE verifier."""

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from uuid import uuid4

import asyncpg
from yijian_common.database import Connection, transaction

from identity.authorization import AuthorizationRequest
from identity.clients import Client
from identity.errors import InvalidGrantError
from identity.logins import Session
from identity.people import Grant, Person
from identity.provider import OpenIdProvider
from identity.queries import find_person

CODE_SECONDS = 60
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)  # RFC 7636 §4.1


async def issue_code(provider: OpenIdProvider, asked: AuthorizationRequest, session: Session) -> str:
    """A fresh code for what was asked; only its keyed hash is stored."""
    code = secrets.token_urlsafe(32)
    async with transaction(provider.pool) as held:
        await held.execute(
            "INSERT INTO authorization_codes (code_index, grant_id, client_id, person_id, redirect_uri, code_challenge,"
            " scope, audience, nonce, auth_time, expires_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, now() + make_interval(secs => $11))",
            _code_index(provider, code),
            uuid4(),
            asked.client.id,
            session.person.id,
            asked.redirect_uri,
            asked.code_challenge,
            asked.scope,
            asked.audience,
            asked.nonce,
            session.auth_time,
            CODE_SECONDS,
        )
    return code


async def redeem_code(provider: OpenIdProvider, client: Client, form: Mapping[str, str]) -> tuple[Person, Grant]:
    """Whom the code is for, and for what. Raises `InvalidGrantError`.

    The row is locked, so of many redemptions at once one succeeds. A second redemption calls the first one's tokens
    back (RFC 9700 §2.1.1); a redemption that does not fit uses the code up.
    """
    async with transaction(provider.pool) as held:
        row = await held.fetchrow(
            "SELECT *, expires_at > now() AS fresh FROM authorization_codes WHERE code_index = $1 FOR UPDATE",
            _code_index(provider, form.get("code", "")),
        )
        person = await _redeem(held, provider, row=row, client=client, form=form)
    if row is None or person is None:
        raise InvalidGrantError
    grant = Grant(
        id=row["grant_id"],
        client_id=client.id,
        audience=row["audience"],
        scope=row["scope"],
        auth_time=row["auth_time"],
        nonce=row["nonce"],
    )
    return person, grant


async def _redeem(
    held: Connection,
    provider: OpenIdProvider,
    *,
    row: asyncpg.Record | None,
    client: Client,
    form: Mapping[str, str],
) -> Person | None:
    """Use the code up; the person when everything fits. What is written here is kept even when the answer is no."""
    if row is None or row["client_id"] != client.id:
        return None
    if row["used_at"] is not None:
        await held.execute("UPDATE authorization_codes SET revoked_at = now() WHERE grant_id = $1", row["grant_id"])
        return None
    await held.execute("UPDATE authorization_codes SET used_at = now() WHERE grant_id = $1", row["grant_id"])
    fits = row["fresh"] and row["redirect_uri"] == form.get("redirect_uri") and _proves(row["code_challenge"], form)
    return await find_person(held, row["person_id"], keyring=provider.keyring) if fits else None


def _proves(challenge: str, form: Mapping[str, str]) -> bool:
    verifier = form.get("code_verifier", "")
    if not _VERIFIER.fullmatch(verifier):
        return False
    computed = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return hmac.compare_digest(computed, challenge)


def _code_index(provider: OpenIdProvider, code: str) -> bytes:
    return provider.keyring.blind_index("authorization code", code)
