"""Forgetting what has ended: codes, grants, sessions, failed logins, links, looks, and what is left of the erased."""

import asyncio
import contextlib

from yijian_common.database import Pool, transaction

from identity.erasure import FORGET_MESSAGES

EVERY_SECONDS = 600

_FORGET = (
    "DELETE FROM authorization_codes WHERE expires_at < now() - interval '1 day'",
    "DELETE FROM grants WHERE expires_at < now() - interval '1 day'",
    """
    DELETE FROM login_sessions WHERE expires_at < now() - interval '1 day'
    AND NOT EXISTS (SELECT FROM grants WHERE session_id = login_sessions.id)
    """,
    "DELETE FROM authorisation_requests WHERE expires_at < now() - interval '1 day'",
    "DELETE FROM texts WHERE expires_at < now() - interval '1 hour'",
    "DELETE FROM login_failures WHERE since < now() - interval '1 hour'",
    "DELETE FROM presentation WHERE expires_at < now() - interval '1 day'",
    "DELETE FROM document_look WHERE looked_at < now() - interval '3 years'",
    "DELETE FROM identifier_lookup WHERE since < now() - interval '1 hour'",
    # No topic and no dead letter tells of anybody for longer.
    "DELETE FROM erased_person WHERE erased_at < now() - interval '90 days'",
    FORGET_MESSAGES,
    "DELETE FROM erased_message WHERE erased_at < now() - interval '10 days'",
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
