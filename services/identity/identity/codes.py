"""Authorization codes: given once, redeemed once, within a minute, by the client that asked, with the PKCE verifier."""

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import structlog
from yijian_common.database import Connection, transaction
from yijian_common.tokens import LEEWAY_SECONDS, Kind

from identity.authorization import OFFLINE_ACCESS, AuthorizationRequest
from identity.clients import Client
from identity.endings import end_grant
from identity.errors import InvalidGrantError
from identity.logins import Session
from identity.people import Grant, Person
from identity.provider import OpenIdProvider
from identity.queries import find_person
from identity.refresh import new_secret
from identity.signing import ACCESS_TOKEN_SECONDS

log = structlog.get_logger(__name__)

CODE_SECONDS = 60
REFRESH_LASTS = {Kind.CITIZEN: timedelta(days=30), Kind.OFFICIAL: timedelta(hours=8)}
"""Counted from the redemption, whatever is refreshed in between; an official logs in every working day."""
_BEGIN = """
INSERT INTO grants (id, session_id, person_id, client_id, audience, scope, auth_time, expires_at, secret)
VALUES ($1, $2, $3, $4, $5, $6, $7, now() + $8::interval, $9)
"""
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)  # RFC 7636 §4.1


async def issue_code(provider: OpenIdProvider, asked: AuthorizationRequest, session: Session) -> str:
    """A fresh code for what was asked; only its keyed hash is stored."""
    code = secrets.token_urlsafe(32)
    async with transaction(provider.pool) as held:
        await held.execute(
            "INSERT INTO authorization_codes (code_index, grant_id, session_id, client_id, person_id, redirect_uri,"
            " code_challenge, scope, audience, nonce, auth_time, expires_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now() + make_interval(secs => $12))",
            _code_index(provider, code),
            uuid4(),
            session.id,
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


@dataclass(frozen=True, slots=True)
class Redeemed:
    """Whom a code was for, and what it gives; a refresh token with the scope offline_access only."""

    person: Person
    grant: Grant
    refresh_token: str | None


async def redeem_code(provider: OpenIdProvider, client: Client, form: Mapping[str, str]) -> Redeemed:
    """What the code gives. Raises `InvalidGrantError`.

    The row is locked, so of many redemptions at once one succeeds. A second redemption calls everything back that the
    first one gave (RFC 9700 §2.1.1); a redemption that does not fit uses the code up.
    """
    async with transaction(provider.pool) as held:
        row = await held.fetchrow(
            "SELECT *, expires_at > now() AS fresh FROM authorization_codes WHERE code_index = $1 FOR UPDATE",
            _code_index(provider, form.get("code", "")),
        )
        if row is None or row["client_id"] != client.id:
            raise InvalidGrantError
        redeemed = None if row["used_at"] is not None else await _redeem(held, provider, row=row, form=form)
    if row["used_at"] is not None:
        log.warning("an authorization code was used again; its grant ends", grant=str(row["grant_id"]))
        await end_grant(provider, row["grant_id"])
    if redeemed is None:
        raise InvalidGrantError
    return redeemed


async def _redeem(
    held: Connection, provider: OpenIdProvider, *, row: asyncpg.Record, form: Mapping[str, str]
) -> Redeemed | None:
    """Use the code up; its grant when everything fits. What is written here is kept even when the answer is no."""
    await held.execute("UPDATE authorization_codes SET used_at = now() WHERE grant_id = $1", row["grant_id"])
    fits = row["fresh"] and row["redirect_uri"] == form.get("redirect_uri") and _proves(row["code_challenge"], form)
    person = await find_person(held, row["person_id"], keyring=provider.keyring) if fits else None
    if person is None or not await _session_goes_on(held, row["session_id"]):
        return None
    grant = Grant(
        id=row["grant_id"],
        client_id=row["client_id"],
        audience=row["audience"],
        scope=row["scope"],
        auth_time=row["auth_time"],
        nonce=row["nonce"],
    )
    return Redeemed(person, grant, await _begin(held, provider, person, grant, session_id=row["session_id"]))


async def _session_goes_on(held: Connection, session_id: UUID) -> bool:
    """Whether the session was not ended, nor is until this transaction is over."""
    going = "SELECT true FROM login_sessions WHERE id = $1 AND ended_at IS NULL FOR SHARE"
    return bool(await held.fetchval(going, session_id))


async def _begin(
    held: Connection, provider: OpenIdProvider, person: Person, grant: Grant, *, session_id: UUID
) -> str | None:
    """Store the grant; its first refresh token, if it may have one."""
    secret, refresh_token = None, None
    lasts = timedelta(seconds=ACCESS_TOKEN_SECONDS + LEEWAY_SECONDS)
    if OFFLINE_ACCESS in grant.scope.split():
        secret, refresh_token = new_secret(provider.keyring, grant.id)
        lasts = REFRESH_LASTS[person.kind]
    await held.execute(
        _BEGIN,
        grant.id,
        session_id,
        person.id,
        grant.client_id,
        grant.audience,
        grant.scope,
        grant.auth_time,
        lasts,
        secret,
    )
    return refresh_token


def _proves(challenge: str, form: Mapping[str, str]) -> bool:
    verifier = form.get("code_verifier", "")
    if not _VERIFIER.fullmatch(verifier):
        return False
    computed = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return hmac.compare_digest(computed, challenge)


def _code_index(provider: OpenIdProvider, code: str) -> bytes:
    return provider.keyring.blind_index("authorization code", code)
