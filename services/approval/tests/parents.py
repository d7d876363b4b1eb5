"""Parents as approval's API meets them: they apply, read what is asked of them, answer, and take back."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
from approval.actions.withdrawals import Told, carry_out_withdrawals
from approval.application import Application, ConsentState, TaskState
from yijian_contracts.cloudevents import CloudEvent
from yijian_contracts.events import ConsentWithdrawn, GivenConsent
from yijian_messaging import Message, Record, Rejected

from .conftest import Service

S, C = TaskState, ConsentState
FATHERS = ("card-guardian", "parenting-guidance")
OFF_THE_RECORD = Record("data-exchange.consents", 0, 0, b"k", b"v", (), 0)


async def applications_of(service: Service, number: int) -> int:
    """How many applications a family's mother has."""
    service.mother(number)
    found: int = await service.parts.pool.fetchval(
        "SELECT count(*) FROM application WHERE applicant = $1", service.subjects[number]
    )
    return found


async def submitted(service: Service, **changes: Any) -> tuple[UUID, int]:
    """An application of a family that has none; its father has not been asked anything beforehand."""
    number = next(service.families)
    answer = await service.submit(number, **{"authorised": False, **changes})
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["id"]), number


async def consents(service: Service, application: UUID, who: Mapping[str, str]) -> dict[tuple[str, str], Any]:
    answer = await service.client.get(f"/v1/applications/{application}/consents", headers=dict(who))
    assert answer.status_code == 200, answer.text
    return {(each["basis"], each["giver"]): each for each in answer.json()}


async def answered(
    service: Service, application: UUID, who: Mapping[str, str], *, key: str | None = None, **body: Any
) -> httpx.Response:
    headers = {**who, "Idempotency-Key": key or uuid4().hex}
    return await service.client.post(f"/v1/applications/{application}/consents", json=body, headers=headers)


async def tasks(service: Service, application: UUID, who: Mapping[str, str]) -> dict[str, Any]:
    answer = await service.client.get(f"/v1/applications/{application}", headers=dict(who))
    return {task["key"]: task for task in answer.json()["tasks"]}


def states(application: Application) -> dict[str, TaskState]:
    return {task.key: task.state for task in application.tasks}


async def told(service: Service, *events: Told) -> list[Rejected]:
    """What data-exchange says about consents, as the consumer hands it over."""
    messages = [Message(str(event.event_id), _cloud_event(event), OFF_THE_RECORD) for event in events]
    async with service.parts.store.transaction() as transaction:
        return await carry_out_withdrawals(transaction, messages, effects=service.parts.effects)


def _cloud_event(event: Told) -> CloudEvent[Told]:
    return CloudEvent(
        id=str(event.event_id), source="data-exchange", time=datetime.now(UTC), data=event, traceparent=None
    )


def withdrawn(application: UUID, basis: str, giver: str) -> ConsentWithdrawn:
    return ConsentWithdrawn(
        application_id=application,
        consent_id=GivenConsent.id_for(application, basis, giver),
        basis=basis,
        giver=giver,
        withdrawn_at=datetime.now(UTC),
    )
