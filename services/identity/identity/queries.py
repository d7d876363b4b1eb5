"""Named reads."""

from uuid import UUID

import asyncpg
from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_common.tokens import Kind

from identity.people import COLUMNS, TABLES, Person, read_person

_BY_ACCOUNT = f"SELECT {COLUMNS} FROM {TABLES} WHERE people.account = $1"  # noqa: S608 - constants only
_BY_ID = f"SELECT {COLUMNS} FROM {TABLES} WHERE people.id = $1"  # noqa: S608
_BY_SESSION = (
    f"SELECT {COLUMNS}, login_sessions.auth_time FROM {TABLES}"  # noqa: S608
    " JOIN login_sessions ON login_sessions.person_id = people.id"
    " WHERE login_sessions.token_index = $1 AND login_sessions.expires_at > now()"
)
_FIRST = f"SELECT {COLUMNS} FROM {TABLES} WHERE people.kind = $1 ORDER BY people.account LIMIT $2"  # noqa: S608


async def find_account(held: Connection, account: str) -> asyncpg.Record | None:
    """The row of an account, still sealed, with its password hash."""
    return await held.fetchrow(_BY_ACCOUNT, account)


async def find_person(held: Connection, person_id: UUID, *, keyring: Keyring) -> Person | None:
    row = await held.fetchrow(_BY_ID, person_id)
    return None if row is None else read_person(row, keyring)


async def find_session(held: Connection, token_index: bytes) -> asyncpg.Record | None:
    """The row of the person logged in by this session, with `auth_time`."""
    return await held.fetchrow(_BY_SESSION, token_index)


async def first_people(held: Connection, kind: Kind, limit: int, *, keyring: Keyring) -> list[Person]:
    return [read_person(row, keyring) for row in await held.fetch(_FIRST, kind, limit)]


async def is_revoked(held: Connection, grant_id: UUID) -> bool:
    """Whether the tokens of a grant were called back (its code was used twice)."""
    return bool(
        await held.fetchval(
            "SELECT EXISTS (SELECT FROM authorization_codes WHERE grant_id = $1 AND revoked_at IS NOT NULL)", grant_id
        )
    )


async def find_secret_hash(held: Connection, client_id: str) -> bytes | None:
    found: bytes | None = await held.fetchval("SELECT secret_hash FROM client_secrets WHERE client_id = $1", client_id)
    return found
