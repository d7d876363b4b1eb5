"""What the departments issued lies in the wallets: shown to the family, checked by a stranger, told to the ledger."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from approval.application import TaskState
from yijian_contracts.cloudevents import decode
from yijian_contracts.departments import get_department
from yijian_contracts.events import DocumentShown, PersonErased
from yijian_contracts.identifiers import parse_licence_identifier
from yijian_contracts.topics import DOCUMENTS_SHOWN, ERASURES
from yijian_examples.forms import form_of
from yijian_messaging.testing import wait_until

from tests.e2e.broker import read_all
from tests.e2e.city import City

pytestmark = pytest.mark.e2e

OF_THE_CHILD = {
    "birth-certificate",
    "vaccination-record",
    "household-page",
    "medical-insurance-credential",
    "social-security-card",
    "contribution-receipt",
}


async def wallet(city: City, account: str, method: str, path: str, **options: Any) -> httpx.Response:
    """A request to identity's wallet with this person's token for it."""
    headers = {"Authorization": f"Bearer {await city.token(account, 'identity')}", **options.pop("headers", {})}
    return await city.http.request(method, f"{city.platform.url('identity')}/v1{path}", headers=headers, **options)


async def documents(city: City, account: str, *, wanted: int) -> dict[str, dict[str, Any]]:
    """The documents of somebody's wallet by kind, as soon as there are so many."""
    found: dict[str, dict[str, Any]] = {}

    async def are_there() -> bool:
        answer = await wallet(city, account, "GET", "/documents")
        found.update({item["kind"]: item for item in answer.raise_for_status().json()["items"]})
        return len(found) >= wanted

    await wait_until(are_there, what=f"{wanted} documents in the wallet of {account}", within=30)
    return found


async def test_a_familys_documents_are_in_the_wallets_of_those_they_belong_to(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    await mother.wait_until_over(await mother.apply(form_of(one)))

    hers = await documents(city, one.account, wanted=7)
    his = await documents(city, one.father_account, wanted=7)

    assert set(hers) == set(his) == OF_THE_CHILD | {"birth-registration"}
    for document in hers.values():
        assert document["status_name"] == "有效"
        parts = parse_licence_identifier(document["identifier"])
        assert (parts.issuer, parts.version) == (get_department(document["department"]).uscc, 1)
        assert "*" in document["number"]
    assert {kind for kind, document in hers.items() if document["role"] == "MOTHER"} == set(hers)
    (child,) = (await wallet(city, one.account, "GET", "/relations")).json()
    assert re.fullmatch(r"990\*{11}\d{3}[\dX]", child["id_no"])
    assert child["guardianship"] is True
    registered = {hers[kind]["holder"] for kind in OF_THE_CHILD}
    assert registered == {child["id_no"]}, "also what was issued before the child had a number"

    stranger = city.families.take()
    assert (await wallet(city, stranger.account, "GET", "/documents")).json()["items"] == []
    identity = hers["birth-certificate"]["id"]
    assert (await wallet(city, stranger.account, "GET", f"/documents/{identity}")).status_code == 404


async def test_a_kindergarten_checks_a_certificate_and_the_family_can_see_that(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    await mother.wait_until_over(await mother.apply(form_of(one)))
    certificate = (await documents(city, one.account, wanted=7))["birth-certificate"]
    complete = (await wallet(city, one.account, "GET", f"/documents/{certificate['id']}")).json()

    wish = {"recipient": "阳光幼儿园", "purpose": "入园登记", "fields": ["number"]}
    headers = {"Idempotency-Key": uuid4().hex}
    path = f"/documents/{certificate['id']}/presentations"
    link = (await wallet(city, one.account, "POST", path, json=wish, headers=headers)).json()["link"]
    page = await city.http.get(link, headers={"Accept": "text/html"})
    assert "有效" in page.text
    assert complete["number"] in page.text

    looks = (await wallet(city, one.father_account, "GET", f"/documents/{certificate['id']}/looks")).json()
    assert (looks[0]["by"], looks[0]["who"]) == ("RECIPIENT", "阳光幼儿园")
    assert looks[1]["by"] == "GUARDIAN"

    async def is_told() -> bool:
        records = read_all(city.platform.kafka_credentials("data-exchange"), DOCUMENTS_SHOWN)
        events = [decode(record.headers, record.value).data for record in records]
        return any(isinstance(event, DocumentShown) and event.recipient == "阳光幼儿园" for event in events)

    await wait_until(is_told, what="the disclosure on its way to the ledger", within=20)

    head = await city.token("health-0003", "identity")
    revoked = await city.http.post(
        f"{city.platform.url('identity')}/v1/documents/{certificate['id']}/revocation",
        json={"reason": "出生时间登记有误"},
        headers={"Authorization": f"Bearer {head}"},
    )
    assert revoked.status_code == 200, revoked.text
    page = await city.http.get(link, headers={"Accept": "text/html"})
    assert "撤销" in page.text
    assert complete["number"] not in page.text


async def test_what_was_granted_before_a_withdrawal_stands_in_the_wallet(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    with city.script("public-security", {"matter": "B4", "program": "NEEDS_PERSON", "reason": "核对户口簿"}):
        application = await mother.apply(form_of(one))
        await mother.wait_for_state(application, B2_1=TaskState.CLOSED, B4_1=TaskState.IN_REVIEW)
        await mother.withdraw(application)

    kept = await documents(city, one.account, wanted=2)
    assert kept["birth-certificate"]["status_name"] == "有效"
    assert kept["birth-certificate"]["holder"] == "新生儿"
    assert (await wallet(city, one.account, "GET", "/relations")).json() == []


async def test_documents_wait_for_a_wallet_that_was_away(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    application = await mother.apply(form_of(one))
    city.stop("identity")
    try:
        await mother.wait_until_over(application)
    finally:
        city.start("identity")
    assert len(await documents(city, one.account, wanted=7)) == 7


async def test_a_mother_who_is_erased_leaves_the_childs_documents_to_the_father(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    await mother.wait_until_over(await mother.apply(form_of(one)))
    await documents(city, one.father_account, wanted=7)

    sentence = {"confirm": "我确认注销账户并删除我的个人信息"}
    answer = await wallet(city, one.account, "POST", "/me/erasure", json=sentence)
    assert answer.status_code == 200, answer.text
    assert datetime.fromisoformat(answer.json()["erased_at"]) > datetime.now(UTC) - timedelta(minutes=1)

    assert (await wallet(city, one.account, "GET", "/documents")).status_code == 401
    assert len(await documents(city, one.father_account, wanted=7)) == 7

    async def is_told() -> bool:
        records = read_all(city.platform.kafka_credentials("approval"), ERASURES)
        events = [decode(record.headers, record.value).data for record in records]
        return any(isinstance(event, PersonErased) for event in events)

    await wait_until(is_told, what="the erasure on its way to the others", within=20)
