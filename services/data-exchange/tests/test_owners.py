"""Who saw my data: each parent their own fields and the child's, with proof; nobody anybody else's."""

from datetime import timedelta
from uuid import uuid4

import pytest
from yijian_common.tokens import Post
from yijian_ledger.evidence import EvidenceError, verify_pack
from yijian_ledger.keys import PrivateKey, new_key

from .conftest import AUDIENCE, Service
from .consent_story import FATHER, MOTHER, NOW, STRANGER, TEXT, consent, register
from .disclosure_story import checked, disclosed, get, only, record, seen, shown
from .ledger_story import ORIGIN, sign

pytestmark = pytest.mark.postgres

HERS = {"canary-of-the-mother", "canary-of-the-child", "canary-of-both", "mother-agreed-to-this"}
HIS = {"canary-of-the-father", "canary-of-the-child", "canary-of-both"}


@pytest.fixture
def key() -> PrivateKey:
    return new_key(ORIGIN)


async def test_each_parent_sees_their_own_fields_and_the_childs(service: Service):
    event = disclosed()
    await record(service, event)
    assert await seen(service, MOTHER) == {str(event.task_id): HERS}
    assert await seen(service, FATHER) == {str(event.task_id): HIS}
    assert await seen(service, STRANGER) == {}
    assert await seen(service, None) == {}


async def test_what_concerned_only_the_other_parent_is_not_even_mentioned(service: Service):
    application = uuid4()
    hers, his, both = only("MOTHER", application=application), only("FATHER", application=application), shown()
    await record(service, hers, his, both)
    assert set(await seen(service, MOTHER)) == {str(hers.task_id), str(both.disclosure_id)}
    assert set(await seen(service, FATHER)) == {str(his.task_id), str(both.disclosure_id)}


async def test_who_is_no_guardian_does_not_see_the_child(service: Service):
    event = disclosed(guardians=["MOTHER"])
    await record(service, event)
    assert await seen(service, MOTHER) == {str(event.task_id): HERS}
    assert await seen(service, FATHER) == {str(event.task_id): HIS - {"canary-of-the-child"}}


async def test_field_by_field_it_says_to_whom_for_what_and_on_which_basis(service: Service, key: PrivateKey):
    application = uuid4()
    await register(service, consent(application=application))
    event = disclosed(application)
    await record(service, event)

    (item,) = (await get(service, "/v1/disclosures", MOTHER)).json()["items"]
    assert (item["recipient"], item["department"], item["matter"]) == ("公安局", "public-security", "B4")
    assert (item["purpose"], item["child"], item["application_id"]) == ("出生登记", 1, str(application))
    by_title = {one["title"]: one["basis"] for one in item["fields"]}
    assert by_title["canary-of-both"] == {"kind": "LAW", "reference": "户口登记条例第七条", "consent": None}
    agreed = by_title["mother-agreed-to-this"]
    assert (agreed["kind"], agreed["consent"]) == ("CONSENT", {"version": 1, "text": TEXT})
    assert (item["covered"], item["leaf_index"]) == (False, 0)
    assert (await get(service, item["evidence"], MOTHER)).json()["type"] == "/problems/not-signed-yet"

    await sign(service, key)
    (item,) = (await get(service, "/v1/disclosures", MOTHER)).json()["items"]
    assert item["covered"] is True
    proof = (await service.client.get(item["proof"])).json()
    assert (proof["index"], proof["size"]) == (0, 1)


async def test_a_document_shown_from_the_wallet_appears_for_everyone_it_belongs_to(service: Service):
    event = shown()
    await record(service, event)
    for ref in (MOTHER, FATHER):
        (item,) = (await get(service, "/v1/disclosures", ref)).json()["items"]
        assert (item["kind"], item["recipient"], item["purpose"]) == ("DOCUMENT_SHOWN", "某幼儿园", "入园登记")
        assert item["document"] == {"kind": "birth-certificate", "name": "出生医学证明"}
        assert (item["department"], item["application_id"]) == (None, None)
    assert await seen(service, STRANGER) == {}


