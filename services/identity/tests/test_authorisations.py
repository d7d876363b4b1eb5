"""Another person's word by a one-time code: who asks learns nothing of whom, and a code is worth five tries."""

import asyncio
import json
import re
import statistics
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from identity.accounts import load_accounts
from identity.authorisations import REQUESTS_PER_ACTOR, TEXTS_PER_GIVER, TRIES
from identity.provider import OpenIdProvider
from identity.settings import IdentitySettings
from identity.testing import Browser, bearer
from identity.texts import TextSender
from pydantic import ValidationError
from yijian_common.pairwise import proves
from yijian_common.settings import Environment, explain
from yijian_common.tokens import Authorisation, verify_authorisation

pytestmark = pytest.mark.postgres

FATHER = {
    "kind": "citizen",
    "account": "father-0002",
    "name": "诸葛亮",
    "id_no": "990101198808080136",
    "mobile": "13712345678",
    "real_name_level": "L2",
}
SILENT = {**FATHER, "account": "father-0003", "name": "司马懿", "id_no": "990101198808080152", "mobile": None}
ASKED = {"life_event": "birth", "name": FATHER["name"], "id_no": FATHER["id_no"]}
UNANSWERED = {
    "nobody has this number": {"id_no": "990101197008080176"},
    "the name is another's": {"name": "司马懿"},
    "no mobile is known": {"name": SILENT["name"], "id_no": SILENT["id_no"]},
    "the identity is not confirmed": {"name": "欧阳锋", "id_no": "99010119880808003X"},
}


class Mother:
    """She is logged in, with a token for identity itself."""

    def __init__(self, browser: Browser, token: str) -> None:
        self.browser = browser
        self.token = token

    async def ask(self, **changes: Any) -> httpx.Response:
        body = {**ASKED, **changes}
        return await self.browser.http.post("/v1/authorisations", json=body, headers=bearer(self.token))

    async def send(self, authorisation_id: str, code: str) -> httpx.Response:
        path = f"/v1/authorisations/{authorisation_id}"
        return await self.browser.http.post(path, json={"code": code}, headers=bearer(self.token))

    async def texts(self, account: str = "father-0002") -> list[dict[str, str]]:
        listed: list[dict[str, str]] = (
            await self.browser.http.get("/dev/messages", params={"account": account})
        ).json()
        return listed

    async def code(self) -> str:
        """What the father read out of his newest text."""
        found = re.search(r"验证码 (\d{6})", (await self.texts())[0]["text"])
        assert found is not None
        return found[1]


async def token_of(browser: Browser, account: str) -> str:
    answer = await browser.http.post("/dev/token", json={"account": account, "audience": "identity"})
    return str(answer.json()["access_token"])


@pytest.fixture
async def mother(browser: Browser, provider: OpenIdProvider, tmp_path: Path) -> Mother:
    path = tmp_path / "people.jsonl"
    path.write_text("\n".join(json.dumps(person) for person in (FATHER, SILENT)))
    await load_accounts(provider.pool, provider.keyring, path, allow_fictitious=True)
    return Mother(browser, await token_of(browser, "mother-0001"))


