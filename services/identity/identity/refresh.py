"""Refresh tokens: one lineage per grant, each token good for one use, after which its successor is the good one.

A token is `base64url(grant id(16) generation(4, big-endian) mac(32))`. The mac is made with the grant's own secret,
which lies sealed in the grant's row and is deleted when the grant ends. So the successor of a token is always the same
one, whoever asks how often, and no token is stored. Why so: docs/decisions/0019-refresh-tokens.md.
"""

import hmac
import secrets
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import structlog
from yijian_common.crypto import KEY_BYTES, Keyring, keyed_hash
from yijian_common.database import Connection, connection

from identity.clients import Client
from identity.endings import end_grant
from identity.errors import InvalidGrantError, OAuthError
from identity.people import Grant, Person
from identity.provider import OpenIdProvider
from identity.queries import find_grant, find_person

log = structlog.get_logger(__name__)

GRACE_SECONDS = 60

_LAYOUT = struct.Struct(">16sI32s")
_LENGTH = 70

_NEXT = """
UPDATE grants SET generation = generation + 1, rotated_at = now(), used_at = now()
WHERE id = $1 AND generation = $2 AND revoked_at IS NULL AND expires_at > now() RETURNING generation
"""
# Of a token that is not the newest: whether the grant goes on, and whether the token was the newest a moment ago.
_LATEST = """
SELECT revoked_at IS NULL AND expires_at > now() AS live, generation,
       generation = $2 + 1 AND rotated_at > now() - make_interval(secs => $3) AS in_grace
FROM grants WHERE id = $1
"""


@dataclass(frozen=True, slots=True)
class _Presented:
    """A refresh token as it came, believed in nothing yet."""

    grant_id: UUID
    generation: int
    mac: bytes


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What the answer is made of; `scope` may be less than the grant's."""

    person: Person
    grant: Grant
    refresh_token: str


def new_secret(keyring: Keyring, grant_id: UUID) -> tuple[bytes, str]:
    """A new lineage: its sealed secret and its first token."""
    secret = secrets.token_bytes(KEY_BYTES)
    return keyring.new_data_key().seal_envelope(secret, _context(grant_id)), _token(secret, grant_id, 0)


def _read(token: str) -> _Presented | None:
    """The parts of a refresh token; None for anything else."""
    if len(token) != _LENGTH or not token.isascii():
        return None
    try:
        decoded = urlsafe_b64decode(token + "==")
    except (Base64Error, ValueError):
        return None
    if len(decoded) != _LAYOUT.size:
        return None
    grant_id, generation, mac = _LAYOUT.unpack(decoded)
    return _Presented(UUID(bytes=grant_id), generation, mac)


async def find_presented(held: Connection, keyring: Keyring, token: str) -> tuple[asyncpg.Record, int] | None:
    """The grant's row and the generation of a refresh token that we made, be it the newest of its lineage or not."""
    presented = _read(token)
    row = None if presented is None else await find_grant(held, presented.grant_id)
    if presented is None or row is None or row["secret"] is None:
        return None
    made = _mac(_secret(keyring, row), presented.grant_id, presented.generation)
    return (row, presented.generation) if hmac.compare_digest(made, presented.mac) else None


async def refresh(provider: OpenIdProvider, client: Client, form: Mapping[str, str]) -> Refreshed:
    """The next tokens of a lineage. Raises `InvalidGrantError`, or `OAuthError` for a wish beyond the grant.

    Of many requests with the newest token one moves the lineage on, by compare-and-set; the others, and any that repeat
    it within the grace, get the same successor. Any older token shows that two hold tokens of this lineage: it ends.
    """
    async with connection(provider.pool) as held:
        found = await find_presented(held, provider.keyring, form.get("refresh_token", ""))
        if found is None or found[0]["client_id"] != client.id:
            raise InvalidGrantError
        row, presented = found
        scope = _narrowed(row["scope"], form.get("scope"))
        if form.get("resource", row["audience"]) != row["audience"]:
            raise OAuthError("invalid_target", "the grant is for another resource")
        generation = await _move_on(held, row["id"], presented)
        person = await find_person(held, row["person_id"], keyring=provider.keyring)
    if generation is None:
        log.warning("an old refresh token was used; its grant ends", grant=str(row["id"]), client=client.id)
        await end_grant(provider, row["id"])
    if generation is None or person is None:
        raise InvalidGrantError
    grant = Grant(id=row["id"], client_id=client.id, audience=row["audience"], scope=scope, auth_time=row["auth_time"])
    return Refreshed(person, grant, _token(_secret(provider.keyring, row), row["id"], generation))


async def _move_on(held: Connection, grant_id: UUID, presented: int) -> int | None:
    """The generation to answer with; None when the lineage has to end. Raises `InvalidGrantError` when it has ended."""
    moved: int | None = await held.fetchval(_NEXT, grant_id, presented)
    if moved is not None:
        return moved
    latest = await held.fetchrow(_LATEST, grant_id, presented, float(GRACE_SECONDS))
    if latest is None or not latest["live"]:
        raise InvalidGrantError
    return latest["generation"] if latest["in_grace"] else None


def _narrowed(granted: str, asked: str | None) -> str:
    """The scope of the next access token: what was granted, or less of it (RFC 6749 §6)."""
    if asked is None:
        return granted
    wanted = set(asked.split())
    if not wanted <= set(granted.split()):
        raise OAuthError("invalid_scope", "the scope is beyond what was granted")
    return " ".join(scope for scope in granted.split() if scope in wanted)


def _secret(keyring: Keyring, row: asyncpg.Record) -> bytes:
    return keyring.open_envelope(row["secret"], _context(row["id"]))


def _token(secret: bytes, grant_id: UUID, generation: int) -> str:
    packed = _LAYOUT.pack(grant_id.bytes, generation, _mac(secret, grant_id, generation))
    return urlsafe_b64encode(packed).rstrip(b"=").decode()


def _mac(secret: bytes, grant_id: UUID, generation: int) -> bytes:
    return keyed_hash(secret, "refresh token", str(grant_id), str(generation))


def _context(grant_id: UUID) -> bytes:
    return b"refresh lineage:" + grant_id.bytes
