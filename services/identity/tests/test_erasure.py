"""A citizen is forgotten: nothing of theirs opens any more, others keep what is theirs, and everyone is told."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from identity.accounts import load_accounts
from identity.erasure import FORGET_MESSAGES
from identity.people import Grant, access_claims, read_person
from identity.provider import OpenIdProvider
from identity.queries import find_account
from identity.routes_erasure import CONFIRMATION
from identity.wallet.testing import Case, City, arrive, citizen_number, message
from yijian_common.crypto import DataKey, Keyring, UnsealError
from yijian_common.pairwise import id_proof
from yijian_contracts.cloudevents import decode
from yijian_contracts.events import Event, PersonErased, SessionsEnded

pytestmark = [pytest.mark.postgres]


async def erase(city: City, account: str = "mother-0002", confirm: str = CONFIRMATION) -> httpx.Response:
    return await city.call(account, "POST", "/v1/me/erasure", json={"confirm": confirm})


async def said(city: City) -> list[Event]:
    rows = await city.provider.store.unsent(range(16), 1000)
    return [
        decode([(name, text.encode()) for name, text in row.message.headers.items()], row.message.value).data
        for row in rows
    ]


async def dump(provider: OpenIdProvider) -> str:
    """Every row of every table, bytes as hexadecimal."""
    tables = await provider.pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    rows: list[str] = []
    for table in tables:
        name = table["tablename"]
        rows += [row["row"] for row in await provider.pool.fetch(f'SELECT "{name}"::text AS row FROM "{name}"')]  # noqa: S608 - our own names
    return "\n".join(rows)


async def opened(provider: OpenIdProvider) -> str:
    """Everything in the database that the key file opens, by every key in it and in every context of its row."""
    rows: list[asyncpg.Record] = []
    for table in await provider.pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        rows += await provider.pool.fetch(f'SELECT * FROM "{table["tablename"]}"')  # noqa: S608 - our own names
    keys = [key for row in rows for value in row.values() if (key := as_key(provider.keyring, value)) is not None]
    return "\n".join(text for row in rows for text in opened_row(provider.keyring, keys, list(row.values())))


def as_key(keyring: Keyring, value: Any) -> DataKey | None:
    try:
        return keyring.unwrap(value) if isinstance(value, bytes) else None
    except UnsealError:
        return None


def opened_row(keyring: Keyring, keys: list[DataKey], values: list[Any]) -> Iterator[str]:
    blobs = [value for value in values if isinstance(value, bytes)]
    ids = [value.bytes for value in values if isinstance(value, UUID)]
    contexts = [b"messaging", *blobs, *(prefix + each for prefix in PREFIXES for each in ids)]
    contexts += [b"guardian:" + each + blob for each in ids for blob in blobs]
    for blob, context in itertools.product(blobs, contexts):
        for key in keys:
            with contextlib.suppress(UnsealError):
                yield key.open(blob, context).decode("utf-8", "replace")
        with contextlib.suppress(UnsealError):
            yield keyring.open_envelope(blob, context).decode("utf-8", "replace")


PREFIXES = (b"person:", b"holder:", b"document:", b"look:", b"presentation:", b"grant:")


async def lived(city: City) -> None:
    """A mother with a child, a family document and one of her own, looks, links, and a letter nobody could read."""
    own = city.case.document("birth-registration", child=None, owner=city.case.mother, number="OWN-CANARY")
    family = city.case.document("birth-registration", child=None, number="FAMILY-1")
    child = await city.certificate(own, family)
    for identity in (own.document_id, child):
        await city.call("mother-0002", "GET", f"/v1/documents/{identity}")
        link = (await city.present("mother-0002", identity, purpose="给PURPOSE-CANARY看")).json()["link"]
        await city.http.get(link, headers={"Accept": "application/json"})
    contradiction = city.case.document(owner=citizen_number(date(2026, 11, 2)))
    async with city.provider.store.transaction() as transaction:
        record = message(contradiction).record
        await transaction.bury("identity.wallet", [(record, "another number")])


async def test_nothing_of_the_person_opens_any_more_even_with_the_key_file(city: City) -> None:
    await lived(city)
    (sealed,) = await city.provider.pool.fetch("SELECT data_key, sealed, id FROM people WHERE account = 'mother-0002'")
    canaries = (city.case.mother, "OWN-CANARY", "mother-0002", str(sealed["id"]))
    before = await opened(city.provider) + await dump(city.provider)
    for canary in canaries:
        assert canary in before, "otherwise this would prove nothing"

    answer = await erase(city)
    assert answer.status_code == 200, answer.text
    await pretend_all_is_sent(city)
    async with city.provider.pool.acquire() as held:
        await held.execute(FORGET_MESSAGES)

    left = await dump(city.provider)
    clear = await opened(city.provider)
    for canary in canaries[:3]:
        assert canary not in left + clear
        assert canary.encode().hex() not in left
    assert sealed["data_key"].hex() not in left
    assert sealed["sealed"].hex() not in left
    assert await city.provider.pool.fetchval("SELECT sealed FROM dead_letter") == b""
    assert city.case.children[0] in clear, "the child is not forgotten with the mother"


async def pretend_all_is_sent(city: City) -> None:
    await city.provider.pool.execute("DELETE FROM outbox_unsent")


async def test_everyone_is_told_in_the_same_transaction(city: City) -> None:
    await city.certificate()
    await city.call("mother-0002", "GET", "/v1/documents")
    subject = await city.provider.pool.fetchval("SELECT id FROM people WHERE account = 'mother-0002'")
    await erase(city)

    erased, ended = [event for event in await said(city) if isinstance(event, PersonErased | SessionsEnded)]
    assert isinstance(erased, PersonErased)
    assert isinstance(ended, SessionsEnded)
    assert (erased.subject, ended.subject, ended.grants) == (subject, subject, ())
    assert erased.personal.refs == {
        audience: id_proof(key, city.case.mother) for audience, key in city.provider.pairwise.items()
    }
    assert set(erased.personal.refs) == {"approval", "data-exchange"}


async def test_what_cannot_be_said_is_not_done(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise ConnectionError("the database went away")

    monkeypatch.setattr("identity.erasure.say", fail)
    assert (await erase(city)).status_code == 503
    assert await city.provider.pool.fetchval("SELECT count(*) FROM people WHERE account = 'mother-0002'") == 1
    assert await city.provider.pool.fetchval("SELECT count(*) FROM erased_person") == 0


async def test_the_citizen_is_told_what_is_gone_when(city: City) -> None:
    answer = await erase(city)
    told = "".join(answer.json()["consequences"])
    for promise in ("24 小时", "9 天", "依法保存", "子女"):
        assert promise in told
    assert (await city.call("mother-0002", "GET", "/v1/documents")).status_code == 401
    assert (await erase(city)).status_code == 401


async def test_the_other_guardian_keeps_the_childs_and_the_familys(city: City) -> None:
    await lived(city)
    await erase(city)
    kept = {(document["kind"], document["role"]) for document in await city.documents("father-0002")}
    assert kept == {("birth-certificate", "FATHER"), ("birth-registration", "FATHER")}
    assert len((await city.call("father-0002", "GET", "/v1/relations")).json()) == 1
    (child,) = [d for d in await city.documents("father-0002") if d["kind"] == "birth-certificate"]
    looks = (await city.call("father-0002", "GET", f"/v1/documents/{child['id']}/looks")).json()
    assert [look["by"] for look in looks] == ["RECIPIENT"], "that she looked is forgotten, that it was shown is not"


async def test_with_nobody_left_the_childs_documents_wait_for_the_child(city: City) -> None:
    await lived(city)
    await erase(city)
    await erase(city, "father-0002")

    child = city.case.children[0]
    rows = await city.provider.pool.fetch("SELECT id_index FROM holder")
    assert [row["id_index"] for row in rows] == [city.provider.keyring.blind_index("id_no", child)]
    assert await city.provider.pool.fetchval("SELECT count(*) FROM document") == 1
    assert await city.provider.pool.fetchval("SELECT count(*) FROM guardian") == 0


async def test_a_newborn_that_nobody_could_name_any_more_goes_with_the_last_guardian(city: City) -> None:
    await arrive(city.provider, city.case.document(), city.case.document("birth-registration", child=None))
    await erase(city)
    assert await city.provider.pool.fetchval("SELECT count(*) FROM holder") == 2
    await erase(city, "father-0002")
    for table in ("holder", "document", "case_holder", "guardian"):
        assert await city.provider.pool.fetchval(f"SELECT count(*) FROM {table}") == 0  # noqa: S608 - our own names


async def test_what_was_under_way_does_not_bring_the_person_back(city: City) -> None:
    certificate, relation = city.case.document(), city.case.relation()
    own = city.case.document("birth-registration", child=None, owner=city.case.mother)
    await erase(city)
    assert await arrive(city.provider, certificate, own, relation) == []

    assert len(await city.documents("father-0002")) == 1
    index = city.provider.keyring.blind_index("id_no", city.case.mother)
    for table, column in (("guardian", "person"), ("holder", "id_index")):
        found = await city.provider.pool.fetchval(f"SELECT count(*) FROM {table} WHERE {column} = $1", index)  # noqa: S608 - our own names
        assert found == 0


async def test_whoever_comes_back_begins_anew(city: City, tmp_path: Path) -> None:
    await lived(city)
    await erase(city)
    person = {"kind": "citizen", "account": "again-0001", "name": "王又明", "id_no": city.case.mother}
    path = tmp_path / "again.jsonl"
    path.write_text(json.dumps(person | {"real_name_level": "L3"}))
    await load_accounts(city.provider.pool, city.provider.keyring, path, allow_fictitious=True)
    assert await city.documents("again-0001") == []

    again = Case(mother=city.case.mother, father=None)
    await arrive(city.provider, again.document(), again.relation())
    assert len(await city.documents("again-0001")) == 1


async def test_who_may_not(city: City) -> None:
    assert (await city.http.post("/v1/me/erasure", json={"confirm": CONFIRMATION})).status_code == 401
    assert (await erase(city, "head-health")).status_code == 403
    for words in ("", "我确认", f"{CONFIRMATION}！"):
        refused = await erase(city, confirm=words)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["pointer"] == "/confirm"
    city.tokens["mother-0002"] = await city.token("mother-0002", "approval")
    assert (await erase(city)).status_code == 401
    assert await city.provider.pool.fetchval("SELECT count(*) FROM people WHERE account = 'mother-0002'") == 1


async def test_a_login_of_some_minutes_ago_is_not_enough(city: City) -> None:
    async with city.provider.pool.acquire() as held:
        row = await find_account(held, "mother-0002")
    assert row is not None
    person = read_person(row, city.provider.keyring)
    for seconds, status in ((310, 401), (290, 200)):
        auth_time = datetime.now(UTC) - timedelta(seconds=seconds)
        grant = Grant(id=uuid4(), client_id="yijian-app", audience="identity", scope="", auth_time=auth_time)
        claims = access_claims(person, grant, userinfo="identity", pairwise=city.provider.pairwise)
        city.tokens["mother-0002"] = city.provider.signer.access_token(claims)
        answer = await erase(city)
        assert answer.status_code == status
        assert ("insufficient_user_authentication" in answer.headers.get("WWW-Authenticate", "")) is (status == 401)


async def test_a_minor_asks_through_a_guardian(city: City, tmp_path: Path) -> None:
    person = {"kind": "citizen", "account": "minor-0001", "name": "王小小", "id_no": citizen_number(date(2015, 5, 5))}
    path = tmp_path / "minor.jsonl"
    path.write_text(json.dumps(person | {"real_name_level": "L3"}))
    await load_accounts(city.provider.pool, city.provider.keyring, path, allow_fictitious=True)
    assert (await erase(city, "minor-0001")).status_code == 403


async def test_two_erasures_at_once_are_one(city: City) -> None:
    await lived(city)
    await city.call("mother-0002", "GET", "/v1/documents")
    answers = await asyncio.gather(*(erase(city) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]
    assert len([event for event in await said(city) if isinstance(event, PersonErased)]) == 1
