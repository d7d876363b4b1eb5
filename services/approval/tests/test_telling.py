"""What approval tells the ledger, the wallet and rating of an application."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from approval.definition import ValidityDefinition
from yijian_common import pairwise
from yijian_contracts.departments import get_department
from yijian_contracts.events import (
    ApplicationCompleted,
    DataDisclosed,
    DocumentIssued,
    HandlingOutcome,
    Outcome,
    RelationRegistered,
    TaskRequested,
)
from yijian_contracts.identifiers import parse_licence_identifier
from yijian_contracts.working_days import CITY_ZONE
from yijian_examples.forms import form_of
from yijian_examples.population import family

from .bureaus import CITIZEN_ID, grant, grant_all, reply, said, state
from .conftest import Service

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(60)]


async def test_each_disclosure_names_the_people_of_the_case_as_data_exchange_knows_them(service: Service):
    application_id, _ = await service.accepted()
    await grant_all(service, application_id)
    parents = family(101)
    told = await said(service, application_id, DataDisclosed)
    assert parents.father is not None
    expected = {
        "MOTHER": pairwise.id_proof(service.exchange_key, parents.mother.id_no),
        "FATHER": pairwise.id_proof(service.exchange_key, parents.father.id_no),
    }
    assert expected["MOTHER"] != pairwise.id_proof(service.pairwise_key, parents.mother.id_no)
    assert len(told) == 10
    for disclosed in told:
        assert {person.role: person.ref for person in disclosed.people} == expected
        assert disclosed.guardians == ("MOTHER", "FATHER")
        assert disclosed.life_event == "birth"
        assert disclosed.child == (None if disclosed.matter in ("C1", "B1", "B8") else 1)
        assert all(part.concerns for part in disclosed.parts)
        assert all(field.title for part in disclosed.parts for field in part.fields)
    requested = {
        event.task_id: set(event.personal.fields) for event in await said(service, application_id, TaskRequested)
    }
    assert requested == {event.task_id: {f.name for part in event.parts for f in part.fields} for event in told}


async def test_a_document_gets_an_identifier_that_anyone_can_check(service: Service):
    application_id, _ = await service.accepted()
    await grant_all(service, application_id)
    issued = {event.kind: event for event in await said(service, application_id, DocumentIssued)}
    assert len(issued) == 7
    certificate = issued["birth-certificate"]
    parts = parse_licence_identifier(certificate.identifier)
    assert (parts.licence_type, parts.issuer) == ("11990100MB0000019L002", get_department("health").uscc)
    assert (UUID(parts.serial), parts.version) == (certificate.task_id, 1)
    assert certificate.expires_at is None
    assert len({event.identifier for event in issued.values()}) == 7
    assert issued["household-page"].personal.owner.owner_id_no == CITIZEN_ID
    (related,) = await said(service, application_id, RelationRegistered)
    assert related.personal.child_id_no == CITIZEN_ID


async def test_rating_hears_who_applied_and_what_each_department_decided(service: Service):
    application_id = UUID((await service.submit(101)).json()["id"])
    for key in ("C1", "B2-1"):
        task = (await state(service, application_id)).find_task(key)
        assert task is not None
        await grant(service, application_id, task)
    await reply(service, application_id, "B9-1", Outcome.REJECTED, reason="不在服务范围", decided_by="post-1")
    await reply(service, application_id, "B8", Outcome.NOT_ACCEPTED, reason="材料不齐")
    done = await grant_all(service, application_id)
    (completed,) = await said(service, application_id, ApplicationCompleted)
    assert completed.personal.applicant == service.subjects[101]
    handlings = {handling.matter: handling for handling in completed.handlings}
    assert set(handlings) == {task.matter for task in done.tasks}
    refused = {matter for matter, handling in handlings.items() if handling.outcome is HandlingOutcome.REFUSED}
    assert refused == {"B8", "B9"}
    assert (handlings["B9"].automatic, handlings["B4"].automatic) == (False, True)
    assert (handlings["B4"].promised_minutes, handlings["B4"].attempts) == (40, 1)
    assert handlings["B4"].name == "国（境）内出生登记（户口登记）"
    assert all(handling.requested_at <= handling.ended_at for handling in handlings.values())


async def test_what_was_done_before_is_not_there_to_be_rated(service: Service):
    form = form_of(family(101)) | {"already_done": ["B2"]}
    form["newborns"] = [child | {"birth_cert_no": "Z990000001"} for child in form["newborns"]]
    application_id = UUID((await service.submit(101, form=form)).json()["id"])
    await reply(service, application_id, "C1", Outcome.APPROVED, personal={"outputs": {"marriage_verified": True}})
    certificate = {"outputs": {"birth_cert_no": "Z990000001"}}
    assert await reply(service, application_id, "B2-1", Outcome.PROVEN, personal=certificate) == []
    await grant_all(service, application_id)
    (completed,) = await said(service, application_id, ApplicationCompleted)
    assert "B2" not in {handling.matter for handling in completed.handlings}


@pytest.mark.parametrize(
    ("value", "unit", "issued", "until"),
    [
        (30, "DAY", (2026, 1, 31), (2026, 3, 2)),
        (1, "MONTH", (2026, 1, 31), (2026, 2, 28)),
        (14, "MONTH", (2026, 11, 21), (2028, 1, 21)),
        (10, "YEAR", (2024, 2, 29), (2034, 2, 28)),
        (1, "MONTH", (2026, 12, 5), (2027, 1, 5)),
    ],
)
def test_a_document_is_valid_until_the_same_day_of_a_later_month(
    value: int, unit: str, issued: tuple[int, int, int], until: tuple[int, int, int]
) -> None:
    validity = ValidityDefinition.model_validate({"value": value, "unit": unit})
    assert validity.until(datetime(*issued, 8, tzinfo=UTC)) == datetime(*until, 8, tzinfo=UTC)


def test_the_month_of_a_document_is_that_of_china() -> None:
    validity = ValidityDefinition(value=1, unit="MONTH")
    issued = datetime(2026, 1, 31, 0, 30, tzinfo=CITY_ZONE).astimezone(UTC)
    assert validity.until(issued) == datetime(2026, 2, 28, 0, 30, tzinfo=CITY_ZONE)
