"""What the tests of consents tell with: people by their reference, consents as approval publishes them."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from data_exchange.actions.consenting import register_consents
from yijian_contracts.cloudevents import CloudEvent, decode
from yijian_contracts.events import (
    ConsentsGiven,
    ConsentText,
    ConsentWithdrawn,
    Event,
    GivenConsent,
    WithdrawalsToldUntil,
)
from yijian_contracts.topics import CONSENTS_WITHDRAWN
from yijian_messaging import Message, Record, Rejected
from yijian_messaging.kafka import header_list

from .conftest import AUDIENCE, Service

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
MOTHER, FATHER, STRANGER = "m" * 43, "f" * 43, "s" * 43
SUBJECTS = {ref: str(uuid4()) for ref in (MOTHER, FATHER, STRANGER)}
TEXT = "我同意将子女的出生信息提供给卫生健康部门，用于发放育儿指导服务。"


class OneConsent(ConsentsGiven):
    """What most tests tell: a single consent."""

    @property
    def consent_id(self) -> UUID:
        (given,) = self.consents
        return given.consent_id


def consent(giver: str = "MOTHER", ref: str = MOTHER, *, application: UUID | None = None, **changes: Any) -> OneConsent:
    """A consent to parenting services, given with an application."""
    application_id = application or uuid4()
    told = {
        "application_id": application_id,
        "life_event": "birth",
        "giver": giver,
        "giver_ref": ref,
        "means": "APPLICATION",
        "given_at": NOW,
        "consents": [one_of(application_id, giver, **changes)],
        **{name: value for name, value in changes.items() if name in ConsentsGiven.model_fields},
    }
    return OneConsent.model_validate(told)


def one_of(application_id: UUID, giver: str, *, basis: str = "parenting-guidance", **changes: Any) -> dict[str, Any]:
    """One of the consents that are given at once; `changes` are to it or to what it agrees to."""
    text = changes.get("text", TEXT)
    agreed_to = {
        "basis": basis,
        "version": 1,
        "text": text,
        "text_digest": hashlib.sha256(text.encode()).hexdigest(),
        "purpose": "育儿指导服务",
        "for_children": True,
        "fields": [
            {"department": "health", "matter": "B7", "name": "mother_name", "title": "母亲姓名"},
            {"department": "medical-insurance", "matter": "B5", "name": "account", "title": "银行账号"},
            {"department": "health", "matter": "B7", "name": "birth_date", "title": "出生日期"},
        ],
    }
    one = {
        "consent_id": GivenConsent.id_for(application_id, basis, giver),
        "valid_until": NOW + timedelta(days=365 * 20),
        "agreed_to": agreed_to | {name: value for name, value in changes.items() if name in ConsentText.model_fields},
    }
    return one | {name: value for name, value in changes.items() if name in GivenConsent.model_fields}


def message(event: Event) -> Message[CloudEvent[Event]]:
    told = CloudEvent(id=str(event.event_id), source="/t", time=NOW, data=event)
    return Message(told.id, told, Record(event.topic, 0, 0, event.key.encode(), b"", (), 0))


async def register(service: Service, *events: Event) -> list[Rejected]:
    async with service.parts.store.transaction() as transaction:
        messages = [message(event) for event in events]
        return await register_consents(transaction, messages, keyring=service.parts.keyring)


def bearer(service: Service, ref: str | None) -> dict[str, str]:
    """The Authorization header of the person with this reference; None is an account tied to no number."""
    subject = SUBJECTS.get(ref or "", str(uuid4()))
    return {"Authorization": f"Bearer {service.issuer.citizen(AUDIENCE, subject=subject, id_proof=ref)}"}


async def unsent(service: Service) -> Sequence[ConsentWithdrawn | WithdrawalsToldUntil]:
    """What waits to be sent to approval, in order."""
    rows = await service.parts.store.unsent(list(range(16)), 10_000)
    said = [decode(header_list(row.message.headers), row.message.value).data for row in rows]
    return [
        event
        for row, event in zip(rows, said, strict=True)
        if row.message.topic == CONSENTS_WITHDRAWN and isinstance(event, ConsentWithdrawn | WithdrawalsToldUntil)
    ]
