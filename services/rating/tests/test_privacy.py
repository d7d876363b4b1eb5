"""Who rated is hidden from those rated: in the API, in events, in logs, and in what everybody may read."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from yijian_contracts.cloudevents import decode
from yijian_contracts.events import RectificationParts

from .conftest import Service, as_json, handling

pytestmark = pytest.mark.postgres

CANARY = "金丝雀住在芦苇荡"


async def story(service: Service) -> tuple[dict[str, Any], str]:
    """A bad review with words of one's own, answered and published; the handling as its resident sees it, the order."""
    asked = await service.bad_review(handling(child=1), comment=f"{CANARY}，电话13812345678，我叫王小明。")
    await service.answer(asked)
    (own,) = await service.own()
    return own, str(asked.order_id)


async def traces_of(service: Service) -> list[str]:
    """Everything by which a resident or an application could be told."""
    (invitation,) = await service.rows("SELECT * FROM invitation")
    (handled,) = await service.rows("SELECT * FROM handling")
    (review,) = await service.rows("SELECT * FROM review")
    ids = (invitation["application_id"], invitation["id"], handled["id"], review["id"])
    return [service.subject("mother"), *map(str, ids), "13812345678", "王小明"]


def instants(value: Any) -> Iterator[datetime]:
    """Every instant in a JSON value."""
    match value:
        case dict():
            for member in value.values():
                yield from instants(member)
        case list():
            for item in value:
                yield from instants(item)
        case str() if len(value) > 16 and value[10:11] == "T":
            yield datetime.fromisoformat(value)
        case _:
            pass


@pytest.mark.parametrize(
    ("role", "department"), [("HEAD", "health"), ("SUPERVISOR", "taxation"), ("SUPERVISOR", "health")]
)
async def test_no_official_learns_who_which_application_or_when(service: Service, role: str, department: str):
    _, order_id = await story(service)
    who = service.official(role, department)
    seen = [await service.order(order_id, who), (await service.client.get("/v1/orders", headers=who)).json()]
    text = as_json(seen)
    assert not [trace for trace in await traces_of(service) if trace in text]
    assert all((at.minute, at.second, at.microsecond) == (0, 0, 0) for at in instants(seen)), (
        "no exact time of the case"
    )


async def test_those_rated_do_not_read_the_residents_words_here(service: Service):
    _, order_id = await story(service)
    for role in ("HEAD", "SUPERVISOR"):
        assert CANARY not in as_json(await service.order(order_id, service.official(role, "health")))
    assert (await service.order(order_id, service.official("SUPERVISOR", "taxation")))["comment"] == (
        f"{CANARY}，电话***，我叫***。"
    )


async def test_what_is_said_to_the_department_names_nobody(service: Service):
    await story(service)
    rows = await service.parts.store.unsent(range(16), 100)
    said = as_json([[dict(row.message.headers), row.message.key, row.message.value.decode()] for row in rows])
    assert CANARY in said
    assert not [trace for trace in await traces_of(service) if trace in said]
    (row,) = rows
    headers = [(name, text.encode()) for name, text in row.message.headers.items()]
    assert "traceparent" not in row.message.headers, "a trace would lead from the order to the resident's request"
    assert "ce_traceparent" not in row.message.headers
    assert set(decode(headers, row.message.value).data.model_dump()) == {
        "order_id",
        "round",
        "department",
        "matter",
        "matter_name",
        "requested_at",
        "due_at",
        "personal",
    }


async def test_an_orders_number_tells_neither_when_nor_what(service: Service):
    _, order_id = await story(service)
    assert UUID(order_id).version == 4


async def test_everybody_reads_what_was_done_and_nobody_who_said_it(service: Service):
    _, order_id = await story(service)
    page = (await service.client.get("/v1/published-rectifications")).json()
    (published,) = page["items"]
    assert (published["matter_name"], published["level_name"], published["options"]) == (
        "出生医学证明签发",
        "不满意",
        ["服务态度生硬"],
    )
    assert published["measures"]
    assert published["evidence"]
    text = as_json(page)
    assert CANARY not in text, "a resident's own words are not published"
    assert order_id not in text
    assert not [trace for trace in await traces_of(service) if trace in text]
    assert list(instants(page)) == []


async def test_what_a_department_writes_is_published_without_names_and_numbers(service: Service):
    asked = await service.bad_review()
    parts = RectificationParts(measures="已致电13812345678向张女士道歉。", evidence=("2026年11月20日通话记录",))
    await service.answer(asked, personal=parts)
    (published,) = (await service.client.get("/v1/published-rectifications")).json()["items"]
    assert (published["measures"], published["evidence"]) == ("已致电******女士道歉。", ["***通话记录"])


async def test_the_log_knows_neither_the_resident_nor_their_words(service: Service):
    own, order_id = await story(service)
    await service.call_back(order_id, satisfied=False)
    await service.client.get(f"/v1/orders/{order_id}", headers=service.official("HEAD", "health"))
    log = service.log.getvalue()
    assert "/v1/reviews" in log
    assert CANARY not in log
    assert not [trace for trace in [*await traces_of(service), own["id"], order_id] if trace in log]


async def test_another_resident_sees_nothing_of_it(service: Service):
    own, order_id = await story(service)
    father = service.citizen("father")
    assert (await service.client.get("/v1/invitations", headers=father)).json()["items"] == []
    (invitation,) = await service.rows("SELECT id FROM invitation")
    assert (await service.client.get(f"/v1/invitations/{invitation['id']}", headers=father)).status_code == 404
    assert (await service.review(own["id"], name="father")).status_code == 404
    assert (await service.call_back(order_id, satisfied=True, name="father")).status_code == 404
