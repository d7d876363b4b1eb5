"""The wallet over HTTP: who sees what, what is written down of it, and who may not."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from identity.wallet.testing import City, arrive, citizen_number

pytestmark = [pytest.mark.postgres]


async def test_a_list_is_masked_and_one_document_is_complete(city: City) -> None:
    identity = await city.certificate()
    (listed,) = await city.documents("mother-0002")
    assert (listed["id"], listed["number"], listed["role"]) == (str(identity), "Z9******67", "MOTHER")
    assert (listed["status"], listed["status_name"], listed["department_name"]) == ("VALID", "有效", "卫生健康委员会")
    assert listed["holder"] == f"990***********{city.case.children[0][-4:]}"

    opened = await city.call("father-0002", "GET", f"/v1/documents/{identity}")
    assert opened.json()["number"] == "Z991234567"
    assert opened.headers["cache-control"] == "no-store"
    assert city.case.children[0] not in opened.text


async def test_every_look_is_written_down_and_the_owner_reads_it(city: City) -> None:
    identity = await city.certificate()
    assert (await city.call("mother-0002", "GET", f"/v1/documents/{identity}/looks")).json() == []
    await city.call("mother-0002", "GET", f"/v1/documents/{identity}")
    await city.call("father-0002", "GET", f"/v1/documents/{identity}")
    await city.call("stranger-0001", "GET", f"/v1/documents/{identity}")

    looks = (await city.call("mother-0002", "GET", f"/v1/documents/{identity}/looks")).json()
    assert [(look["by"], look["who"]) for look in looks] == [
        ("GUARDIAN", "父亲（欧阳**）"),
        ("GUARDIAN", "母亲（欧阳**）"),
    ]
    assert datetime.fromisoformat(looks[0]["at"]) > datetime.now(UTC) - timedelta(minutes=1)
    stored = await city.provider.pool.fetchval("SELECT string_agg(document_look::text, ' ') FROM document_look")
    assert "欧阳".encode().hex() not in stored


async def test_relations_are_told_to_the_parent(city: City) -> None:
    await city.certificate()
    (child,) = (await city.call("mother-0002", "GET", "/v1/relations")).json()
    assert (child["other"], child["role"], child["guardianship"]) == ("CHILD", "MOTHER", True)
    assert child["guardianship_until"] == "2044-11-01"
    assert child["id_no"] == f"990***********{city.case.children[0][-4:]}"
    assert (await city.call("stranger-0001", "GET", "/v1/relations")).json() == []


WAYS = [
    ("GET", ""),
    ("GET", "/looks"),
    ("POST", "/loss"),
    ("DELETE", "/loss"),
    ("POST", "/presentations"),
]


async def way(city: City, account: str | None, identity: UUID, method: str, path: str) -> httpx.Response:
    more: dict[str, Any] = {}
    if path == "/presentations":
        more = {"json": {"purpose": "入学"}, "headers": {"Idempotency-Key": uuid4().hex}}
    return await city.call(account, method, f"/v1/documents/{identity}{path}", **more)


@pytest.mark.parametrize(("method", "path"), WAYS)
async def test_who_may_not(city: City, method: str, path: str) -> None:
    identity = await city.certificate()
    assert (await way(city, None, identity, method, path)).status_code == 401
    assert (await way(city, "stranger-0001", identity, method, path)).status_code == 404
    assert (await way(city, "mother-0002", uuid4(), method, path)).status_code == 404
    assert (await way(city, "father-0001", identity, method, path)).status_code == 403, "L1 is not enough"
    assert (await way(city, "head-health", identity, method, path)).status_code == 403, "an official has no wallet"
    assert (await way(city, "mother-0002", identity, method, path)).status_code in (200, 201)


@pytest.mark.parametrize(("method", "path"), WAYS)
async def test_the_other_parents_own_document_is_not_mine(city: City, method: str, path: str) -> None:
    own = city.case.document("birth-registration", child=None, owner=city.case.mother)
    await city.certificate(own)
    assert (await way(city, "father-0002", own.document_id, method, path)).status_code == 404
    assert (await way(city, "mother-0002", own.document_id, method, path)).status_code in (200, 201)


@pytest.mark.parametrize(("method", "path"), WAYS)
async def test_a_parent_of_an_adult_may_not_any_more(city: City, method: str, path: str) -> None:
    grown = citizen_number(date(2008, 1, 1))
    city.case.children = (grown,)
    identity = await city.certificate()
    assert await city.documents("mother-0002") == []
    assert (await way(city, "mother-0002", identity, method, path)).status_code == 404


async def test_a_token_for_another_service_opens_no_wallet(city: City) -> None:
    await city.certificate()
    for audience in ("approval", "data-exchange", "rating"):
        city.tokens["mother-0002"] = await city.token("mother-0002", audience)
        assert (await city.call("mother-0002", "GET", "/v1/documents")).status_code == 401


async def test_lost_and_found(city: City) -> None:
    identity = await city.certificate()
    lost = await city.call("father-0002", "POST", f"/v1/documents/{identity}/loss")
    assert lost.json()["status"] == "LOST"
    again = await city.call("mother-0002", "POST", f"/v1/documents/{identity}/loss")
    assert again.json()["lost_at"] == lost.json()["lost_at"]
    found = await city.call("mother-0002", "DELETE", f"/v1/documents/{identity}/loss")
    assert (found.json()["status"], found.json()["lost_at"]) == ("VALID", None)
    assert (await city.documents("father-0002"))[0]["status"] == "VALID"


async def test_what_has_run_out_is_expired_and_nothing_is_written_for_it(city: City) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    await arrive(city.provider, city.case.document(expires_at=past), city.case.relation())
    assert (await city.documents("mother-0002"))[0]["status"] == "EXPIRED"


async def revoke(city: City, account: str | None, identity: UUID, reason: str = "出具时材料有误") -> httpx.Response:
    return await city.call(account, "POST", f"/v1/documents/{identity}/revocation", json={"reason": reason})


async def test_the_head_of_the_issuing_office_revokes_for_good(city: City) -> None:
    identity = await city.certificate()
    (listed,) = await city.documents("mother-0002")
    shown = await city.call("head-health", "GET", f"/v1/issued-documents/{listed['identifier']}")
    assert shown.json()["id"] == str(identity)
    assert "Z991234567" not in shown.text
    assert city.case.mother not in shown.text

    revoked = await revoke(city, "head-health", identity)
    assert (revoked.status_code, revoked.json()["status"]) == (200, "REVOKED")
    assert (await revoke(city, "head-health", identity, "另一个理由")).json()["reason"] == "出具时材料有误"

    (seen,) = await city.documents("father-0002")
    assert (seen["status_name"], seen["reason"]) == ("撤销", "出具时材料有误")
    refused = await city.call("mother-0002", "POST", f"/v1/documents/{identity}/loss")
    assert refused.status_code == 409
    found = await city.call("mother-0002", "DELETE", f"/v1/documents/{identity}/loss")
    assert found.json()["status"] == "REVOKED"


async def test_who_may_not_revoke(city: City) -> None:
    identity = await city.certificate()
    for account, status in {
        None: 401,
        "mother-0002": 403,
        "officer-health": 403,
        "head-elsewhere": 403,
        "head-police": 403,
    }.items():
        assert (await revoke(city, account, identity)).status_code == status, account
    assert (await revoke(city, "head-health", uuid4())).status_code == 404
    (listed,) = await city.documents("mother-0002")
    assert listed["status"] == "VALID"
    for account, status in {None: 401, "mother-0002": 403, "head-police": 404, "head-elsewhere": 404}.items():
        answer = await city.call(account, "GET", f"/v1/issued-documents/{listed['identifier']}")
        assert answer.status_code == status, account


async def test_a_page_goes_on_where_the_last_one_ended(city: City) -> None:
    await arrive(
        city.provider, city.case.relation(), *(city.case.document(number=f"Z99000000{place}") for place in range(5))
    )
    numbers, before = [], ""
    for _ in range(3):
        page = (await city.call("mother-0002", "GET", f"/v1/documents?limit=2{before}")).json()
        numbers += [item["version"] for item in page["items"]]
        before = f"&before={page['next']}"
    assert numbers == [5, 4, 3, 2, 1]
    assert page["next"] is None


async def test_another_persons_document_says_nothing_as_a_place_to_go_on_from(city: City) -> None:
    """Neither that it is there nor when it was issued."""
    await city.certificate()
    another = city.case.document(child=None, owner=citizen_number(date(1991, 1, 1)), number="Z990000009")
    await arrive(city.provider, another)
    for unknown in (another.document_id, uuid4()):
        page = (await city.call("mother-0002", "GET", f"/v1/documents?before={unknown}")).json()
        assert page == {"items": [], "next": None}
