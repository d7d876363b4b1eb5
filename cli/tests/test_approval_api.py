"""What the commands make of approval's stream and of its refusals."""

import httpx
import pytest
from yijian_cli.approval_api import (
    ApprovalApi,
    ServerSentEvent,
    Tokens,
    UnreachableError,
    refusal,
    server_sent_events,
)
from yijian_embedded.errors import PlatformError


def answer(status: int, body: object) -> httpx.Response:
    return httpx.Response(status, json=body, request=httpx.Request("POST", "http://127.0.0.1:8000/v1/applications"))


def test_a_stream_is_read_event_by_event():
    lines = [": keep-alive", "", "id: 7", "event: entry", 'data: {"a":', "data: 1}", "", "data:x", "", "id: 8", ""]

    assert list(server_sent_events(lines)) == [ServerSentEvent("7", '{"a":\n1}'), ServerSentEvent("7", "x")]


def test_an_event_cut_off_by_a_lost_connection_is_no_event():
    assert list(server_sent_events(["id: 1", "data: half"])) == []


def test_a_refusal_names_every_field_with_its_rule():
    problem = {
        "title": "申请表有需要修改的地方",
        "detail": "申请表有 2 处需要修改",
        "errors": [{"pointer": "/mother/id_no", "message": "请核对"}, {"parameter": "limit", "message": "应为整数"}],
        "rules": ["V1"],
    }

    assert str(refusal(answer(422, problem))).splitlines() == [
        "申请表有需要修改的地方：申请表有 2 处需要修改（422）",
        "  /mother/id_no  请核对（V1）",
        "  limit  应为整数",
    ]


def test_a_second_application_points_to_the_first():
    problem = {"title": "已有申请", "detail": "已有申请", "application_id": "0190-a"}

    assert str(refusal(answer(409, problem))).splitlines() == ["已有申请（409）", "  yijian watch 0190-a"]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [(401, {}, "token was refused"), (503, {}, "cannot answer just now"), (418, [], "answered 418 without saying why")],
)
def test_every_other_refusal_is_a_sentence(status: int, body: object, said: str):
    assert said in str(refusal(answer(status, body)))


def test_where_nobody_listens_the_sentence_says_to_start():
    api = ApprovalApi("http://127.0.0.1:1", Tokens(identity="http://127.0.0.1:1", account="a", fixed="token"))

    with pytest.raises(UnreachableError, match=r"approval does not answer at http://127\.0\.0\.1:1 .*run `yijian up`"):
        api.applications()
    with pytest.raises(PlatformError, match="identity does not answer"):
        Tokens(identity="http://127.0.0.1:1", account="a").current()
