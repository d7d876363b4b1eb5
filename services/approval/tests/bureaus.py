"""The departments as approval's consumer sees them: answers handed over as it does, without a broker."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from approval import engine
from approval.actions.results import record_task_results
from approval.application import Application, Task, TaskState
from approval.queries import get_state
from pydantic import JsonValue
from yijian_common.sealer import KeyringSealer
from yijian_contracts.cloudevents import CloudEvent, decode
from yijian_contracts.events import AnswerParts, Event, IssuedDocument, Outcome, TaskAnswered
from yijian_messaging import Message, Record, Rejected

from .conftest import Service

CITIZEN_ID = "990102202611150044"


def outputs_of(matter: str, serial: str) -> dict[str, JsonValue]:
    """What a department returns when it grants this matter; `serial` tells one application's numbers from another's."""
    outputs: dict[str, dict[str, JsonValue]] = {
        "C1": {"marriage_verified": True},
        "B1": {"birth_registration_no": f"SY-{serial}"},
        "B2": {"birth_cert_no": f"Z99{serial}"},
        "B3": {"vaccination_archive_no": f"JZ-{serial}"},
        "B4": {"citizen_id_no": CITIZEN_ID, "household_no": f"H{serial}", "hukou_address_code": "990102000000"},
        "B5": {"med_insurance_no": f"YB-{serial}"},
        "B6": {"ss_card_no": f"SB-{serial}"},
        "B7": {"payment_no": f"JF-{serial}", "amount_fen": 40000},
        "B8": {"benefit_amount_fen": 300000, "payment_batch": f"PC-{serial}"},
        "B9": {"parenting_service_no": f"YE-{serial}"},
    }
    return outputs[matter]


async def state(service: Service, application_id: UUID) -> Application:
    async with service.parts.pool.acquire() as connection:
        return await get_state(connection, application_id)


async def reply(service: Service, application_id: UUID, key: str, outcome: Outcome, **parts: Any) -> list[Rejected]:
    """The department's answer, as the consumer hands it over."""
    application = await state(service, application_id)
    task = application.find_task(key)
    assert task is not None
    event = TaskAnswered(
        application_id=application_id,
        department=task.department,
        task_id=engine.task_id(application, task),
        matter=task.matter,
        outcome=outcome,
        decided_at=datetime.now(UTC),
        **parts,
    )
    async with service.parts.store.transaction() as transaction:
        return await record_task_results(transaction, [message_of(event)], effects=service.parts.effects)


def message_of(event: TaskAnswered) -> Message[CloudEvent[Any]]:
    record = Record(event.topic, 0, 0, key=None, value=None, headers=(), timestamp_ms=0)
    envelope = CloudEvent(str(event.event_id), "/test", datetime.now(UTC), event)
    return Message(envelope.id, envelope, record)


async def grant(service: Service, application_id: UUID, task: Task, *, serial: str = "0000001") -> None:
    documents = (
        (await service.parts.effects.life_events.get((await state(service, application_id)).digest))
        .matters[task.matter]
        .documents
    )
    issued = tuple(IssuedDocument(kind=document.code, number=f"NO-{serial}-{document.code}") for document in documents)
    personal = AnswerParts(outputs=outputs_of(task.matter, serial), documents=issued)
    assert await reply(service, application_id, task.key, Outcome.APPROVED, personal=personal) == []


async def grant_all(service: Service, application_id: UUID, *, serial: str = "0000001") -> Application:
    """Every department grants whatever it is asked, until nothing is asked any more."""
    while asked := [t for t in (await state(service, application_id)).tasks if t.state is TaskState.SUBMITTED]:
        for task in asked:
            await grant(service, application_id, task, serial=serial)
    return await state(service, application_id)


async def said(service: Service, about: UUID, *kinds: type[Event]) -> list[Any]:
    """The events of these kinds that stand in the outbox about an application, in order, decoded as a reader does."""
    rows = await service.parts.pool.fetch("SELECT * FROM outbox WHERE key = $1 ORDER BY id", str(about))
    sealer = KeyringSealer(service.parts.keys.keyring)
    found = []
    for row in rows:
        value = sealer.open(row["value"]) if row["personal"] else row["value"]
        headers = [(name, text.encode()) for name, text in json.loads(row["headers"]).items()]
        found.append(decode(headers, value).data)
    return [event for event in found if isinstance(event, kinds)]
