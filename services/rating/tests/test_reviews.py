"""From a completed application to a review: once, in time, by the applicant alone."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from rating.consumers import decode_event
from yijian_contracts.cloudevents import UndecodableError, encode
from yijian_contracts.events import ApplicationsProgressed, Progressed
from yijian_contracts.topics import ERASURES
from yijian_contracts.working_days import add_working_days
from yijian_messaging import Record

from .conftest import Service, as_json, completed, handling

pytestmark = pytest.mark.postgres

MOMENT = timedelta(microseconds=1)


async def test_a_completed_application_invites_its_applicant_to_review_every_handling(service: Service):
    found = await service.invited(handling("health"), handling("public-security", matter="B4", child=1))
    assert [(one["matter"], one["department_name"], one["reviewable"]) for one in found] == [
        ("B2", "卫生健康委员会", True),
        ("B4", "公安局", True),
    ]
    page = (await service.client.get("/v1/invitations", headers=service.citizen())).json()
    (invitation,) = page["items"]
    closes = datetime.fromisoformat(invitation["closes_at"])
    assert closes == add_working_days(datetime.fromisoformat(invitation["invited_at"]), 5)
    one = await service.client.get(f"/v1/invitations/{invitation['id']}", headers=service.citizen())
    assert one.json() == invitation


async def test_the_same_completion_again_invites_nobody_again(service: Service):
    event = completed(service.subject("mother"), handling())
    await service.hear(event)
    await service.hear(event, event)
    assert len(await service.own()) == 1
    assert len(await service.rows("SELECT 1 FROM fact WHERE kind = 'INVITED'")) == 1


async def test_an_application_that_no_department_decided_invites_nobody(service: Service):
    await service.hear(completed(service.subject("mother")))
    assert await service.own() == []


async def test_what_is_for_others_on_the_topic_is_passed_over(service: Service):
    moved = (Progressed(application_id=uuid4(), version=3),)
    progressed = ApplicationsProgressed(moved=moved, progressed_at=datetime.now(UTC))
    assert service._on_the_wire(progressed) is None
    assert service._on_the_wire(completed(service.subject("mother"), handling())) is not None


async def test_nobody_but_approval_completes_an_application(service: Service):
    encoded = encode(completed(service.subject("mother"), handling()), source="/identity")
    headers = tuple((name, text.encode()) for name, text in encoded.headers.items())
    with pytest.raises(UndecodableError, match="another topic"):
        decode_event(Record(ERASURES, 0, 0, b"key", encoded.value, headers, 0))


async def test_a_review_is_stored_with_everything_that_was_said(service: Service):
    (found,) = await service.invited()
    mark = {"touch_point": "MATERIAL_REVIEW", "dimension": "TRANSPARENCY", "level": "VERY_SATISFIED"}
    body = {"level": "VERY_SATISFIED", "options": ["512", "517"], "marks": [mark], "comment": "很快！", "channel": "PC"}
    answer = await service.review(found["id"], **body)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["number"], answer.json()["order"]) == (1, None)
    (own,) = await service.own()
    (review,) = own["reviews"]
    assert (review["level"], review["comment"], review["marks"], review["counts"]) == (
        "VERY_SATISFIED",
        "很快！",
        [mark],
        True,
    )
    assert [option["text"] for option in review["options"]] == ["不用提交证明", "服务热情效率高"]
    assert not own["reviewable"]


async def test_a_handling_is_reviewed_once(service: Service):
    (found,) = await service.invited()
    assert (await service.review(found["id"])).status_code == 201
    again = await service.review(found["id"], level="DISSATISFIED")
    assert (again.status_code, again.json()["type"]) == (409, "/problems/already-reviewed")
    assert await service.said() == []


async def test_the_same_request_again_gets_the_same_answer(service: Service):
    (found,) = await service.invited()
    key = uuid4().hex
    first, again = [await service.review(found["id"], key=key) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    other = await service.review(found["id"], key=key, level="DISSATISFIED")
    assert other.status_code == 422


@pytest.mark.parametrize("same_key", [True, False])
async def test_of_many_reviews_at_once_one_counts(service: Service, *, same_key: bool):
    (found,) = await service.invited()
    keys = ["the-same-key"] * 20 if same_key else [uuid4().hex for _ in range(20)]
    answers = await asyncio.gather(*(service.review(found["id"], key=key, level="DISSATISFIED") for key in keys))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == ([201] * 20 if same_key else [201] + [409] * 19)
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert len(await service.rows("SELECT 1 FROM review")) == 1
    assert len(await service.said()) == 1


async def test_after_the_window_a_default_is_recorded_apart_and_counts_nowhere(service: Service):
    first, second = await service.invited(handling(), handling("taxation", matter="B7"))
    await service.review(first["id"], level="SATISFIED")
    closes = add_working_days(datetime.now(UTC), 5)
    assert await service.time_is(closes - MOMENT) == 0
    assert await service.time_is(closes) == 1
    assert await service.time_is(closes + timedelta(days=30)) == 0
    assert [one["is_default"] for one in await service.own()] == [False, True]
    late = await service.review(second["id"])
    assert (late.status_code, late.json()["type"]) == (409, "/problems/review-closed")
    assert len(await service.rows("SELECT 1 FROM review")) == 1
    counted = await service.rows("SELECT department, kind FROM fact WHERE kind IN ('DEFAULTED', 'REVIEWED') ORDER BY 1")
    assert [tuple(row) for row in counted] == [("health", "REVIEWED"), ("taxation", "DEFAULTED")]


async def test_the_window_closes_even_before_the_clock_has_looked(service: Service):
    (found,) = await service.invited()
    await service.parts.pool.execute("UPDATE invitation SET closes_at = now()")
    assert (await service.review(found["id"])).status_code == 409


async def test_the_clock_finds_what_is_due_by_an_index(service: Service):
    await service.invited()
    await service.parts.pool.execute("ANALYZE")
    plan = await service.rows("EXPLAIN SELECT id FROM invitation WHERE next_look_at <= now() ORDER BY next_look_at")
    assert "invitation_next_look" in as_json([row[0] for row in plan])


async def test_what_a_person_wrote_is_sealed_and_goes_under_the_invitations_own_key(service: Service):
    (found,) = await service.invited()
    await service.review(found["id"], comment="金丝雀在这里唱歌")
    dump = "".join([as_json([dict(row) for row in await service.rows(f"SELECT * FROM {t}")]) for t in TABLES])  # noqa: S608 - our own names
    assert "金丝雀" not in dump
    assert service.subject("mother") not in dump
    keys = await service.rows("SELECT DISTINCT data_key FROM invitation")
    await service.invited(name="father")
    assert len(await service.rows("SELECT DISTINCT data_key FROM invitation")) == len(keys) + 1


TABLES = ("invitation", "handling", "review", "rectification_order", "order_step", "fact", "figure", "idempotency_keys")


@pytest.mark.parametrize(
    "body",
    [
        {"level": "EXCELLENT"},
        {"level": 5},
        {"level": None},
        {"options": ["999"]},
        {"options": ["510"]},
        {"options": ["407", "407"]},
        {"options": ["4\x0007"]},
        {"options": ["406", "407", "408", "409", "410", "411", "412", "413", "413"]},
        {"comment": "长" * 1001},
        {"comment": "铃\x07"},
        {"comment": "\u202e倒着读"},
        {"channel": "TELEPATHY"},
        {"marks": [{"touch_point": "RESULT", "dimension": "CONVENIENCE"}]},
        {"marks": [{"touch_point": "RESULT", "dimension": "CONVENIENCE", "level": "SATISFIED"}] * 2},
        {"handling": "not-a-number"},
        {"state": "EXCLUDED"},
        {"is_default": True},
    ],
)
async def test_a_review_that_says_what_cannot_be_said_is_refused(service: Service, body: dict[str, Any]):
    (found,) = await service.invited()
    answer = await service.review(found["id"], **body)
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["title"]
    assert await service.rows("SELECT 1 FROM review") == []


async def test_an_idempotency_key_is_wanted(service: Service):
    (found,) = await service.invited()
    body = {"handling": found["id"], "level": "SATISFIED"}
    assert (await service.client.post("/v1/reviews", json=body, headers=service.citizen())).status_code == 400


async def test_invitations_come_in_pages(service: Service):
    for _ in range(3):
        await service.invited()
    first = (await service.client.get("/v1/invitations?limit=2", headers=service.citizen())).json()
    second = (
        await service.client.get(f"/v1/invitations?limit=2&cursor={first['next']}", headers=service.citizen())
    ).json()
    assert (len(first["items"]), len(second["items"]), second["next"]) == (2, 1, None)
    assert len({one["id"] for one in first["items"] + second["items"]}) == 3


async def test_everybody_may_read_what_can_be_said(service: Service):
    asked = (await service.client.get("/v1/questionnaire")).json()
    assert [(level["level"], level["national"], level["gbt39046"]) for level in asked["levels"]] == [
        ("VERY_SATISFIED", 5, 1),
        ("SATISFIED", 4, 2),
        ("FAIRLY_SATISFIED", 3, 3),
        ("DISSATISFIED", 2, 4),
        ("VERY_DISSATISFIED", 1, 5),
    ]
    assert all(len(level["options"]) == 8 for level in asked["levels"])
    assert [point["name"] for point in asked["touch_points"]] == ["提交申请", "材料审核", "结果获取"]
    assert [dimension["name"] for dimension in asked["dimensions"]] == ["便捷性", "透明度", "响应速度"]
