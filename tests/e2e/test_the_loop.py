"""The loop closes: what was done is provable to those it concerns, lies in their wallet, and is rated by them.

One application, told to its end: the ledger holds each disclosure and a stranger can check it; the documents are there
and can be shown; the bad review becomes an order, the department puts it right, everyone can read that it did.
"""

import json
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from yijian_cli.ledger_web import Web
from yijian_contracts.events import RECTIFICATION, ApplicationOutcome, TaskRequested
from yijian_contracts.identifiers import parse_licence_identifier
from yijian_contracts.working_days import end_of_working_days
from yijian_examples.family import Family
from yijian_ledger.audit import Witnessing, audit
from yijian_ledger.evidence import EvidenceError, verify_pack
from yijian_ledger.keys import PublicKey, read_public_key
from yijian_messaging.testing import wait_until

from tests.e2e.city import City, Resident, standard_form, task

pytestmark = pytest.mark.e2e

TASKS = 10
DOCUMENTS = 7


async def completed(mother: Resident, form: dict[str, Any]) -> UUID:
    application = await mother.apply(form)
    done = await mother.wait_until_over(application)
    assert done.outcome is ApplicationOutcome.ALL_GRANTED
    return application


async def get(person: Resident, service: str, path: str, **query: Any) -> Any:
    answer = await person.at(service, "GET", path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def items(person: Resident, service: str, path: str, *, count: int) -> list[dict[str, Any]]:
    """A list once it has this many entries: what happened travels by Kafka."""
    found: list[dict[str, Any]] = []

    async def there() -> bool:
        found[:] = (await get(person, service, path))["items"]
        return len(found) >= count

    await wait_until(there, what=f"{count} entries at {service}{path}")
    return found


def public_keys(city: City) -> tuple[PublicKey, PublicKey]:
    """The two public keys that a stranger needs: the ledger's and the witness's."""
    home = city.platform.home
    return read_public_key(home.ledger_public_key), read_public_key(home.witness_public_key)


async def test_one_birth_told_to_its_end(city: City):
    one = city.families.take()
    mother, father = city.resident(one.account), city.resident(one.father_account)
    application = await completed(mother, standard_form(one))

    await each_disclosure_is_in_the_ledger_for_those_whom_it_concerns(city, mother, father, application)
    await the_documents_are_in_the_wallet_and_showing_one_is_a_disclosure(city, mother, father)
    await a_bad_review_becomes_an_order_and_the_order_is_put_right(city, one, mother, application)


async def each_disclosure_is_in_the_ledger_for_those_whom_it_concerns(
    city: City, mother: Resident, father: Resident, application: UUID
) -> None:
    hers = await items(mother, "data-exchange", "/disclosures", count=TASKS)
    assert len(hers) == TASKS
    received = {(d["department"], d["matter"]): d for d in hers}
    certificate = received["health", "B2"]
    assert certificate["recipient"] == "卫生健康委员会"
    assert {field["basis"]["kind"] for field in certificate["fields"]} == {"LAW"}
    assert "母婴保健法" in certificate["fields"][0]["basis"]["reference"]
    guidance = received["health", "B9"]
    agreed = [field for field in guidance["fields"] if field["basis"]["kind"] == "CONSENT"]
    assert agreed
    assert agreed[0]["basis"]["consent"]["text"]

    # The father sees what concerns him and the child, and nothing of hers.
    his = await items(father, "data-exchange", "/disclosures", count=1)
    assert {role for d in his for field in d["fields"] for role in field["concerns"]} >= {"FATHER", "CHILD"}
    assert not any(field["concerns"] == ["MOTHER"] for d in his for field in d["fields"])
    assert any(field["concerns"] == ["MOTHER"] for d in hers for field in d["fields"])

    async def covered() -> bool:
        return all(d["covered"] for d in (await get(mother, "data-exchange", "/disclosures"))["items"])

    await wait_until(covered, what="a checkpoint over all of it")
    log, witness = public_keys(city)

    async def witnessed() -> bool:
        state = (await city.http.get(f"{city.platform.url('data-exchange')}/v1/ledger")).json()
        return bool(state["witnessed"]) and state["witnessed"]["size"] > max(d["leaf_index"] for d in hers)

    await wait_until(witnessed, what="the witness to have seen all of it")
    pack = await get(mother, "data-exchange", f"/applications/{application}/evidence")
    proven = verify_pack(pack, log=log, witness=witness)
    assert proven.cosigned_at is not None
    assert {str(content.id) for content, _ in proven.items} == {d["id"] for d in hers}
    forged = json.loads(json.dumps(pack).replace("卫生健康", "环境保护").replace("health", "heaven"))
    with pytest.raises(EvidenceError):
        verify_pack(forged, log=log, witness=witness)

    web = Web(city.platform.url("data-exchange"))
    result = audit(web, log, witness=Witnessing(Web(city.platform.url("witness")), witness), memory=None)
    assert result.in_order, [finding.text for finding in result.findings]
    # approval asks for more only while nothing is uncovered for long; now nothing is.
    await wait_until(lambda: nothing_uncovered(city), what="approval to hear of the checkpoint")


async def nothing_uncovered(city: City) -> bool:
    return city.query("approval", "SELECT count(*) AS n FROM disclosure_uncovered")[0]["n"] == 0


async def the_documents_are_in_the_wallet_and_showing_one_is_a_disclosure(
    city: City, mother: Resident, father: Resident
) -> None:
    documents = await items(mother, "identity", "/documents", count=DOCUMENTS)
    assert len(documents) == DOCUMENTS
    for document in documents:
        parsed = parse_licence_identifier(document["identifier"])
        assert parsed.version == 1
        assert document["status"] == "VALID"
    assert {d["kind"] for d in await items(father, "identity", "/documents", count=1)} >= {"birth-certificate"}
    certificate = next(d for d in documents if d["kind"] == "birth-certificate")
    whole = await get(mother, "identity", f"/documents/{certificate['id']}")
    assert "*" in certificate["number"]
    assert "*" not in whole["number"]

    asked = {"purpose": "孩子入托", "recipient": "春苗托育园", "fields": ["number"]}
    shown = await mother.at(
        "identity",
        "POST",
        f"/documents/{certificate['id']}/presentations",
        json=asked,
        headers={"Idempotency-Key": "shown-to-the-nursery"},
    )
    assert shown.status_code in (200, 201), shown.text
    link = urlsplit(shown.json()["link"])
    page = f"{city.platform.url('identity')}{link.path}"
    seen = await city.http.get(page, headers={"Accept": "application/json"})
    assert seen.status_code == 200, seen.text
    assert seen.json()["valid"] is True
    assert whole["number"] in seen.json()["fields"].values()

    async def written_down() -> bool:
        entries = (await get(mother, "data-exchange", "/disclosures"))["items"]
        return any(d["kind"] == "DOCUMENT_SHOWN" and d["recipient"] == "春苗托育园" for d in entries)

    await wait_until(written_down, what="the showing in the mother's ledger")
    looks = await get(mother, "identity", f"/documents/{certificate['id']}/looks")
    assert len(looks["items"] if isinstance(looks, dict) else looks) == 2


async def a_bad_review_becomes_an_order_and_the_order_is_put_right(
    city: City, one: Family, mother: Resident, application: UUID
) -> None:
    (invitation,) = await items(mother, "rating", "/invitations", count=1)
    assert invitation["application_id"] == str(application)
    handling = next(h for h in invitation["handlings"] if h["matter"] == "B4")
    said = "办事指南写得看不懂，来回问了三次"
    review = {"handling": handling["id"], "level": "DISSATISFIED", "options": ["207"], "comment": said}
    given = await mother.at("rating", "POST", "/reviews", json=review, headers={"Idempotency-Key": "a-bad-review"})
    assert given.status_code in (200, 201), given.text
    order = UUID(given.json()["order"])

    # The department learns what was bad, and neither whose application it was nor who says so.
    head = city.official("public-security", 3)
    found: list[dict[str, Any]] = []

    async def on_the_desk() -> bool:
        listed = (await head.request("GET", "/tasks", params={"limit": 200})).raise_for_status().json()
        found[:] = [t for t in listed if t["matter"] == RECTIFICATION and t["application_id"] == str(order)]
        return bool(found)

    await wait_until(on_the_desk, what="the order on the head's desk")
    (asked,) = (event.data for event in city.said_to("public-security", order))
    assert isinstance(asked, TaskRequested)
    text = asked.model_dump_json()
    assert str(application) not in text
    assert one.mother.id_no not in text
    assert asked.due_at == end_of_working_days(asked.requested_at, 3).at

    path = f"/tasks/{found[0]['task_id']}/decision"
    nothing_shown = await head.request("POST", path, json={"act": "APPROVE", "measures": "已整改"})
    assert nothing_shown.status_code == 422
    answer = {
        "act": "APPROVE",
        "measures": f"重写了办事指南的落户一节，修订编号{one.n}",
        "evidence": ["新版办事指南第三版，11月21日公布"],
    }
    done = await head.request("POST", path, json=answer)
    assert done.status_code == 200, done.text

    async def published() -> bool:
        entries = (await city.http.get(f"{city.platform.url('rating')}/v1/published-rectifications")).json()["items"]
        return any(entry["measures"] == answer["measures"] for entry in entries)

    await wait_until(published, what="the answer to be published")
    called = await mother.at(
        "rating", "POST", f"/orders/{order}/callback", json={"satisfied": True}, headers={"Idempotency-Key": "content"}
    )
    assert called.status_code == 200, called.text
    (invitation,) = await items(mother, "rating", "/invitations", count=1)
    ended = next(h for h in invitation["handlings"] if h["matter"] == "B4")["order"]
    assert ended["state"] == "CLOSED"
    assert ended["rectified"] is True
    assert task(await mother.application(application), "B4-1").state == "CLOSED"