def other(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


def read(provider: OpenIdProvider, token: str) -> Authorisation:
    return verify_authorisation(
        token,
        keys=provider.signer.verification_keys,
        issuer="http://identity.test",
        audience="approval",
        now=time.time(),
    )


async def test_the_father_authorises_by_reading_out_a_code(mother: Mother, provider: OpenIdProvider) -> None:
    asked = await mother.ask()
    assert asked.status_code == 202
    [text] = await mother.texts()
    assert text["mobile"] == FATHER["mobile"]
    assert "王小明正在办理“出生一件事”，请您授权" in text["text"]
    given = await mother.send(asked.json()["id"], await mother.code())
    said = read(provider, given.json()["authorisation"])
    ids = {row["account"]: str(row["id"]) for row in await provider.pool.fetch("SELECT account, id FROM people")}
    assert (said.subject, said.actor, said.life_event) == (ids["father-0002"], ids["mother-0001"], "birth")
    assert proves(said.id_proof, key=provider.pairwise["approval"], id_no=str(FATHER["id_no"]))
    assert said.expires_at - time.time() <= 600


async def test_a_code_is_good_once(mother: Mother) -> None:
    asked, code = (await mother.ask()).json()["id"], await mother.code()
    answers = await asyncio.gather(*(mother.send(asked, code) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200, *[422] * 19]


async def test_five_tries_and_no_more_also_at_once(mother: Mother) -> None:
    asked, code = (await mother.ask()).json()["id"], await mother.code()
    wrong = [mother.send(asked, f"{(int(code) + n) % 1_000_000:06}") for n in range(1, 30)]
    answers = await asyncio.gather(*wrong)
    assert {answer.status_code for answer in answers} == {422}
    assert (await mother.send(asked, code)).status_code == 422, "the right one comes too late"


async def test_the_fifth_try_may_be_right(mother: Mother) -> None:
    asked, code = (await mother.ask()).json()["id"], await mother.code()
    for _ in range(TRIES - 1):
        assert (await mother.send(asked, other(code))).status_code == 422
    assert (await mother.send(asked, code)).status_code == 200


async def test_after_ten_minutes_it_is_too_late(mother: Mother, provider: OpenIdProvider) -> None:
    asked, code = (await mother.ask()).json(), await mother.code()
    await provider.pool.execute("UPDATE authorisation_requests SET expires_at = expires_at - interval '10 min'")
    assert (await mother.send(asked["id"], code)).status_code == 422


async def test_whoever_is_asked_the_answer_is_the_same(mother: Mother) -> None:
    answers = [await mother.ask(), *[await mother.ask(**changes) for changes in UNANSWERED.values()]]
    assert {answer.status_code for answer in answers} == {202}
    assert {frozenset(answer.json()) for answer in answers} == {frozenset({"id", "expires_at"})}
    refused = [await mother.send(answer.json()["id"], "000000") for answer in answers]
    refused.append(await mother.send(str(uuid4()), "000000"))
    assert len({(answer.status_code, answer.text) for answer in refused}) == 1
    assert len(await mother.texts()) == 1
    for account in ("father-0001", "father-0003"):
        assert await mother.texts(account) == []


async def test_the_answer_takes_as_long_for_nobody(mother: Mother, provider: OpenIdProvider) -> None:
    taken: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(40):
        await provider.pool.execute("DELETE FROM authorisation_requests")
        somebody = turn % 2 == 0
        began = time.perf_counter()
        await mother.ask(**({} if somebody else UNANSWERED["nobody has this number"]))
        taken[somebody].append(time.perf_counter() - began)
    known, unknown = (statistics.median(times) for times in (taken[True], taken[False]))
    assert abs(known - unknown) < max(known, unknown) / 2, "one of them does less"


async def test_only_who_asked_can_use_the_code(mother: Mother, browser: Browser) -> None:
    asked, code = (await mother.ask()).json()["id"], await mother.code()
    thief = Mother(browser, await token_of(browser, "father-0002"))
    assert (await thief.send(asked, code)).status_code == 422
    assert (await mother.send(asked, code)).status_code == 200


async def test_a_code_opens_its_own_request_only(mother: Mother) -> None:
    first, code = (await mother.ask()).json()["id"], await mother.code()
    second = (await mother.ask()).json()["id"]
    newer = await mother.code()
    if code != newer:
        assert (await mother.send(second, code)).status_code == 422
    assert (await mother.send(first, code)).status_code == 200


async def test_who_asks_too_often_waits(mother: Mother, provider: OpenIdProvider) -> None:
    answers = await asyncio.gather(*(mother.ask() for _ in range(REQUESTS_PER_ACTOR + 5)))
    assert sorted(answer.status_code for answer in answers) == [*[202] * REQUESTS_PER_ACTOR, *[429] * 5]
    assert await provider.pool.fetchval("SELECT count(*) FROM texts WHERE person_id IS NOT NULL") == TEXTS_PER_GIVER


async def test_nobody_is_texted_over_and_over_whoever_asks(mother: Mother, browser: Browser) -> None:
    fathers_namesake = Mother(browser, await token_of(browser, "father-0003"))
    for _ in range(TEXTS_PER_GIVER):
        await mother.ask()
    answer = await fathers_namesake.ask()
    assert answer.status_code == 202, "that there were others is not told"
    assert len(await mother.texts()) == TEXTS_PER_GIVER


async def test_oneself_needs_no_word(mother: Mother) -> None:
    answer = await mother.ask(name="王小明", id_no="990101199202290029")
    assert answer.status_code == 422
    assert "990101199202290029" not in answer.text


@pytest.mark.parametrize(
    "changes",
    [
        {"id_no": "990101198808080137"},
        {"id_no": "1"},
        {"id_no": ""},
        {"id_no": None},
        {"name": ""},
        {"name": "x" * 61},
        {"life_event": ""},
        {"life_event": "../x"},
        {"mobile": "13712345678"},
    ],
)
async def test_an_odd_wish_is_refused_and_not_repeated(mother: Mother, changes: dict[str, Any]) -> None:
    answer = await mother.ask(**changes)
    assert answer.status_code == 422
    assert "990101198808080137" not in answer.text


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "１２３４５６", "12345\n", "' OR 1=1"])
async def test_an_odd_code_is_refused_and_costs_no_try(mother: Mother, code: str) -> None:
    asked, right = (await mother.ask()).json()["id"], await mother.code()
    for _ in range(TRIES):
        assert (await mother.send(asked, code)).status_code == 422
    assert (await mother.send(asked, right)).status_code == 200


