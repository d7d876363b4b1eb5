"""Showing a document: a link that lives five minutes, what a verifier sees, and what is written down of it."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from identity.wallet.identifiers import LOOKUPS
from identity.wallet.testing import City
from yijian_common.pairwise import id_proof

pytestmark = [pytest.mark.postgres]

JSON = {"Accept": "application/json"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def link(city: City, identity: UUID, account: str = "mother-0002", **body: Any) -> str:
    answer = await city.present(account, identity, **body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["link"])


async def check(city: City, address: str, headers: dict[str, str] | None = None) -> httpx.Response:
    """Somebody without an account opens a link."""
    return await city.http.get(address, headers=headers or JSON)


async def test_a_verifier_sees_what_the_owner_chose_and_nothing_else(city: City) -> None:
    identity = await city.certificate()
    address = await link(city, identity, recipient="第一小学", purpose="入学报名", fields=["number"])
    seen = (await check(city, address)).json()

    (listed,) = await city.documents("mother-0002")
    assert seen.pop("at")
    assert seen == {
        "valid": True,
        "status": "VALID",
        "status_name": "有效",
        "name": "出生医学证明",
        "issuer": "卫生健康委员会",
        "identifier": listed["identifier"],
        "holder": f"990***********{city.case.children[0][-4:]}",
        "fields": {"证照号码": "Z991234567"},
        "purpose": "入学报名",
        "recipient": "第一小学",
    }
    bare = await check(city, await link(city, identity))
    assert bare.json()["fields"] == {}
    for secret in ("Z991234567", city.case.children[0], city.case.mother, str(city.case.father), "欧阳"):
        assert secret not in bare.text


async def test_the_page_is_plain_chinese_and_nothing_of_it_stays_or_runs(city: City) -> None:
    address = await link(city, await city.certificate(), fields=["number", "holder_id_no"])
    page = await check(city, address, BROWSER)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for word in ("证照核验", "有效", "出生医学证明", "卫生健康委员会", "Z991234567", city.case.children[0], "入学报名"):
        assert word in page.text
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-content-type-options"] == "nosniff"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "<script" not in page.text
    told = await check(city, address)
    assert (told.headers["cache-control"], told.headers["vary"]) == ("no-store", "Accept")


async def test_what_the_owner_writes_is_text_on_the_page(city: City) -> None:
    address = await link(city, await city.certificate(), purpose="<script>alert(1)</script>", recipient='"><img src=x>')
    page = await check(city, address, BROWSER)
    assert "<script>" not in page.text
    assert "<img" not in page.text
    assert "&lt;script&gt;" in page.text


async def test_the_qr_code_holds_the_link(city: City) -> None:
    answer = (await city.present("mother-0002", await city.certificate())).json()
    assert answer["link"].startswith("http://identity.test/v/")
    assert len(answer["link"].rpartition("/")[2]) == 43, "256 bits that nobody guesses"
    assert answer["qr_svg"].startswith("<svg ")
    assert "<script" not in answer["qr_svg"]
    left = datetime.fromisoformat(answer["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=4) < left <= timedelta(minutes=5)
    stored = await city.provider.pool.fetchval("SELECT string_agg(presentation::text, ' ') FROM presentation")
    assert answer["link"].rpartition("/")[2] not in stored


async def test_each_opening_is_a_look_and_a_disclosure(city: City) -> None:
    identity = await city.certificate()
    address = await link(city, identity, recipient="第一小学", fields=["number"], opens=2)
    for _ in range(2):
        await check(city, address)

    looks = (await city.call("father-0002", "GET", f"/v1/documents/{identity}/looks")).json()
    assert [(look["by"], look["who"], look["purpose"]) for look in looks] == [("RECIPIENT", "第一小学", "入学报名")] * 2
    assert looks[0]["fields"] == ["identifier", "holder", "status", "number"]

    told = await city.shown()
    assert len({event.disclosure_id for event in told}) == 2
    key = city.provider.pairwise["data-exchange"]
    family = {id_proof(key, str(number)) for number in (*city.case.children, city.case.mother, city.case.father)}
    for event in told:
        assert set(event.people) == family
        assert (event.recipient, event.purpose, event.kind) == ("第一小学", "入学报名", "birth-certificate")
        assert [part.name for part in event.part.fields] == ["identifier", "holder", "status", "number"]
        assert event.part.basis.kind == "CONSENT"
        assert "Z991234567" not in event.model_dump_json()


async def test_a_parents_own_document_concerns_that_parent_alone(city: City) -> None:
    own = city.case.document("birth-registration", child=None, owner=city.case.mother, number="S-1")
    await city.certificate(own)
    seen = (await check(city, await link(city, own.document_id, fields=["holder_id_no"]))).json()
    assert seen["holder"] == f"欧阳**（990***********{city.case.mother[-4:]}）"
    assert seen["fields"] == {"持证人公民身份号码": city.case.mother}
    (event,) = await city.shown()
    assert event.people == (id_proof(city.provider.pairwise["data-exchange"], city.case.mother),)


async def test_a_link_opens_as_often_as_it_was_made_for(city: City) -> None:
    address = await link(city, await city.certificate(), opens=2)
    assert [(await check(city, address)).status_code for _ in range(4)] == [200, 200, 404, 404]
    ended = await check(city, address, BROWSER)
    assert ended.status_code == 404
    assert "链接已失效" in ended.text
    assert len(await city.shown()) == 2


async def test_of_many_at_once_no_more_open_it_than_may(city: City) -> None:
    address = await link(city, await city.certificate(), opens=3)
    answers = await asyncio.gather(*(check(city, address) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [404] * 17
    assert len(await city.shown()) == 3


async def test_after_five_minutes_it_is_over(city: City) -> None:
    address = await link(city, await city.certificate())
    await city.provider.pool.execute("UPDATE presentation SET expires_at = now() - interval '1 second'")
    assert (await check(city, address)).status_code == 404
    assert await city.shown() == []


async def test_a_guess_opens_nothing_and_looks_like_an_old_link(city: City) -> None:
    address = await link(city, await city.certificate(), opens=1)
    await check(city, address)
    old = await check(city, address)
    guesses = [f"http://identity.test/v/{guess}" for guess in ("a" * 43, "a", "%C3%BC", address[-43:-1], "x" * 4000)]
    for answer in [await check(city, guess) for guess in guesses]:
        assert (answer.status_code, answer.json()) == (old.status_code, old.json())


async def test_what_is_revoked_while_it_is_shown_says_so_and_shows_no_field(city: City) -> None:
    identity = await city.certificate()
    address = await link(city, identity, fields=["number"])
    assert (await check(city, address)).json()["valid"] is True
    await city.call("head-health", "POST", f"/v1/documents/{identity}/revocation", json={"reason": "有误"})

    seen = (await check(city, address)).json()
    assert (seen["valid"], seen["status"], seen["fields"]) == (False, "REVOKED", {})
    page = await check(city, address, BROWSER)
    assert "撤销" in page.text
    assert "Z991234567" not in page.text
    assert [len(event.part.fields) for event in await city.shown()] == [4, 3, 3]
    assert (await city.present("mother-0002", identity)).status_code == 409


async def test_lost_expired_and_reissued_documents_are_not_valid_either(city: City) -> None:
    identity = await city.certificate()
    for change, status in (
        ("lost_at = now()", "LOST"),
        ("lost_at = NULL, expires_at = now() - interval '1 minute'", "EXPIRED"),
        ("expires_at = NULL, replaced_at = now()", "CANCELLED"),
    ):
        await city.provider.pool.execute(
            "UPDATE document SET lost_at = NULL, expires_at = NULL, replaced_at = NULL WHERE id = $1", identity
        )
        address = await link(city, identity)
        await city.provider.pool.execute(f"UPDATE document SET {change} WHERE id = $1", identity)  # noqa: S608 - our own names
        assert (await check(city, address)).json()["status"] == status
        assert (await city.present("mother-0002", identity)).status_code == 409


@pytest.mark.parametrize("round_", range(5))
async def test_once_a_revocation_is_answered_nobody_is_told_that_it_is_valid(city: City, round_: int) -> None:
    identity = await city.certificate()
    address = await link(city, identity, opens=10)
    answers: list[str] = []
    late: list[str] = []
    revoked = asyncio.Event()

    async def open_again_and_again() -> None:
        for _ in range(3):
            seen_by = late if revoked.is_set() else answers
            seen_by.append((await check(city, address)).json()["status"])

    async def take_back() -> None:
        await asyncio.sleep(0.004 * round_)
        path = f"/v1/documents/{identity}/revocation"
        assert (await city.call("head-health", "POST", path, json={"reason": "有误"})).status_code == 200
        revoked.set()

    await city.call("head-health", "GET", "/v1/issued-documents/none")  # has its token, so that revoking is quick
    await asyncio.gather(open_again_and_again(), take_back(), open_again_and_again(), open_again_and_again())

    assert len(answers) + len(late) == 9
    assert set(late) <= {"REVOKED"}
    assert (await check(city, address)).json()["status"] == "REVOKED"
    assert [len(event.part.fields) for event in await city.shown()] == [3] * 10


async def test_the_same_request_again_gives_the_same_link(city: City) -> None:
    identity = await city.certificate()
    first = await city.present("mother-0002", identity, key="0123456789")
    again = await city.present("mother-0002", identity, key="0123456789")
    other = await city.present("mother-0002", identity, key="0123456789", purpose="别的用途")
    assert first.json() == again.json()
    assert other.status_code == 422
    at_once = await asyncio.gather(*(city.present("mother-0002", identity, key="abcdefghij") for _ in range(8)))
    assert len({answer.json()["link"] for answer in at_once if answer.status_code == 201}) == 1
    assert {answer.status_code for answer in at_once} <= {201, 409}
    assert await city.provider.pool.fetchval("SELECT count(*) FROM presentation") == 2


@pytest.mark.parametrize(
    "body",
    [
        {"purpose": ""},
        {"purpose": "x" * 201},
        {"purpose": "换\n行"},
        {"fields": ["mother"]},
        {"fields": ["expires_on"]},
        {"opens": 0},
        {"opens": 11},
        {"recipient": "x" * 101},
        {"surprise": 1},
    ],
)
async def test_what_makes_no_sense_is_refused(city: City, body: dict[str, Any]) -> None:
    answer = await city.present("mother-0002", await city.certificate(), **body)
    assert answer.status_code == 422
    assert answer.json()["errors"]


async def ask(city: City, identifier: str, headers: dict[str, str] | None = None) -> httpx.Response:
    return await city.http.post("/verify", data={"identifier": identifier}, headers=headers or JSON)


async def test_an_identifier_tells_that_there_is_a_document_and_its_status(city: City) -> None:
    identity = await city.certificate()
    (listed,) = await city.documents("mother-0002")
    assert (await ask(city, listed["identifier"])).json() == {
        "exists": True,
        "valid": True,
        "status": "VALID",
        "status_name": "有效",
    }
    await city.call("mother-0002", "POST", f"/v1/documents/{identity}/loss")
    page = await ask(city, listed["identifier"], BROWSER)
    assert "挂失" in page.text
    assert "出生医学证明" not in page.text
    for secret in ("Z991234567", city.case.children[0][-4:], city.case.mother):
        assert secret not in page.text
    assert await city.shown() == []

    other = listed["identifier"][:-7] + ("A" if listed["identifier"][-7] != "A" else "B") + listed["identifier"][-6:]
    for unknown in (other, "", "1.2.156", "<script>"):
        assert (await ask(city, unknown)).json()["exists"] is False
    assert "<script>" not in (await ask(city, "<script>", BROWSER)).text
    form = await city.http.get("/verify")
    assert form.status_code == 200
    assert re.search(r"form-action 'self'", form.headers["content-security-policy"])


async def test_asking_for_identifiers_is_limited_by_address(city: City) -> None:
    answers = [(await ask(city, "1.2.156")).status_code for _ in range(LOOKUPS + 2)]
    assert answers == [200] * LOOKUPS + [429] * 2
    page = await ask(city, "1.2.156", BROWSER)
    assert page.status_code == 429
    assert int(page.headers["retry-after"]) > 0
    assert "查询太频繁" in page.text
