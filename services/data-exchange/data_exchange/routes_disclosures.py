"""HTTP out: who saw my data, and evidence of it to take away."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from yijian_common import database
from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_contracts.departments import departments
from yijian_ledger.evidence import Opening

from data_exchange import consents, owners
from data_exchange.consents import Consent
from data_exchange.disclosures import DisclosureKind
from data_exchange.errors import DisclosureNotFound
from data_exchange.evidence import gather
from data_exchange.owners import OwnDisclosure
from data_exchange.paging import Cursor, Limit, read_cursor, write_cursor
from data_exchange.parts import Citizen, Context
from data_exchange.people import find_person
from data_exchange.schemas_disclosures import (
    AgreedTextOut,
    BasisOut,
    DisclosedFieldOut,
    DisclosureOut,
    DisclosurePage,
    EvidenceOut,
    ShownDocumentOut,
)

routes = APIRouter(prefix="/v1", tags=["disclosures"])

Texts = Mapping[tuple[UUID, str], Consent]


@routes.get("/disclosures")
async def list_disclosures(
    parts: Context, citizen: Citizen, cursor: Cursor = None, limit: Limit = 20
) -> DisclosurePage:
    """Who received which of the person's data, newest first; of a child's too, for its guardians."""
    before, person = read_cursor(cursor), find_person(parts.keyring, citizen)
    if person is None:
        return DisclosurePage(items=[], next=None)
    async with database.connection(parts.pool) as connection:
        found = await owners.find_page(connection, person, before=before, limit=limit + 1, keyring=parts.keyring)
        page = found[:limit]
        texts = await _texts(connection, page, parts.keyring)
    more = write_cursor(page[-1].place) if len(found) > limit else None
    return DisclosurePage(items=[_as_out(disclosure, texts) for disclosure in page], next=more)


@routes.get("/disclosures/{disclosure_id}/evidence", response_model=EvidenceOut)
async def get_disclosure_evidence(disclosure_id: UUID, parts: Context, citizen: Citizen) -> JSONResponse:
    """Evidence of one disclosure: the fields that the person may see, and the proof. 409 until it is signed."""
    person = find_person(parts.keyring, citizen)
    async with database.connection(parts.pool) as connection:
        one = person and await owners.find_one(connection, person, disclosure_id, keyring=parts.keyring)
        return await _evidence(connection, [one] if one else [], name=disclosure_id)


@routes.get("/applications/{application_id}/evidence", response_model=EvidenceOut)
async def get_application_evidence(application_id: UUID, parts: Context, citizen: Citizen) -> JSONResponse:
    """Evidence of all that was disclosed of one application and that the person may see, under one checkpoint."""
    person = find_person(parts.keyring, citizen)
    async with database.connection(parts.pool) as connection:
        found = person and await owners.find_of_case(connection, person, application_id, keyring=parts.keyring)
        return await _evidence(connection, found or [], name=application_id)


async def _evidence(connection: Connection, found: list[OwnDisclosure], *, name: UUID) -> JSONResponse:
    if not found:
        raise DisclosureNotFound
    openings = {one.id: Opening(one.opened.details.value, one.opened.salt, one.portions) for one in found}
    pack: dict[str, Any] = await gather(connection, openings)
    return JSONResponse(
        pack,
        headers={"Content-Disposition": f'attachment; filename="evidence-{name}.json"', "Cache-Control": "no-store"},
    )


async def _texts(connection: Connection, page: Iterable[OwnDisclosure], keyring: Keyring) -> Texts:
    """The consents of these cases by the purpose that a basis names; the same words, whoever of the case gave them."""
    cases = {
        one.case_id for one in page for portion in one.portions if portion.content.value["basis"]["kind"] == "CONSENT"
    }
    if not cases:
        return {}
    found = [consents.open_consent(row, keyring) for row in await consents.find_of_cases(connection, cases)]
    return {(consent.case_id, consent.kept.purpose): consent for consent in found}


def _as_out(one: OwnDisclosure, texts: Texts) -> DisclosureOut:
    details = one.opened.details.value
    department = details.get("department")
    known = departments().get(department or "")
    kind = DisclosureKind(details["kind"])
    document = details.get("document")
    return DisclosureOut(
        id=one.id,
        kind=kind,
        disclosed_at=one.disclosed_at,
        recipient=details.get("recipient") or (known.name if known else department or ""),
        department=department,
        matter=details.get("matter"),
        life_event=details.get("life_event"),
        application_id=one.case_id if kind is DisclosureKind.DATA_DISCLOSED else None,
        child=details.get("child"),
        document=ShownDocumentOut(**document) if document else None,
        purpose=details["purpose"],
        fields=[field for portion in one.portions for field in _fields(portion.content.value, one.case_id, texts)],
        leaf_index=one.index,
        covered=one.covered,
        proof=f"/v1/ledger/inclusion?id={one.id}",
        evidence=f"/v1/disclosures/{one.id}/evidence",
    )


def _fields(content: Mapping[str, Any], case_id: UUID, texts: Texts) -> Iterator[DisclosedFieldOut]:
    basis = _basis(content["basis"], texts.get((case_id, content["basis"]["reference"])))
    for field in content["fields"]:
        yield DisclosedFieldOut(**field, concerns=content["concerns"], basis=basis)


def _basis(basis: Mapping[str, Any], consent: Consent | None) -> BasisOut:
    agreed = consent if basis["kind"] == "CONSENT" else None
    return BasisOut(
        kind=basis["kind"],
        reference=basis["reference"],
        consent=AgreedTextOut(version=agreed.kept.version, text=agreed.text) if agreed else None,
    )
