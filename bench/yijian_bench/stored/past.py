"""Which applications of the past there are: copy `n` was submitted `n` steps before the originals, under its own ids.

The ids are derived from `n`, in SQL and here alike, so that what one service keeps of a copy fits what the others keep,
and a second run makes the same.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

A_YEAR_MS = 31_536_000_000
YEARLY = 1_000_000
"""The arrival rate that the past had: a million applications a year, 2,740 a day."""
STEP_MS = A_YEAR_MS // YEARLY


@dataclass(frozen=True, slots=True)
class Past:
    """`origin_ms` is when the first original was submitted, in milliseconds since 1970."""

    origin_ms: int

    def at(self, n: int) -> datetime:
        return datetime.fromtimestamp((self.origin_ms - n * STEP_MS) / 1000, UTC)

    def application(self, n: int) -> UUID:
        """A UUIDv7 of its time, like a real one."""
        digest = _md5(f"application/{n}")
        return UUID(f"{self.origin_ms - n * STEP_MS:012x}7{digest[:3]}8{digest[3:18]}")


def derived(application: UUID, what: str) -> UUID:
    """Some other id that begins like an application's, as derived ids do."""
    spelt = application.hex[:6] + _md5(f"{application}/{what}")
    return UUID(f"{spelt[:12]}8{spelt[12:15]}8{spelt[15:30]}")


def task(application: UUID, matter: str) -> UUID:
    """The id of a copy's task, of its disclosure and of its leaf."""
    return derived(application, f"task/{matter}")


def other(n: int, kind: str) -> bytes:
    """16 bytes that stand for some other id or keyed hash of a copy."""
    return hashlib.md5(f"{kind}/{n}".encode(), usedforsecurity=False).digest()


def days_ago(days: int) -> int:
    """The last copy that was submitted in the last so many days."""
    return days * 86_400_000 // STEP_MS


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


# The same in SQL. A function of a session, which the planner writes out where it is called.
FUNCTIONS = """
CREATE FUNCTION pg_temp.application(n bigint, ms bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex(ms), 12, '0') || '7' || substr(md5('application/' || n), 1, 3)
        || '8' || substr(md5('application/' || n), 4, 15))::uuid $$;
CREATE FUNCTION pg_temp.derived(application uuid, what text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (substr(spelt, 1, 12) || '8' || substr(spelt, 13, 3) || '8' || substr(spelt, 16, 15))::uuid
    FROM (SELECT substr(application::text, 1, 6) || md5(application || '/' || what) AS spelt) s $$;
CREATE FUNCTION pg_temp.task(application uuid, matter text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT pg_temp.derived(application, 'task/' || matter) $$;
CREATE FUNCTION pg_temp.other(n bigint, kind text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT md5(kind || '/' || n)::uuid $$;
CREATE FUNCTION pg_temp.hash(n bigint, kind bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT sha256(kind || int8send(n)) $$;
"""
