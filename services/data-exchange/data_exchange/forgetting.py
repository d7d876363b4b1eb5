"""What must not come back: people who were erased, when something said before their erasure arrives after it.

Topics keep their order, and no two of them keep one between them. So whoever writes down something about people holds
`ERASURE_LOCK` shared and asks first, and whoever erases holds it alone: either the erasure finds what was written, or
the writer finds the erasure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from yijian_common.database import Connection

# "erasure" in ASCII.
ERASURE_LOCK: Final = 0x65726173757265

# What approval says of somebody until it has heard of their erasure itself: of an application that nobody here knew yet
# no role is remembered, so only the time tells it from one by somebody who came back.
LATE: Final = timedelta(hours=1)

REMEMBERED: Final = timedelta(days=40)
"""Longer than a topic keeps anything and the inbox remembers it."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Who was erased when, by the keyed hash of their reference, and the roles of cases that nobody plays any more."""

    people: Mapping[bytes, datetime]
    roles: frozenset[tuple[UUID, str]]

    def covers(self, person: bytes, *, case_id: UUID, role: str, said_at: datetime) -> bool:
        """Whether what was said then about this person in this role is to be left out.

        Somebody who was erased and comes back begins anew: with other cases, and later than what was in flight.
        """
        erased_at = self.people.get(person)
        return (erased_at is not None and said_at <= erased_at + LATE) or (case_id, role) in self.roles


async def find_forgotten(connection: Connection, people: Iterable[bytes], cases: Iterable[UUID]) -> Forgotten:
    """Who of these was erased; until the transaction ends nobody else is."""
    # A statement of its own: the next one must see what the last holder of the lock committed.
    await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", ERASURE_LOCK)
    rows = await connection.fetch(
        """
        SELECT person, erased_at, NULL::uuid AS case_id, NULL::text AS role FROM erased_person WHERE person = ANY($1)
        UNION ALL
        SELECT NULL, erased_at, case_id, role FROM erased_role WHERE case_id = ANY($2)
        """,
        list(set(people)),
        list(set(cases)),
    )
    return Forgotten(
        people={row["person"]: row["erased_at"] for row in rows if row["person"] is not None},
        roles=frozenset((row["case_id"], row["role"]) for row in rows if row["case_id"] is not None),
    )


async def note_roles(connection: Connection, roles: Iterable[tuple[UUID, str]]) -> None:
    """From now on nothing about these roles of these cases is written down."""
    ordered = sorted(set(roles))
    await connection.execute(
        """
        INSERT INTO erased_role (case_id, role, erased_at) SELECT r.case_id, r.role, now()
        FROM unnest($1::uuid[], $2::text[]) AS r(case_id, role) ON CONFLICT DO NOTHING
        """,
        [case for case, _ in ordered],
        [role for _, role in ordered],
    )


async def note_never_kept(connection: Connection, disclosures: Sequence[UUID]) -> None:
    """These arrived after everybody they were about had been erased: their leaves say nothing that can be opened."""
    if disclosures:
        await connection.execute(
            "INSERT INTO erased_disclosure (disclosure_id, whole) SELECT id, true FROM unnest($1::uuid[]) AS d(id)"
            " ON CONFLICT DO NOTHING",
            list(disclosures),
        )