async def test_who_may_not_ask(mother: Mother, browser: Browser) -> None:
    for account, status in (("father-0001", 403), ("health-0001", 403)):
        stranger = Mother(browser, await token_of(browser, account))
        assert (await stranger.ask()).status_code == status
        assert (await stranger.send(str(uuid4()), "000000")).status_code == status
    assert (await Mother(browser, "nonsense").ask()).status_code == 401
    for_approval = (await browser.http.post("/dev/token", json={"account": "mother-0001"})).json()["access_token"]
    assert (await Mother(browser, for_approval).ask()).status_code == 401
    assert len(await mother.texts()) == 0


async def test_codes_and_numbers_lie_hashed_and_sealed(mother: Mother, provider: OpenIdProvider) -> None:
    await mother.ask()
    code = await mother.code()
    for table in ("authorisation_requests", "texts"):
        for row in await provider.pool.fetch(f"SELECT * FROM {table}"):  # noqa: S608 - two constants
            stored = b"".join(value if isinstance(value, bytes) else str(value).encode() for value in row.values())
            for secret in (str(FATHER["id_no"]), str(FATHER["mobile"]), "诸葛亮", f"验证码 {code}"):
                assert secret.encode() not in stored
    assert code.encode() not in (await provider.pool.fetchval("SELECT code_index FROM authorisation_requests"))


class Gateway:
    """The city's text gateway, with a mood."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.got: list[tuple[dict[str, str], str]] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.got.append((json.loads(request.content), request.headers["Idempotency-Key"]))
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 0:
            raise httpx.ConnectError("nobody answers")
        return httpx.Response(status)

    def sender(self, provider: OpenIdProvider) -> TextSender:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        return TextSender(provider.pool, provider.keyring, url="http://gateway.test/texts", http=http)


async def waiting(provider: OpenIdProvider) -> int:
    return int(await provider.pool.fetchval("SELECT count(*) FROM texts"))


async def test_a_text_is_sent_once_and_forgotten(mother: Mother, provider: OpenIdProvider) -> None:
    await mother.ask()
    await mother.ask(**UNANSWERED["nobody has this number"])
    gateway = Gateway()
    replicas = [gateway.sender(provider) for _ in range(3)]
    await asyncio.gather(*(replica.send_due() for replica in replicas))
    [(sent, _)] = gateway.got
    assert sent["mobile"] == FATHER["mobile"]
    assert "验证码" in sent["text"]
    assert await waiting(provider) == 0


@pytest.mark.parametrize("failure", [0, 500, 503, 429])
async def test_a_text_is_tried_again_under_the_same_key(mother: Mother, provider: OpenIdProvider, failure: int) -> None:
    await mother.ask()
    gateway = Gateway(failure)
    sender = gateway.sender(provider)
    await sender.send_due()
    assert sender.problem() is not None
    assert await sender.send_due() == 0, "not at once"
    await provider.pool.execute("UPDATE texts SET next_try_at = now()")
    await sender.send_due()
    assert sender.problem() is None
    assert await waiting(provider) == 0
    assert len(gateway.got) == 2
    assert len({key for _, key in gateway.got}) == 1


async def test_what_the_gateway_refuses_for_good_is_given_up(mother: Mother, provider: OpenIdProvider) -> None:
    await mother.ask()
    await Gateway(400).sender(provider).send_due()
    assert await waiting(provider) == 0


async def test_a_code_that_ran_out_is_not_sent(mother: Mother, provider: OpenIdProvider) -> None:
    await mother.ask()
    await provider.pool.execute("UPDATE texts SET expires_at = now() - interval '1 s'")
    gateway = Gateway()
    await gateway.sender(provider).send_due()
    assert gateway.got == []
    assert await waiting(provider) == 0


def test_in_production_a_start_without_a_gateway_says_so(settings: IdentitySettings) -> None:
    told = {
        **settings.model_dump(),
        "environment": Environment.PRODUCTION,
        "identity_issuer": "https://identity.test",
    }
    with pytest.raises(ValidationError) as refused:
        IdentitySettings(**told)
    assert any("YIJIAN_SMS_URL" in sentence for sentence in explain(refused.value))
    assert IdentitySettings(**{**told, "sms_url": "http://gateway.test/texts"}).sms_url == "http://gateway.test/texts"
