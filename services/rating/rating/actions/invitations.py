"""Inviting: one invitation per completed application, with every handling that a department brought to its end."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_common.ids import uuid7
from yijian_contracts.events import ApplicationCompleted, Handling, HandlingOutcome
from yijian_contracts.working_days import end_of_working_days, local_date

from rating.figures import Fact, FactKind
from rating.questionnaire import terms

LONGEST_MINUTES = 10_000_000
_MINUTE = timedelta(minutes=1)


def person_of(keyring: Keyring, subject: str) -> bytes:
    """How an account is known here: by keyed hash."""
    return keyring.blind_index("person", subject)


@dataclass(slots=True)
class _Work:
    """What a batch adds, column by column."""

    invitations: list[tuple[Any, ...]] = field(default_factory=list)
    handlings: list[tuple[Any, ...]] = field(default_factory=list)


async def invite(
    connection: Connection, completed: Sequence[ApplicationCompleted], *, keyring: Keyring, at: datetime
) -> list[Fact]:
    """Invite the applicants of these applications to review; who was invited for one already is not again.

    The time to review begins now, when the person can act on it, and not at completion: what held the message up shall
    not cost them days. Returns what is to be counted at the transaction's end.
    """
    told = {event.application_id: event for event in completed if event.handlings}
    if not told:
        return []
    people = {event.application_id: person_of(keyring, event.personal.applicant) for event in told.values()}
    forgotten = await _erased(connection, list(people.values()))
    work = _Work()
    closes = end_of_working_days(at, terms().review)
    for event in told.values():
        person = people[event.application_id]
        if person in forgotten:
            continue
        invitation = uuid7()
        work.invitations.append(
            (
                invitation,
                person,
                event.application_id,
                event.life_event,
                keyring.new_data_key().wrapped,
                event.completed_at,
                at,
                closes.at,
                closes.provisional,
            )
        )
        work.handlings += [_handling_row(invitation, handling) for handling in event.handlings]
    new = await _insert_invitations(connection, work.invitations)
    rows = [row for row in work.handlings if row[1] in new]
    await _insert_handlings(connection, rows)
    return _together(FactKind.INVITED, [row[2] for row in rows], at)


def _together(kind: FactKind, departments: Iterable[str], at: datetime) -> list[Fact]:
    """One fact for all that happened to each department in this transaction, which makes them true exactly once."""
    return [
        Fact(uuid4(), kind, department, local_date(at), times=times)
        for department, times in sorted(Counter(departments).items())
    ]


async def _erased(connection: Connection, people: Sequence[bytes]) -> set[bytes]:
    rows = await connection.fetch("SELECT person FROM erased_person WHERE person = ANY($1)", list(people))
    return {row["person"] for row in rows}


def _handling_row(invitation: UUID, handling: Handling) -> tuple[Any, ...]:
    """The columns of a handling. Everything that departments do for us so far is asked for and answered online."""
    return (
        uuid7(),
        invitation,
        handling.department,
        handling.matter,
        handling.name,
        handling.child,
        handling.outcome is HandlingOutcome.GRANTED,
        min(handling.promised_minutes, LONGEST_MINUTES),
        _taken_minutes(handling),
        0,
        True,
    )


def _taken_minutes(handling: Handling) -> int:
    """Whole minutes from being asked to the end, each begun one counted."""
    minutes = -((handling.requested_at - handling.ended_at) // _MINUTE)
    return max(0, min(minutes, LONGEST_MINUTES))


async def _insert_invitations(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> set[UUID]:
    if not rows:
        return set()
    stored = await connection.fetch(
        """
        INSERT INTO invitation
            (id, person, application_id, life_event, data_key, completed_at, invited_at, closes_at, provisional,
             next_look_at)
        SELECT id, person, application_id, life_event, data_key, completed_at, invited_at, closes_at, provisional,
            closes_at
        FROM unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::text[], $5::bytea[], $6::timestamptz[],
            $7::timestamptz[], $8::timestamptz[], $9::bool[])
            AS i(id, person, application_id, life_event, data_key, completed_at, invited_at, closes_at, provisional)
        ORDER BY application_id
        ON CONFLICT (application_id) DO NOTHING RETURNING id
        """,
        *(list(column) for column in zip(*rows, strict=True)),
    )
    return {row["id"] for row in stored}


async def _insert_handlings(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    if not rows:
        return
    await connection.execute(
        """
        INSERT INTO handling
            (id, invitation_id, department, matter, name, child, granted, promised_minutes, taken_minutes, visits,
             online)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::int2[], $7::bool[],
            $8::int[], $9::int[], $10::int2[], $11::bool[])
        """,
        *(list(column) for column in zip(*rows, strict=True)),
    )


async def record_defaults(connection: Connection, *, at: datetime, limit: int) -> tuple[int, list[Fact]]:
    """Close invitations whose time is over: a handling that nobody reviewed gets a default, apart from reviews.

    Returns how many invitations were looked at, and what is to be counted at the transaction's end.
    """
    due = await connection.fetch(
        "SELECT id FROM invitation WHERE next_look_at <= $1 ORDER BY next_look_at LIMIT $2 FOR UPDATE SKIP LOCKED",
        at,
        limit,
    )
    ids = [row["id"] for row in due]
    if not ids:
        return 0, []
    rows = await connection.fetch(
        """
        UPDATE handling h SET defaulted_at = $2
        WHERE h.invitation_id = ANY($1) AND h.defaulted_at IS NULL
            AND NOT EXISTS (SELECT FROM review r WHERE r.handling_id = h.id)
        RETURNING h.department
        """,
        ids,
        at,
    )
    await connection.execute("UPDATE invitation SET next_look_at = NULL WHERE id = ANY($1)", ids)
    return len(ids), _together(FactKind.DEFAULTED, [row["department"] for row in rows], at)


async def reckon_invitations(connection: Connection, *, limit: int) -> int:
    """Compute the ends of open invitations anew that were counted in a provisional calendar; how many moved."""
    rows = await connection.fetch(
        """
        SELECT id, invited_at, closes_at, provisional FROM invitation
        WHERE provisional AND next_look_at IS NOT NULL ORDER BY invited_at LIMIT $1 FOR UPDATE SKIP LOCKED
        """,
        limit,
    )
    ends = {row["id"]: end_of_working_days(row["invited_at"], terms().review) for row in rows}
    moved = [row["id"] for row in rows if (row["closes_at"], row["provisional"]) != astuple(ends[row["id"]])]
    await connection.execute(
        """
        UPDATE invitation i SET closes_at = n.closes_at, next_look_at = n.closes_at, provisional = n.provisional
        FROM unnest($1::uuid[], $2::timestamptz[], $3::bool[]) AS n(id, closes_at, provisional) WHERE i.id = n.id
        """,
        moved,
        [ends[one].at for one in moved],
        [ends[one].provisional for one in moved],
    )
    return len(moved)
