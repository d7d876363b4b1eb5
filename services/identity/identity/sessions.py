"""What a person sees of their sessions, and changing the password, which ends every session but the one it is done in.

A session is one login on one device; what applications were given by it ends with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from yijian_common.database import Connection, connection

from identity.clients import Client
from identity.endings import end_other_sessions
from identity.errors import LoginFailedError, PasswordRefusedError
from identity.logins import LONGEST_PASSWORD, log_in
from identity.passwords import hash_password
from identity.people import Person
from identity.provider import OpenIdProvider

SHORTEST_PASSWORD = 8

_LIST = """
SELECT sessions.id, sessions.device, sessions.auth_time AS since,
       greatest(sessions.auth_time, max(grants.used_at)) AS last_used,
       array_remove(array_agg(DISTINCT grants.client_id ORDER BY grants.client_id)
                    FILTER (WHERE grants.revoked_at IS NULL), NULL) AS clients
FROM login_sessions AS sessions LEFT JOIN grants ON grants.session_id = sessions.id
WHERE sessions.person_id = $1 AND sessions.ended_at IS NULL
GROUP BY sessions.token_index
HAVING sessions.expires_at > now() OR bool_or(grants.revoked_at IS NULL AND grants.expires_at > now())
ORDER BY last_used DESC, sessions.id
"""
_OF_GRANT = "SELECT session_id FROM grants WHERE id = $1 AND person_id = $2"


@dataclass(frozen=True, slots=True)
class OpenSession:
    """One login that goes on; `applications` are the names of those that use it."""

    id: UUID
    device: str
    applications: tuple[str, ...]
    since: datetime
    last_used: datetime
    current: bool


async def open_sessions(
    held: Connection, person_id: UUID, *, current: UUID | None, clients: Mapping[str, Client]
) -> list[OpenSession]:
    """A person's sessions, the one used last first; `current` is the one that asks."""
    return [
        OpenSession(
            id=row["id"],
            device=row["device"],
            applications=tuple(clients[name].name for name in row["clients"] or () if name in clients),
            since=row["since"],
            last_used=row["last_used"],
            current=row["id"] == current,
        )
        for row in await held.fetch(_LIST, person_id)
    ]


async def change_password(
    provider: OpenIdProvider, person: Person, *, current: str, new: str, source: str, session: UUID | None
) -> None:
    """Give `person` a new password and end every session but `session`. Raises `PasswordRefusedError`.

    A wrong current password counts like a failed login, of the account and of the source.
    """
    try:
        await log_in(provider, account=person.account, password=current, source=source)
    except LoginFailedError:
        raise PasswordRefusedError("当前密码不正确，或者尝试次数过多。多次失败后需等待 15 分钟。") from None
    if not SHORTEST_PASSWORD <= len(new) <= LONGEST_PASSWORD:
        raise PasswordRefusedError(f"新密码至少 {SHORTEST_PASSWORD} 个字符，最多 {LONGEST_PASSWORD} 个。")
    if new == current or person.account in new.lower():
        raise PasswordRefusedError("新密码不能与当前密码相同，也不能包含账号。")
    hashed = await hash_password(new)
    async with provider.store.transaction() as transaction:
        await transaction.connection.execute("UPDATE people SET password_hash = $2 WHERE id = $1", person.id, hashed)
        await end_other_sessions(transaction, person.id, but=session)


async def find_session_of(provider: OpenIdProvider, person_id: UUID, grant_id: UUID) -> UUID | None:
    """The session by which a grant was given."""
    async with connection(provider.pool) as held:
        found: UUID | None = await held.fetchval(_OF_GRANT, grant_id, person_id)
    return found
