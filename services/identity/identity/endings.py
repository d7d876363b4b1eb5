"""Ending grants and sessions, and telling every service of it in the same transaction.

Whoever verifies tokens learns by `SessionsEnded` that tokens which have not run out yet are void. Only grants with a
token from the last minutes are named there, since of the others nobody holds one; an event that names none would end
every login of the account, so it is said only when that is meant.
"""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from yijian_common.database import Connection
from yijian_contracts.events.people import SessionsEnded
from yijian_messaging import Transaction

from identity.events import say
from identity.provider import OpenIdProvider

_END_GRANT = """
UPDATE grants SET revoked_at = now(), secret = NULL WHERE id = $1 AND revoked_at IS NULL
RETURNING id, person_id, revoked_at
"""
_END_SESSIONS = """
UPDATE login_sessions SET ended_at = now()
WHERE person_id = $1 AND ended_at IS NULL AND ($2::uuid IS NULL OR id = $2) AND ($3::uuid IS NULL OR id <> $3)
RETURNING id
"""
_END_GRANTS = """
UPDATE grants SET revoked_at = now(), secret = NULL
WHERE session_id = ANY($1) AND revoked_at IS NULL
RETURNING id, person_id, revoked_at, used_at > now() - interval '15 minutes' AS recent
"""


async def end_grant(provider: OpenIdProvider, grant_id: UUID) -> None:
    """Call everything back that was given by this grant; nothing happens when that was done before."""
    async with provider.store.transaction() as transaction:
        ended = await transaction.connection.fetchrow(_END_GRANT, grant_id)
        if ended is not None:
            await _tell(transaction, [ended])


async def end_session(provider: OpenIdProvider, person_id: UUID, session_id: UUID) -> bool:
    """End one session of this person; False when they have no such session (any more)."""
    async with provider.store.transaction() as transaction:
        ended = await transaction.connection.fetch(_END_SESSIONS, person_id, session_id, None)
        await _end_grants(transaction, ended)
    return bool(ended)


async def end_other_sessions(transaction: Transaction[Connection], person_id: UUID, *, but: UUID | None) -> None:
    """End every session of this person but one."""
    ended = await transaction.connection.fetch(_END_SESSIONS, person_id, None, but)
    await _end_grants(transaction, ended)


async def end_all(provider: OpenIdProvider, person_id: UUID) -> None:
    """Sign a person out everywhere: every login that began before now is over, also those that we keep no row of."""
    async with provider.store.transaction() as transaction:
        held = transaction.connection
        ended_at = await held.fetchval(
            "UPDATE people SET signed_out_at = clock_timestamp() WHERE id = $1 RETURNING signed_out_at", person_id
        )
        if ended_at is None:
            return
        ended = await held.fetch(_END_SESSIONS, person_id, None, None)
        await held.fetch(_END_GRANTS, [row["id"] for row in ended])
        await say(transaction, SessionsEnded(subject=person_id, ended_at=ended_at))


async def _end_grants(transaction: Transaction[Connection], sessions: Sequence[asyncpg.Record]) -> None:
    ended = await transaction.connection.fetch(_END_GRANTS, [row["id"] for row in sessions])
    await _tell(transaction, [row for row in ended if row["recent"]])


async def _tell(transaction: Transaction[Connection], grants: Sequence[asyncpg.Record]) -> None:
    if grants:
        subject, ended_at = grants[0]["person_id"], grants[0]["revoked_at"]
        named = tuple(sorted(row["id"] for row in grants))
        await say(transaction, SessionsEnded(subject=subject, grants=named, ended_at=ended_at))
