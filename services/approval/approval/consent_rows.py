"""The rows of consents: to find what waits for a person, and to show how each was answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from yijian_common.database import Connection
from yijian_contracts.events import ConsentMeans

from approval.application import ConsentState
from approval.engine import ChangeConsent
from approval.rows import Held

Change = tuple[UUID, ChangeConsent]


@dataclass(frozen=True, slots=True)
class ConsentRow:
    """A consent as its row tells it; `party` is its giver as `Keys.party` knows them."""

    basis: str
    giver: str
    party: bytes
    state: ConsentState
    means: ConsentMeans | None
    asked_at: datetime
    given_at: datetime | None
    valid_until: datetime | None


async def insert_consents(connection: Connection, asked: Sequence[tuple[Held, Mapping[str, bytes]]]) -> None:
    """The consents of new applications, each with its parties by role."""
    lines = []
    for held, parties in asked:
        at = held.application.submitted_at
        means = {(e.consent.basis, e.consent.giver): e.means for e in held.effects if isinstance(e, ChangeConsent)}
        for consent in held.application.consents:
            given = consent.state is ConsentState.GIVEN
            lines.append(
                (
                    held.application.id,
                    consent.basis,
                    consent.giver,
                    parties[consent.giver],
                    consent.state,
                    means.get((consent.basis, consent.giver)),
                    at,
                    at if given else None,
                    consent.until,
                )
            )
    if lines:
        await connection.execute(
            """
            INSERT INTO consent (application_id, basis, giver, party, state, means, asked_at, changed_at, given_at,
                valid_until)
            SELECT id, basis, giver, party, state, means, asked_at, asked_at, given_at, valid_until
            FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::timestamptz[],
                $8::timestamptz[], $9::timestamptz[])
                AS c(id, basis, giver, party, state, means, asked_at, given_at, valid_until)
            """,
            *(list(column) for column in zip(*lines, strict=True)),
        )


async def update_consents(connection: Connection, changes: Sequence[Change], *, at: datetime) -> None:
    """Bring rows to where their consents stand now."""
    if not changes:
        return
    given = ConsentState.GIVEN
    await connection.execute(
        """
        UPDATE consent c SET state = n.state, changed_at = $7, means = coalesce(n.means, c.means),
            given_at = CASE WHEN n.state = $8 THEN $7 ELSE c.given_at END,
            valid_until = coalesce(n.until, c.valid_until)
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
            AS n(id, basis, giver, state, means, until)
        WHERE c.application_id = n.id AND c.basis = n.basis AND c.giver = n.giver
        """,
        [application_id for application_id, _ in changes],
        [change.consent.basis for _, change in changes],
        [change.consent.giver for _, change in changes],
        [change.consent.state for _, change in changes],
        [change.means for _, change in changes],
        [change.consent.until for _, change in changes],
        at,
        given,
    )


async def read_consents(connection: Connection, application_id: UUID) -> list[ConsentRow]:
    """The consents of an application, in the order of their bases and givers."""
    rows = await connection.fetch(
        """
        SELECT basis, giver, party, state, means, asked_at, given_at, valid_until FROM consent
        WHERE application_id = $1 ORDER BY basis, giver
        """,
        application_id,
    )
    return [
        ConsentRow(
            basis=row["basis"],
            giver=row["giver"],
            party=row["party"],
            state=ConsentState(row["state"]),
            means=ConsentMeans(row["means"]) if row["means"] else None,
            asked_at=row["asked_at"],
            given_at=row["given_at"],
            valid_until=row["valid_until"],
        )
        for row in rows
    ]


async def read_waiting(connection: Connection, party: bytes, *, limit: int) -> list[UUID]:
    """The applications that wait for a consent of this party, the newest first."""
    rows = await connection.fetch(
        """
        SELECT application_id FROM (
            SELECT DISTINCT application_id FROM consent WHERE party = $1 AND state = 'PENDING'
        ) waiting ORDER BY application_id DESC LIMIT $2
        """,
        party,
        limit,
    )
    return [row["application_id"] for row in rows]
