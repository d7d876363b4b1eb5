"""Named reads."""

from datetime import datetime
from uuid import UUID

import asyncpg
from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_common.tokens import Kind, Principal

from identity.people import COLUMNS, TABLES, Person, read_person

_BY_ACCOUNT = f"SELECT {COLUMNS} FROM {TABLES} WHERE people.account = $1"  # noqa: S608 - constants only
_BY_ID = f"SELECT {COLUMNS} FROM {TABLES} WHERE people.id = $1"  # noqa: S608 - our own names
_BY_ID_NO = f"SELECT {COLUMNS} FROM {TABLES} WHERE people.id_index = $1"  # noqa: S608 - our own names
_BY_SESSION = (
    f"SELECT {COLUMNS}, login_sessions.auth_time, login_sessions.id AS session_id FROM {TABLES}"  # noqa: S608 - our own names
    " JOIN login_sessions ON login_sessions.person_id = people.id"
    " WHERE login_sessions.token_index = $1 AND login_sessions.expires_at > now() AND login_sessions.ended_at IS NULL"
)
_HAS_ENDED = """
SELECT EXISTS (SELECT FROM grants WHERE id = $1 AND revoked_at IS NOT NULL)
    OR NOT EXISTS (SELECT FROM people WHERE id = $2 AND (signed_out_at IS NULL OR to_timestamp($3) >= signed_out_at))
"""
_LOGIN_INSTANT = """
SELECT GREATEST(now(), date_trunc('second', signed_out_at) + interval '1 second') FROM people WHERE id = $1
"""
_FIRST = f"SELECT {COLUMNS} FROM {TABLES} WHERE people.kind = $1 ORDER BY people.account LIMIT $2"  # noqa: S608 - our own names


async def find_account(held: Connection, account: str) -> asyncpg.Record | None:
    """The row of an account, still sealed, with its password hash."""
    return await held.fetchrow(_BY_ACCOUNT, account)


async def find_person(held: Connection, person_id: UUID, *, keyring: Keyring) -> Person | None:
    row = await held.fetchrow(_BY_ID, person_id)
    return None if row is None else read_person(row, keyring)


async def lock_person(held: Connection, person_id: UUID) -> asyncpg.Record | None:
    """The row of a person, still sealed, which nobody changes meanwhile."""
    return await held.fetchrow(f"{_BY_ID} FOR UPDATE OF people", person_id)


async def find_by_id_no(held: Connection, id_no: str, *, keyring: Keyring) -> Person | None:
    """The person with this identity number (GB 11643, upper-case X)."""
    row = await held.fetchrow(_BY_ID_NO, keyring.blind_index("id_no", id_no))
    return None if row is None else read_person(row, keyring)


async def find_session(held: Connection, token_index: bytes) -> asyncpg.Record | None:
    """The row of the person logged in by this session, with `auth_time`."""
    return await held.fetchrow(_BY_SESSION, token_index)


async def login_instant(held: Connection, person_id: UUID) -> datetime:
    """When somebody logs in who does it now; in the second of a sign-out everywhere the next second, see `logins`."""
    instant: datetime = await held.fetchval(_LOGIN_INSTANT, person_id)
    return instant


async def first_people(held: Connection, kind: Kind, limit: int, *, keyring: Keyring) -> list[Person]:
    return [read_person(row, keyring) for row in await held.fetch(_FIRST, kind, limit)]


async def find_grant(held: Connection, grant_id: UUID) -> asyncpg.Record | None:
    return await held.fetchrow("SELECT * FROM grants WHERE id = $1", grant_id)


async def has_ended(held: Connection, principal: Principal) -> bool:
    """Whether an access token that has not run out is void all the same.

    Its grant was called back, its person signed out everywhere since that login, or there is no such person any more.
    A service's own token has neither grant nor person and just runs out.
    """
    if principal.kind not in (Kind.CITIZEN, Kind.OFFICIAL):
        return False
    try:
        grant_id, person_id = UUID(principal.claims["grant"]), UUID(principal.subject)
        auth_time = float(principal.claims["auth_time"])
    except (KeyError, TypeError, ValueError):
        return True
    return bool(await held.fetchval(_HAS_ENDED, grant_id, person_id, auth_time))


async def find_secret_hash(held: Connection, client_id: str) -> bytes | None:
    found: bytes | None = await held.fetchval("SELECT secret_hash FROM client_secrets WHERE client_id = $1", client_id)
    return found
