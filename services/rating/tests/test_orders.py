"""A bad review becomes an order: asked of the department, answered, published, called back; and what time does."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rating.actions.orders import reckon_again
from yijian_contracts.events import Outcome, RectificationParts, RectificationRequested
from yijian_contracts.working_days import add_working_days, end_of_working_days

from .conftest import EVIDENCE, MEASURES, Service, handling

pytestmark = pytest.mark.postgres

MOMENT = timedelta(microseconds=1)


def states(order: dict[str, Any]) -> list[str]:
    return [step["state"] for step in order["steps"]]


async def answered(service: Service) -> RectificationRequested:
    asked = await service.bad_review()
    assert await service.answer(asked) == []
    return asked


@pytest.mark.parametrize(("level", "number"), [("DISSATISFIED", 2), ("VERY_DISSATISFIED", 1)])
async def test_the_department_is_asked_within_three_working_days(service: Service, level: str, number: int):
    mark = {"touch_point": "RESULT", "dimension": "RESPONSIVENESS", "level": "DISSATISFIED"}
    option = {"DISSATISFIED": "214", "VERY_DISSATISFIED": "115"}[level]
    asked = await service.bad_review(level=level, options=[option], marks=[mark], comment="没人接电话。")
    assert (asked.round, asked.department, asked.matter, asked.matter_name) == (1, "health", "B2", "出生医学证明签发")
    assert asked.due_at == add_working_days(asked.requested_at, 3)
    assert (asked.personal.level, asked.personal.comment) == (number, "没人接电话。")
    assert asked.personal.touch_points == ("结果获取·响应速度：不满意",)
    assert states(await service.order(asked.order_id)) == ["VERIFY", "ASSIGNED", "RECTIFYING"]


@pytest.mark.parametrize("level", ["VERY_SATISFIED", "SATISFIED", "FAIRLY_SATISFIED"])
async def test_other_levels_open_no_order(service: Service, level: str):
    (found,) = await service.invited()
    assert (await service.review(found["id"], level=level)).json()["order"] is None
    assert await service.said() == []


async def test_the_whole_way_to_a_contented_resident(service: Service):
    asked = await answered(service)
    (own,) = await service.own()
    assert (own["order"]["state"], own["order"]["rectified"], own["order"]["answer"]) == ("CALLBACK", True, MEASURES)
    assert own["order"]["evidence"] == list(EVIDENCE)
    done = await service.call_back(asked.order_id, satisfied=True)
    assert done.json()["state"] == "CLOSED"
    assert states(await service.order(asked.order_id))[2:] == ["RECTIFYING", "FEEDBACK_PUBLISHED", "CALLBACK", "CLOSED"]
    again = await service.call_back(asked.order_id, satisfied=False)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/order-not-there")


async def test_one_reopening_then_supervision(service: Service):
    asked = await answered(service)
    assert (await service.call_back(asked.order_id, satisfied=False)).json()["state"] == "RECTIFYING"
    (second,) = await service.said()
    assert (second.order_id, second.round, second.personal) == (asked.order_id, 2, asked.personal)
    assert second.event_id != asked.event_id
    await service.answer(second)
    assert (await service.call_back(asked.order_id, satisfied=False)).json()["state"] == "ESCALATED"
    assert await service.said() == []
    order = await service.order(asked.order_id)
    assert "REOPENED" in states(order)
    assert [(one["round"], one["rung"]) for one in order["escalations"]] == [(2, "SUPERVISION")]
    supervisor = service.official("SUPERVISOR", "taxation")
    path = f"/v1/orders/{asked.order_id}/closing"
    closed = await service.client.post(path, json={"conclusion": "已约谈，补办完成。"}, headers=supervisor)
    assert closed.json()["state"] == "CLOSED"


async def test_an_answer_without_evidence_is_none(service: Service):
    asked = await service.bad_review()
    for parts in (
        RectificationParts(measures=MEASURES, evidence=()),
        RectificationParts(measures=" ", evidence=EVIDENCE),
        RectificationParts(measures=MEASURES, evidence=("  ",)),
    ):
        (rejected,) = await service.answer(asked, personal=parts)
        assert "without measures and evidence" in rejected.error
    assert (await service.order(asked.order_id))["state"] == "RECTIFYING"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"round": 2}, "no such round"),
        ({"department": "taxation"}, "another department"),
        ({"matter": "B9"}, "another matter"),
        ({"outcome": Outcome.RETURNED}, "closes no order"),
        ({"outcome": Outcome.NOT_ACCEPTED, "reason": "不归我们"}, "closes no order"),
        ({"outcome": Outcome.REJECTED, "reason": ""}, "closes no order"),
    ],
)
async def test_what_closes_nothing_is_left_to_an_operator(service: Service, changes: dict[str, Any], error: str):
    asked = await service.bad_review()
    (rejected,) = await service.answer(asked, **changes)
    assert error in rejected.error
    assert (await service.order(asked.order_id))["state"] == "RECTIFYING"


async def test_an_answer_to_no_order_is_left_to_an_operator(service: Service):
    asked = await service.bad_review()
    unknown = asked.model_copy(update={"order_id": asked.event_id})
    (rejected,) = await service.answer(unknown)
    assert rejected.error == "no such order"


async def test_a_second_answer_changes_nothing(service: Service):
    asked = await answered(service)
    other = RectificationParts(measures="什么也没做", evidence=("无",))
    assert await service.answer(asked, personal=other) == []
    assert (await service.order(asked.order_id))["answer"] == MEASURES
    assert len(await service.rows("SELECT 1 FROM publication")) == 1


async def test_a_refusal_is_an_appeal_that_supervision_may_follow(service: Service):
    asked = await service.bad_review()
    await service.answer(asked, Outcome.REJECTED)
    order = await service.order(asked.order_id)
    assert (order["state"], order["rectified"], order["answer"]) == ("VERIFY", False, "法律规定须本人到场。")
    assert await service.rows("SELECT 1 FROM publication") == []
    await service.time_is(datetime.fromisoformat(order["verify_until"]))
    (published,) = (await service.client.get("/v1/published-rectifications")).json()["items"]
    assert (published["rectified"], published["measures"]) == (False, "法律规定须本人到场。")
    assert (await service.order(asked.order_id))["state"] == "CALLBACK"


# --- verification ----------------------------------------------------------------------------------------------------


async def verdict(service: Service, order_id: Any, found: str, *, by: str) -> Any:
    headers = service.official("SUPERVISOR", "taxation", name=by)
    body = {"verdict": found, "reason": "与办理记录不符"}
    return await service.client.post(f"/v1/orders/{order_id}/verification", json=body, headers=headers)


async def flagged(service: Service) -> str:
    (found,) = await service.invited(handling(promised=120, taken=30))
    answer = await service.review(found["id"], level="DISSATISFIED", options=["209"])
    return str(answer.json()["order"])


async def test_a_flagged_review_waits_one_working_day_and_then_stands(service: Service):
    order_id = await flagged(service)
    until = datetime.fromisoformat((await service.order(order_id))["verify_until"])
    assert until == add_working_days(datetime.now(UTC), 1)
    await service.time_is(until - MOMENT)
    assert await service.said() == []
    await service.time_is(until)
    (asked,) = await service.said()
    assert asked.due_at == add_working_days(until, 3)


async def test_a_review_is_set_aside_by_two_and_by_no_fewer(service: Service):
    order_id = await flagged(service)
    first = await verdict(service, order_id, "INVALID", by="甲")
    assert (first.json()["state"], first.json()["first_proposal"]) == ("VERIFY", True)
    same = await verdict(service, order_id, "INVALID", by="甲")
    assert (same.status_code, same.json()["detail"]) == (409, "不予计入须由另一名工作人员复核。")
    second = await verdict(service, order_id, "INVALID", by="乙")
    assert second.json()["state"] == "INVALID"
    assert await service.said() == []
    (own,) = await service.own()
    assert own["reviews"][0]["counts"] is False
    assert (await service.review(own["id"])).status_code == 409


async def test_the_second_may_find_otherwise(service: Service):
    order_id = await flagged(service)
    await verdict(service, order_id, "INVALID", by="甲")
    assert (await verdict(service, order_id, "VALID", by="乙")).json()["state"] == "RECTIFYING"
    assert len(await service.said()) == 1


async def test_one_alone_lets_the_time_run_out(service: Service):
    order_id = await flagged(service)
    await verdict(service, order_id, "INVALID", by="甲")
    await service.time_is(datetime.fromisoformat((await service.order(order_id))["verify_until"]))
    assert (await service.order(order_id))["state"] == "RECTIFYING"


async def test_two_at_once_do_not_both_count_as_the_first(service: Service):
    order_id = await flagged(service)
    answers = await asyncio.gather(*(verdict(service, order_id, "INVALID", by=by) for by in ("甲", "乙")))
    assert sorted(answer.json()["state"] for answer in answers) == ["INVALID", "VERIFY"]


# --- time ------------------------------------------------------------------------------------------------------------


async def test_an_order_climbs_to_the_head_and_a_working_day_later_to_supervision_once_each(service: Service):
    asked = await service.bad_review()
    supervised = add_working_days(asked.requested_at, 4)
    await service.time_is(asked.due_at - MOMENT)
    assert (await service.order(asked.order_id))["state"] == "RECTIFYING"
    await service.time_is(asked.due_at)
    order = await service.order(asked.order_id)
    assert (order["state"], [one["rung"] for one in order["escalations"]]) == ("ESCALATED", ["HEAD"])
    await service.time_is(supervised)
    await service.time_is(supervised + timedelta(days=30))
    order = await service.order(asked.order_id)
    assert [one["rung"] for one in order["escalations"]] == ["HEAD", "SUPERVISION"]


async def test_whoever_looks_late_finds_both_rungs(service: Service):
    asked = await service.bad_review()
    await service.time_is(asked.due_at + timedelta(days=60))
    assert [one["rung"] for one in (await service.order(asked.order_id))["escalations"]] == ["HEAD", "SUPERVISION"]


async def test_many_clocks_at_once_climb_each_rung_once(service: Service):
    asked = await service.bad_review()
    await asyncio.gather(*(service.time_is(asked.due_at) for _ in range(6)))
    assert len(await service.rows("SELECT 1 FROM order_escalation")) == 1
    assert states(await service.order(asked.order_id)).count("ESCALATED") == 1


async def test_a_late_answer_is_taken_and_not_in_time(service: Service):
    asked = await service.bad_review()
    await service.time_is(asked.due_at)
    await service.parts.pool.execute("UPDATE rectification_order SET due_at = now()")
    # The department's own clock says that it was in time: it is not believed.
    assert await service.answer(asked, decided_at=asked.requested_at) == []
    assert (await service.order(asked.order_id))["state"] == "CALLBACK"
    assert await service.rows("SELECT 1 FROM fact WHERE kind = 'ORDER_ANSWERED_IN_TIME'") == []


async def test_a_resident_who_says_nothing_lets_the_order_close(service: Service):
    asked = await answered(service)
    until = datetime.fromisoformat((await service.order(asked.order_id))["callback_until"])
    await service.time_is(until)
    assert (await service.order(asked.order_id))["state"] == "CLOSED"
    assert (await service.call_back(asked.order_id, satisfied=False)).status_code == 409


async def test_call_back_and_the_clock_at_once_agree_on_one_end(service: Service):
    asked = await answered(service)
    await service.parts.pool.execute("UPDATE rectification_order SET callback_until = now() + interval '3 s'")
    calls = [service.call_back(asked.order_id, satisfied=True) for _ in range(4)]
    until = datetime.now(UTC) + timedelta(days=30)
    *answers, _ = await asyncio.gather(*calls, service.time_is(until))
    assert sum(answer.status_code == 200 for answer in answers) <= 1
    assert states(await service.order(asked.order_id)).count("CLOSED") == 1


# --- the second review -----------------------------------------------------------------------------------------------


async def test_after_a_rectification_the_handling_may_be_reviewed_once_more(service: Service):
    asked = await answered(service)
    (own,) = await service.own()
    assert own["reviewable"]
    second = await service.review(own["id"], level="SATISFIED")
    assert (second.status_code, second.json()["number"], second.json()["order"]) == (201, 2, None)
    assert (await service.order(asked.order_id))["state"] == "CLOSED"
    (own,) = await service.own()
    assert [(review["number"], review["counts"]) for review in own["reviews"]] == [(1, False), (2, True)]
    assert (await service.review(own["id"])).status_code == 409


async def test_a_second_bad_review_reopens_the_order(service: Service):
    asked = await answered(service)
    (own,) = await service.own()
    assert (await service.review(own["id"], level="VERY_DISSATISFIED")).status_code == 201
    (again,) = await service.said()
    assert (again.order_id, again.round) == (asked.order_id, 2)


async def test_before_the_answer_there_is_no_second_review(service: Service):
    await service.bad_review()
    (own,) = await service.own()
    assert not own["reviewable"]
    assert (await service.review(own["id"])).status_code == 409


async def test_two_second_reviews_at_once_leave_one(service: Service):
    await answered(service)
    (own,) = await service.own()
    answers = await asyncio.gather(*(service.review(own["id"], level="SATISFIED") for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert len(await service.rows("SELECT 1 FROM review WHERE state = 'ACTIVE'")) == 1


# --- a calendar that becomes final -----------------------------------------------------------------------------------


async def test_what_was_counted_in_a_provisional_calendar_is_counted_again(service: Service):
    asked = await service.bad_review()
    wrong = asked.due_at - timedelta(days=2)
    await service.parts.pool.execute(
        "UPDATE rectification_order SET provisional = true, due_at = $1, supervised_at = $1, next_look_at = $1", wrong
    )
    await service.parts.pool.execute(
        "UPDATE invitation SET provisional = true, closes_at = $1, next_look_at = $1", wrong
    )
    async with service.parts.store.transaction() as transaction:
        assert await reckon_again(transaction) == 2
        assert await reckon_again(transaction) == 0
    # In the last days of a year the next one's calendar may be provisional still.
    due = end_of_working_days(asked.requested_at, 3)
    order = await service.order(asked.order_id)
    assert (datetime.fromisoformat(order["due_at"]), order["provisional"]) == (due.at, due.provisional)
    (row,) = await service.rows("SELECT closes_at, next_look_at, provisional, invited_at FROM invitation")
    closes = end_of_working_days(row["invited_at"], 5)
    assert row["closes_at"] == row["next_look_at"] == closes.at
    assert row["provisional"] == closes.provisional


# --- at once ---------------------------------------------------------------------------------------------------------


async def test_an_answer_and_the_clock_at_once_leave_one_history(service: Service):
    asked = await service.bad_review()
    await asyncio.gather(service.answer(asked), service.time_is(asked.due_at))
    order = await service.order(asked.order_id)
    way = states(order)[3:]
    assert way in (["FEEDBACK_PUBLISHED", "CALLBACK"], ["ESCALATED", "FEEDBACK_PUBLISHED", "CALLBACK"])
    assert [one["rung"] for one in order["escalations"]] == ["HEAD"] * (len(way) - 2)


async def test_a_reopening_and_the_clock_at_once_leave_one_history(service: Service):
    asked = await answered(service)
    await asyncio.gather(
        *(service.call_back(asked.order_id, satisfied=False) for _ in range(3)),
        service.time_is(add_working_days(datetime.now(UTC), 5)),
    )
    order = await service.order(asked.order_id)
    said = await service.said()
    if order["round"] == 1:
        assert (order["state"], said) == ("CLOSED", [])
    else:
        assert (states(order).count("REOPENED"), [one.round for one in said]) == (1, [2])
