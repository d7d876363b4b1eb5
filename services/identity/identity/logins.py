"""Logging in with a password, and the browser session that follows.

A try counts as failed before the password is looked at, and stops counting when it was right; so a hundred tries at the
same moment are no more than five.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

import asyncpg
from yijian_common.database import connection, transaction

from identity.errors import LoginFailedError
from identity.passwords import matches
from identity.people import Person, read_person
from identity.provider import OpenIdProvider
from identity.queries import find_account, find_session

LOCK_MINUTES = 15
SESSION_HOURS = 8
LONGEST_PASSWORD = 256

# `since` is the first failure's instant until the fifth locks, whose own decides when the lock ends: so neither further
# tries nor successes between the failures make any of them count for longer.
_COUNT = """
INSERT INTO login_failures AS stored (key_index, failures, since) VALUES ($1, 1, now())
ON CONFLICT (key_index) DO UPDATE SET
    failures = CASE WHEN stored.since < now() - make_interval(mins => $3) THEN 1 ELSE stored.failures + 1 END,
    since = CASE WHEN stored.since < now() - make_interval(mins => $3) OR stored.failures = $2 - 1
                 THEN now() ELSE stored.since END
RETURNING failures <= $2
"""
_UNCOUNT = "UPDATE login_failures SET failures = failures - 1 WHERE key_index = $1 AND failures > 0"
# Tokens tell the login's instant in whole seconds: one in the very second of a sign-out everywhere is told as the next,
# so that it is not taken for one before it. The row is locked so that no sign-out overlooks a login beside it.
_START_SESSION = """
INSERT INTO login_sessions (id, token_index, person_id, device, auth_time, expires_at)
SELECT $1, $2, id, $4, GREATEST(now(), date_trunc('second', signed_out_at) + interval '1 second'),
       now() + make_interval(hours => $5)
FROM people WHERE id = $3 FOR SHARE
RETURNING auth_time
"""


@dataclass(frozen=True, slots=True)
class Session:
    """A person who is logged in in this browser."""

    id: UUID
    person: Person
    auth_time: datetime


async def log_in(provider: OpenIdProvider, *, account: str, password: str, source: str) -> Person:
    """The person. Raises `LoginFailedError`, always the same and after the same work."""
    account_key = provider.keyring.blind_index("login account", account)
    source_key = provider.keyring.blind_index("login source", source)
    keys = [
        (account_key, provider.settings.login_failures_per_account),
        (source_key, provider.settings.login_failures_per_source),
    ]
    async with transaction(provider.pool) as held:
        allowed = {key: await held.fetchval(_COUNT, key, limit, LOCK_MINUTES) for key, limit in sorted(keys)}
        row = await find_account(held, account)
    if not allowed[source_key]:  # told sooner, since this says nothing of any account, and hashing is dear
        raise LoginFailedError
    password_hash = None if row is None else row["password_hash"]
    right = len(password) <= LONGEST_PASSWORD and await matches(password_hash, password)
    if row is None or not right or not allowed[account_key]:
        raise LoginFailedError
    async with transaction(provider.pool) as held:
        await held.execute("DELETE FROM login_failures WHERE key_index = $1", account_key)
        await held.execute(_UNCOUNT, source_key)  # only this try: one's own account must not hide guesses at others'
    return read_person(row, provider.keyring)


async def start_session(provider: OpenIdProvider, person: Person, *, device: str) -> tuple[str, Session]:
    """A new session and the secret that the browser's cookie carries; an old cookie is never taken over."""
    token = secrets.token_urlsafe(32)
    session_id = uuid4()
    async with transaction(provider.pool) as held:
        auth_time = await held.fetchval(
            _START_SESSION, session_id, _token_index(provider, token), person.id, device, SESSION_HOURS
        )
    if auth_time is None:  # erased since the password was looked at
        raise LoginFailedError
    return token, Session(session_id, person, auth_time)


async def find_login(provider: OpenIdProvider, token: str | None) -> Session | None:
    """Who is logged in by this cookie."""
    if token is None:
        return None
    async with connection(provider.pool) as held:
        row: asyncpg.Record | None = await find_session(held, _token_index(provider, token))
    if row is None:
        return None
    return Session(row["session_id"], read_person(row, provider.keyring), row["auth_time"])


def _token_index(provider: OpenIdProvider, token: str) -> bytes:
    return provider.keyring.blind_index("login session", token)
