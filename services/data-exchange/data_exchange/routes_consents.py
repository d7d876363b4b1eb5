"""HTTP in: the caller's own consents, and taking one back."""

from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from uuid import UUID

from fastapi import APIRouter
from yijian_common import database
from yijian_contracts.departments import departments

from data_exchange import consents
from data_exchange.actions.consenting import withdraw_consent
from data_exchange.consents import Consent
from data_exchange.errors import ConsentNotFound
from data_exchange.paging import Cursor, Limit, read_cursor, write_cursor
from data_exchange.parts import Citizen, Context
from data_exchange.people import find_person
from data_exchange.schemas_consents import ConsentedFieldOut, ConsentedMatterOut, ConsentOut, ConsentPage

routes = APIRouter(prefix="/v1", tags=["consents"])


@routes.get("/consents")
async def list_consents(parts: Context, citizen: Citizen, cursor: Cursor = None, limit: Limit = 20) -> ConsentPage:
    """What the person agreed to, newest first: the text, the fields it lets go where, and whether it still counts."""
    before, giver = read_cursor(cursor), find_person(parts.keyring, citizen)
    if giver is None:
        return ConsentPage(items=[], next=None)
    async with database.connection(parts.pool) as connection:
        rows = await consents.find_page(connection, giver, before=before, limit=limit + 1)
    now = datetime.now(UTC)
    page = [consents.open_consent(row, parts.keyring) for row in rows[:limit]]
    more = write_cursor((page[-1].given_at, page[-1].id)) if len(rows) > limit else None
    return ConsentPage(items=[_as_out(consent, now) for consent in page], next=more)


@routes.post("/consents/{consent_id}/withdrawal")
async def withdraw(consent_id: UUID, parts: Context, citizen: Citizen) -> ConsentOut:
    """Take a consent back: within a minute nothing that rests on it is sent any more. Repeating changes nothing."""
    giver = find_person(parts.keyring, citizen)
    if giver is None:
        raise ConsentNotFound
    async with parts.store.transaction() as transaction:
        consent = await withdraw_consent(transaction, consent_id, giver=giver, keyring=parts.keyring)
    return _as_out(consent, datetime.now(UTC))


def _as_out(consent: Consent, now: datetime) -> ConsentOut:
    kept = consent.kept
    ordered = sorted(kept.fields, key=attrgetter("department", "matter"))
    matters = [
        ConsentedMatterOut(
            department=department,
            department_name=departments()[department].name if department in departments() else department,
            matter=matter,
            fields=[ConsentedFieldOut(name=field.name, title=field.title) for field in fields],
        )
        for (department, matter), fields in groupby(ordered, key=attrgetter("department", "matter"))
    ]
    return ConsentOut(
        id=consent.id,
        application_id=consent.case_id,
        life_event=kept.life_event,
        basis=consent.basis,
        version=kept.version,
        purpose=kept.purpose,
        text=consent.text,
        giver=consent.role,
        for_children=kept.for_children,
        means=kept.means,
        matters=matters,
        given_at=consent.given_at,
        valid_until=consent.valid_until,
        withdrawn_at=consent.withdrawn_at,
        state=consent.state(now),
    )
