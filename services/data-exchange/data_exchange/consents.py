"""A consent as the register keeps it: who gave what, in which words, until when, and whether it was taken back."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import asyncpg
from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_contracts.events import ConsentedField, ConsentMeans, ConsentsGiven, ConsentWithdrawn, GivenConsent
from yijian_contracts.events.base import Part


class ConsentState(StrEnum):
    """GIVEN may be relied on; the other two may not, whoever was first of time and person."""

    GIVEN = "GIVEN"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"


class Kept(Part):
    """The sealed part of a consent."""

    life_event: str
    version: int
    purpose: str
    for_children: bool
    fields: tuple[ConsentedField, ...]
    means: ConsentMeans


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent, opened."""

    id: UUID
    case_id: UUID
    role: str
    basis: str
    text: str
    given_at: datetime
    valid_until: datetime
    withdrawn_at: datetime | None
    kept: Kept

    def state(self, now: datetime) -> ConsentState:
        if self.withdrawn_at is not None:
            return ConsentState.WITHDRAWN
        return ConsentState.EXPIRED if self.valid_until <= now else ConsentState.GIVEN


def seal(event: ConsentsGiven, given: GivenConsent, keyring: Keyring) -> bytes:
    """Under a data key of its own, so that deleting the row leaves nothing to open it with."""
    kept = Kept(
        life_event=event.life_event,
        version=given.agreed_to.version,
        purpose=given.agreed_to.purpose,
        for_children=given.agreed_to.for_children,
        fields=given.agreed_to.fields,
        means=event.means,
    )
    return keyring.new_data_key().seal_envelope(kept.model_dump_json().encode(), _context(given.consent_id))


def open_consent(row: asyncpg.Record, keyring: Keyring) -> Consent:
    """The consent in a row of `consent` with its `text`. Raises `UnsealError`."""
    return Consent(
        id=row["id"],
        case_id=row["case_id"],
        role=row["role"],
        basis=row["basis"],
        text=row["text"],
        given_at=row["given_at"],
        valid_until=row["valid_until"],
        withdrawn_at=row["withdrawn_at"],
        kept=Kept.model_validate_json(keyring.open_envelope(row["sealed"], _context(row["id"]))),
    )


def _context(consent_id: UUID) -> bytes:
    return b"consent:" + consent_id.bytes


def withdrawn(row: asyncpg.Record, at: datetime) -> ConsentWithdrawn:
    """What everyone who sends on this consent has to hear."""
    return ConsentWithdrawn(
        application_id=row["case_id"], consent_id=row["id"], basis=row["basis"], giver=row["role"], withdrawn_at=at
    )


async def find_page(
    connection: Connection, giver: bytes, *, before: tuple[datetime, UUID], limit: int
) -> list[asyncpg.Record]:
    """This person's consents, newest first, those that stand before a place in that order."""
    found: list[asyncpg.Record] = await connection.fetch(
        """
        SELECT c.*, t.text FROM consent c JOIN consent_text t ON t.digest = c.text_digest
        WHERE c.giver = $1 AND (c.given_at, c.id) < ($2, $3) ORDER BY c.given_at DESC, c.id DESC LIMIT $4
        """,
        giver,
        *before,
        limit,
    )
    return found


async def find_of_cases(connection: Connection, cases: Iterable[UUID]) -> list[asyncpg.Record]:
    """Every consent of these cases, whoever gave it."""
    found: list[asyncpg.Record] = await connection.fetch(
        """
        SELECT c.*, t.text FROM consent c JOIN consent_text t ON t.digest = c.text_digest
        WHERE c.case_id = ANY($1) ORDER BY c.given_at, c.id
        """,
        list(set(cases)),
    )
    return found
