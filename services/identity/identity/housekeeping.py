"""Forgetting what has ended: codes, grants, sessions, and failed logins."""

import asyncio
import contextlib

from yijian_common.database import Pool, transaction

EVERY_SECONDS = 600

_FORGET = (
    "DELETE FROM authorization_codes WHERE expires_at < now() - interval '1 day'",
    "DELETE FROM grants WHERE expires_at < now() - interval '1 day'",
    """
    DELETE FROM login_sessions WHERE expires_at < now() - interval '1 day'
    AND NOT EXISTS (SELECT FROM grants WHERE session_id = login_sessions.id)
    """,
    "DELETE FROM login_failures WHERE since < now() - interval '1 hour'",
)


class Housekeeping:
    """A background component; runs on any number of replicas."""

    name = "housekeeping"

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            for statement in _FORGET:
                async with transaction(self._pool) as held:
                    await held.execute(statement)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), EVERY_SECONDS)

    def problem(self) -> str | None:
        return None
