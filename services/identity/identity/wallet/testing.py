"""For tests: a family and what departments issue to it, told to the wallet as approval tells it."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
from yijian_common.messages import decode_record
from yijian_contracts.cloudevents import CloudEvent, decode, encode
from yijian_contracts.departments import get_department
from yijian_contracts.events import (
    DocumentIssued,
    DocumentOwner,
    DocumentShown,
    Event,
    IssuedParts,
    RelationParts,
    RelationRegistered,
)
from yijian_contracts.identifiers import make_citizen_id, make_licence_identifier
from yijian_messaging import Decoded, Message, Record, Rejected

from identity.accounts import load_accounts
from identity.provider import OpenIdProvider
from identity.wallet.arrivals import record_arrivals

KINDS = {
    "birth-certificate": ("health", "B2", "出生医学证明", "002"),
    "birth-registration": ("health", "B1", "生育登记凭证", "001"),
    "vaccination-record": ("disease-control", "B3", "预防接种证", "001"),
    "household-page": ("public-security", "B4", "居民户口簿（新生儿页）", "001"),
}
_sequence = itertools.count(100)
_moments = itertools.count(1)


def citizen_number(born: date) -> str:
    """The number of somebody born on this day in the fictitious region, another one each time."""
    return make_citizen_id("990101", born, next(_sequence) % 999)


def moment() -> datetime:
    """An instant of today, each later than the one before."""
    return datetime.now(UTC) - timedelta(hours=1) + timedelta(milliseconds=next(_moments))


@dataclass
class Case:
    """One application, its parents and its children by order of birth; numbers are made up unless given."""

    mother: str = field(default_factory=lambda: citizen_number(date(1992, 2, 29)))
    father: str | None = field(default_factory=lambda: citizen_number(date(1988, 8, 8)))
    children: Sequence[str] = field(default_factory=lambda: (citizen_number(date(2026, 11, 1)),))
    id: UUID = field(default_factory=uuid4)

    def document(
        self,
        kind: str = "birth-certificate",
        *,
        child: int | None = 1,
        owner: str | None = None,
        number: str = "Z990000001",
        **changes: Any,
    ) -> DocumentIssued:
        """A document as its department issues it; `owner` is the holder's number if it is known already."""
        department, matter, name, suffix = KINDS[kind]
        uscc, task = get_department(department).uscc, uuid4()
        parts = DocumentOwner(
            child=child, owner_id_no=owner, mother_id_no=self.mother, father_id_no=changes.pop("father", self.father)
        )
        told = {
            "application_id": self.id,
            "department": department,
            "matter": matter,
            "task_id": task,
            "kind": kind,
            "name": name,
            "identifier": make_licence_identifier(uscc + suffix, uscc, task.hex.upper()),
            "issued_at": moment(),
            "personal": IssuedParts(number=number, owner=parts),
        }
        return DocumentIssued.model_validate(told | changes)

    def relation(self, child: int = 1, **changes: Any) -> RelationRegistered:
        """The register's word that this child is these parents'."""
        parts = RelationParts(
            child_id_no=changes.pop("child_id_no", self.children[child - 1]),
            mother_id_no=self.mother,
            father_id_no=changes.pop("father", self.father),
        )
        told = {
            "application_id": self.id,
            "child": child,
            "task_id": uuid4(),
            "registered_at": moment(),
            "personal": parts,
        }
        return RelationRegistered.model_validate(told | changes)


def message(event: Event) -> Message[CloudEvent[Event]]:
    """The event as a consumer hands it on, encoded and decoded."""
    encoded = encode(event, source="approval")
    headers = tuple((name, text.encode()) for name, text in encoded.headers.items())
    record = Record(encoded.topic, 0, 0, encoded.key.encode(), encoded.value, headers, 0)
    decoded: Decoded[CloudEvent[Event]] = decode_record(record)
    return Message(id=decoded.id, content=decoded.content, record=record)


async def arrive(provider: OpenIdProvider, *events: Event) -> list[Rejected]:
    """Hand these events to the wallet as one batch."""
    async with provider.store.transaction() as transaction:
        return await record_arrivals(transaction, [message(event) for event in events], keyring=provider.keyring)


HEAD = {
    "kind": "official",
    "name": "负责人",
    "area": "990100000000",
    "department": "health",
    "matters": ["B1", "B2"],
    "role": "HEAD",
}


@dataclass
class City:
    """identity with a family, a stranger and officials, each with their tokens."""

    provider: OpenIdProvider
    http: httpx.AsyncClient
    case: Case
    tokens: dict[str, str] = field(default_factory=dict)

    async def token(self, account: str, audience: str = "identity") -> str:
        answer = await self.http.post("/dev/token", json={"account": account, "audience": audience})
        return str(answer.raise_for_status().json()["access_token"])

    async def call(self, account: str | None, method: str, path: str, **more: Any) -> httpx.Response:
        headers = dict(more.pop("headers", {}))
        if account is not None:
            if account not in self.tokens:
                self.tokens[account] = await self.token(account)
            headers["Authorization"] = f"Bearer {self.tokens[account]}"
        return await self.http.request(method, path, headers=headers, **more)

    async def documents(self, account: str) -> list[dict[str, Any]]:
        answer = await self.call(account, "GET", "/v1/documents")
        items: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
        return items

    async def certificate(self, *also: Event) -> UUID:
        """The child is registered and has a birth certificate."""
        event = self.case.document(number="Z991234567")
        await arrive(self.provider, event, self.case.relation(), *also)
        return event.document_id

    async def present(self, account: str, identity: UUID, **body: Any) -> httpx.Response:
        """Ask for a link to show a document by."""
        headers = {"Idempotency-Key": body.pop("key", uuid4().hex)}
        path = f"/v1/documents/{identity}/presentations"
        return await self.call(account, "POST", path, json={"purpose": "入学报名"} | body, headers=headers)

    async def shown(self) -> list[DocumentShown]:
        """What was told to the ledger, in order."""
        rows = await self.provider.store.unsent(range(16), 1000)
        events = [
            decode([(name, text.encode()) for name, text in row.message.headers.items()], row.message.value).data
            for row in sorted(rows, key=lambda row: row.row)
        ]
        return [event for event in events if isinstance(event, DocumentShown)]


async def open_city(provider: OpenIdProvider, http: httpx.AsyncClient, folder: Path) -> City:
    """A family and a stranger, and officials with the right post to revoke a birth certificate, and without."""
    case = Case()
    citizens = {
        "mother-0002": case.mother,
        "father-0002": case.father,
        "stranger-0001": citizen_number(date(1990, 1, 1)),
    }
    people: list[dict[str, Any]] = [
        {"kind": "citizen", "account": account, "name": "欧阳一一", "id_no": number, "real_name_level": "L3"}
        for account, number in citizens.items()
    ]
    people += [
        HEAD | {"account": "head-health"},
        HEAD | {"account": "head-elsewhere", "matters": ["B9"]},
        HEAD | {"account": "officer-health", "role": "OFFICER"},
        HEAD | {"account": "head-police", "department": "public-security", "matters": ["B2", "B4"]},
    ]
    path = folder / "people.jsonl"
    path.write_text("\n".join(json.dumps(person) for person in people))
    await load_accounts(provider.pool, provider.keyring, path, allow_fictitious=True)
    return City(provider, http, case)
