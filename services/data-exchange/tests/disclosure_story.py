"""What the tests of "who saw my data" tell with: one family's disclosures, and evidence checked by a third party."""

import json
from typing import Any
from uuid import UUID, uuid4

import httpx
from data_exchange.actions.disclosing import record_disclosures
from yijian_contracts.events import DataDisclosed, DocumentShown, Event
from yijian_ledger.evidence import Proven, parse_pack, verify_pack
from yijian_ledger.keys import PrivateKey

from .conftest import Service
from .consent_story import FATHER, MOTHER, NOW, bearer, message

LAW = {"kind": "LAW", "reference": "户口登记条例第七条"}
AGREED = {"kind": "CONSENT", "reference": "育儿指导服务"}
CANARIES = {
    ("MOTHER",): "canary-of-the-mother",
    ("FATHER",): "canary-of-the-father",
    ("CHILD",): "canary-of-the-child",
    ("MOTHER", "FATHER"): "canary-of-both",
}


def part(basis: dict[str, str], title: str, *concerns: str) -> dict[str, Any]:
    field = {"name": title.replace("-", "_"), "title": title, "source": "/form"}
    return {"basis": basis, "concerns": concerns, "fields": [field]}


def disclosed(application: UUID | None = None, **changes: Any) -> DataDisclosed:
    """What went to public security for one household registration: something of everyone, and something agreed to."""
    told = {
        "application_id": application or uuid4(),
        "life_event": "birth",
        "department": "public-security",
        "task_id": uuid4(),
        "matter": "B4",
        "child": 1,
        "purpose": "出生登记",
        "people": [{"role": "MOTHER", "ref": MOTHER}, {"role": "FATHER", "ref": FATHER}],
        "guardians": ["MOTHER", "FATHER"],
        "parts": [
            *(part(LAW, title, *concerns) for concerns, title in CANARIES.items()),
            part(AGREED, "mother-agreed-to-this", "MOTHER"),
        ],
        "disclosed_at": NOW,
        **changes,
    }
    return DataDisclosed.model_validate(told)


def only(*concerns: str, **changes: Any) -> DataDisclosed:
    """A disclosure of nothing but what concerns these."""
    return disclosed(parts=[part(LAW, "only-" + "-and-".join(concerns).lower(), *concerns)], **changes)


def shown(*refs: str, **changes: Any) -> DocumentShown:
    """The child's birth certificate, shown to a kindergarten; these people may see that it was."""
    told = {
        "disclosure_id": uuid4(),
        "recipient": "某幼儿园",
        "purpose": "入园登记",
        "kind": "birth-certificate",
        "name": "出生医学证明",
        "people": refs or (MOTHER, FATHER),
        "part": part({"kind": "CONSENT", "reference": "本人出示"}, "canary-on-the-document", "CHILD"),
        "shown_at": NOW,
        **changes,
    }
    return DocumentShown.model_validate(told)


async def record(service: Service, *events: Event) -> None:
    async with service.parts.store.transaction() as transaction:
        messages = [message(event) for event in events]
        assert await record_disclosures(transaction, messages, keyring=service.parts.keyring) == []


async def get(service: Service, path: str, ref: str | None, **query: Any) -> httpx.Response:
    return await service.client.get(path, params=query, headers=bearer(service, ref))


async def seen(service: Service, ref: str | None) -> dict[str, set[str]]:
    """By the id of the disclosure, the titles of the fields that this person is shown."""
    answer = await get(service, "/v1/disclosures", ref, limit=50)
    assert answer.status_code == 200, answer.text
    assert answer.json()["next"] is None
    return {item["id"]: {one["title"] for one in item["fields"]} for item in answer.json()["items"]}


def checked(answer: httpx.Response, key: PrivateKey) -> tuple[Proven, set[str]]:
    """What a third party finds in evidence with the public key alone: what is proven, and every title in it."""
    assert answer.status_code == 200, answer.text
    proven = verify_pack(parse_pack(answer.content), log=key.public, witness=None)
    titles = {
        told["title"]
        for _, item in proven.items
        for portion in (item.opening.portions if item.opening else ())
        for told in portion.content.value["fields"]
    }
    assert all(title in json.dumps(answer.json(), ensure_ascii=False) for title in titles)
    return proven, titles