async def test_evidence_holds_a_persons_own_fields_and_verifies_without_us(service: Service, key: PrivateKey):
    application = uuid4()
    events = [disclosed(application), only("FATHER", application=application), disclosed(application)]
    await record(service, *events, disclosed())
    await sign(service, key)

    proven, titles = checked(await get(service, f"/v1/applications/{application}/evidence", MOTHER), key)
    assert {content.id for content, _ in proven.items} == {events[0].task_id, events[2].task_id}
    assert titles == HERS
    proven, titles = checked(await get(service, f"/v1/applications/{application}/evidence", FATHER), key)
    assert len(proven.items) == 3
    assert titles == HIS | {"only-father"}

    answer = await get(service, f"/v1/disclosures/{events[0].task_id}/evidence", MOTHER)
    assert "canary-of-the-father" not in answer.text
    assert checked(answer, key)[1] == HERS
    assert answer.headers["Cache-Control"] == "no-store"

    pack = answer.json()
    pack["items"][0]["portions"][0]["content"]["fields"][0]["title"] = "别的"
    with pytest.raises(EvidenceError, match="not those that were written down"):
        verify_pack(pack, log=key.public, witness=None)


async def test_evidence_is_for_those_concerned_and_everyone_else_gets_the_same_404(service: Service, key: PrivateKey):
    event, his = disclosed(), only("FATHER")
    await record(service, event, his)
    await sign(service, key)
    paths = [
        f"/v1/disclosures/{event.task_id}/evidence",
        f"/v1/applications/{event.application_id}/evidence",
    ]
    unknown = await get(service, f"/v1/disclosures/{uuid4()}/evidence", MOTHER)
    assert unknown.status_code == 404
    refused = [await get(service, path, ref) for path in paths for ref in (STRANGER, None)]
    refused += [await get(service, f"/v1/disclosures/{his.task_id}/evidence", MOTHER)]
    refused += [await get(service, f"/v1/applications/{his.application_id}/evidence", MOTHER)]
    assert [(answer.status_code, answer.json()) for answer in refused] == [(404, unknown.json())] * len(refused)


async def test_only_citizens_may_ask(service: Service):
    event = disclosed()
    await record(service, event)
    official = service.issuer.official(AUDIENCE, Post("health", "990101000000", (), "clerk"), subject=str(uuid4()))
    elsewhere = service.issuer.citizen("approval", subject=str(uuid4()), id_proof=MOTHER)
    for token, status in ((None, 401), (elsewhere, 401), (official, 403), (service.issuer.service(AUDIENCE, "x"), 403)):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        for path in (
            "/v1/disclosures",
            f"/v1/disclosures/{event.task_id}/evidence",
            f"/v1/applications/{event.application_id}/evidence",
        ):
            assert (await service.client.get(path, headers=headers)).status_code == status


async def test_pages_go_through_everything_once_newest_first(service: Service):
    """Also past whole stretches of what only the father may see."""
    application = uuid4()
    hers = [only("MOTHER", application=application, disclosed_at=NOW + timedelta(minutes=n // 2)) for n in range(7)]
    late = NOW + timedelta(minutes=1, seconds=30)
    his = [only("FATHER", application=application, disclosed_at=late) for _ in range(230)]
    await record(service, *hers, *his)
    found, cursor, pages = [], None, 0
    while cursor or not pages:
        query = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = (await get(service, "/v1/disclosures", MOTHER, **query)).json()
        found += [item["id"] for item in page["items"]]
        cursor, pages = page["next"], pages + 1
    expected = sorted(hers, key=lambda one: (one.disclosed_at, one.task_id), reverse=True)
    assert found == [str(one.task_id) for one in expected]
    assert pages == 3
    assert (await get(service, "/v1/disclosures", MOTHER, cursor="nonsense")).status_code == 422
