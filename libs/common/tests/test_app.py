"""What every HTTP server of the project answers, and refuses to read."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field
from yijian_common import body_guard
from yijian_common.errors import Conflict, FieldError, Problem
from yijian_common.settings import Environment, ProcessSettings

MakeApp = Callable[..., FastAPI]
MakeClient = Callable[[FastAPI], httpx.AsyncClient]
JSON = {"Content-Type": "application/json"}
SECRET = "990101199001010019"
REQUEST_ID = "019ab1c2-7c0e-7d64-9c7e-012345678901"


class Child(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=2)
    order: int = Field(ge=1)


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")

    children: list[Child]
    note: str = ""


class TwinsTaken(Conflict):
    """A refusal of one service, for this test."""

    name = "twins-taken"
    title = "这个孩子已经申请过"


@pytest.fixture
def router() -> APIRouter:
    routes = APIRouter()

    @routes.post("/forms/{number}")
    async def submit(number: int, form: Form, limit: int = 1) -> Form:
        assert number + limit > 0
        return form

    @routes.get("/broken/{number}")
    async def broken(number: str) -> None:
        raise RuntimeError(f"{SECRET} {number}")

    @routes.get("/taken")
    async def taken() -> None:
        raise TwinsTaken("请查看已有的申请", errors=[FieldError("重复", pointer="/children/0")], existing="a-1")

    @routes.get("/http/{status}")
    async def raised(status: int) -> None:
        raise HTTPException(status, detail=SECRET)

    return routes


@pytest.fixture
def client(router: APIRouter, make_app: MakeApp, client_of: MakeClient) -> httpx.AsyncClient:
    return client_of(make_app(router))


def is_problem(answer: httpx.Response, status: int, name: str) -> bool:
    body = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Request-ID"]
    assert SECRET not in answer.text
    return (answer.status_code, body["status"], body["type"]) == (status, status, f"/problems/{name}")


async def test_every_wrong_place_of_a_form_is_named_at_once_in_chinese(client: httpx.AsyncClient) -> None:
    body = {"children": [{"name": "王", "order": 0}, {"order": "one", "x/y": 1}], "note": None}
    answer = await client.post("/forms/1", json=body)
    assert is_problem(answer, 422, "unprocessable")
    assert answer.json()["errors"] == [
        {"pointer": "/children/0/name", "message": "至少 2 个字"},
        {"pointer": "/children/0/order", "message": "不能小于 1"},
        {"pointer": "/children/1/name", "message": "必填"},
        {"pointer": "/children/1/order", "message": "应为整数"},
        {"pointer": "/children/1/x~1y", "message": "没有这个字段"},
        {"pointer": "/note", "message": "应为文字"},
    ]


async def test_a_wrong_parameter_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.post("/forms/one?limit=many", json={"children": []})
    assert is_problem(answer, 422, "unprocessable")
    assert {error["parameter"] for error in answer.json()["errors"]} == {"number", "limit"}


@pytest.mark.parametrize(
    ("method", "path", "status", "name"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/forms/1", 405, "method-not-allowed"),
        ("GET", f"/broken/{SECRET}", 500, "internal-error"),
        ("GET", "/taken", 409, "twins-taken"),
        ("GET", "/http/401", 401, "unauthenticated"),
        ("GET", "/http/404", 404, "not-found"),
        ("GET", "/problems/nothing", 404, "not-found"),
        ("GET", "/http/%00", 400, "malformed-request"),
        ("GET", "/taken?x=%00", 400, "malformed-request"),
    ],
)
async def test_every_refusal_is_a_problem_whose_type_can_be_looked_up(
    client: httpx.AsyncClient, method: str, path: str, status: int, name: str
) -> None:
    answer = await client.request(method, path)
    assert is_problem(answer, status, name)
    explained = await client.get(answer.json()["type"])
    assert explained.status_code == 200
    assert Problem.kinds[name].title in explained.text


async def test_a_services_own_refusal_carries_its_members(client: httpx.AsyncClient) -> None:
    body = (await client.get("/taken")).json()
    assert (body["title"], body["detail"], body["existing"]) == ("这个孩子已经申请过", "请查看已有的申请", "a-1")


DEEP = b'{"children":' + b"[" * 100 + b"]" * 100 + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nope",
        b'{"children": [], "children": []}',
        b'{"children": [NaN]}',
        b'{"children": [Infinity]}',
        b'{"note": "\xff"}',
        b'{"note": "\\u0000", "children": []}',
        b'{"note": "\\ud800", "children": []}',
        b'{"\\u0000": 1, "children": []}',
        b'\xef\xbb\xbf{"children": []}',
        DEEP,
        b"[" * 100_000,
        b'{"children": [' + b"9" * 10_000 + b"]}",
    ],
    ids=lambda body: repr(body[:24]),
)
async def test_json_that_parsers_disagree_about_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    for media_type in ("application/json", "application/problem+json; charset=utf-8"):
        answer = await client.post("/forms/1", content=body, headers={"Content-Type": media_type})
        assert is_problem(answer, 400, "malformed-request")


async def test_escaped_characters_that_can_be_stored_are_read(client: httpx.AsyncClient) -> None:
    answer = await client.post("/forms/1", content=b'{"note": "\\u4e00 \\ud83d\\ude00", "children": []}', headers=JSON)
    assert answer.json()["note"] == "一 😀"


async def test_another_media_type_is_not_json(client: httpx.AsyncClient) -> None:
    answer = await client.post("/forms/1", content=b'{"children": []}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 422


async def chunks(size: int, count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


@pytest.mark.parametrize("streamed", [False, True])
async def test_ten_megabytes_are_refused_however_they_come(client: httpx.AsyncClient, *, streamed: bool) -> None:
    content: bytes | AsyncIterator[bytes] = chunks(65_536, 160) if streamed else b"x" * 10_000_000
    answer = await client.post("/forms/1", content=content, headers=JSON)
    assert is_problem(answer, 413, "too-large")
    assert answer.headers["Connection"] == "close"


async def test_a_body_that_dribbles_in_is_given_up(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_guard, "BODY_SECONDS", 0.1)

    async def dribble() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" "
            await asyncio.sleep(0.05)

    answer = await client.post("/forms/1", content=dribble(), headers=JSON)
    assert is_problem(answer, 408, "request-timeout")


@pytest.mark.parametrize(
    ("offered", "kept"),
    [
        ("0af7651916cd43dd8448eb211c80319c", True),
        (REQUEST_ID, True),
        ("x", False),
        ("a b c d e f", False),
        ("é" * 9, False),
        (f"r-{SECRET}", False),
        (f"{REQUEST_ID}-{SECRET}", False),
    ],
)
async def test_a_request_id_is_taken_over_only_when_it_is_one_and_nothing_else(
    client: httpx.AsyncClient, offered: str, *, kept: bool
) -> None:
    answer = await client.get("/livez", headers={"X-Request-ID": offered.encode()})
    assert (answer.headers["X-Request-ID"] == offered) is kept


async def test_docs_are_there_in_development_and_fetch_nothing(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert "/forms/{number}" in page.text
    assert "//" not in page.text.replace("://", "").replace("http://sample.test", "")
    assert "<script" not in page.text
    assert (await client.get("/openapi.json")).json()["openapi"].startswith("3.1")


async def test_docs_are_absent_in_production(router: APIRouter, make_app: MakeApp, client_of: MakeClient) -> None:
    settings = ProcessSettings(service="sample", http_port=0, environment=Environment.PRODUCTION)
    client = client_of(make_app(router, settings=settings))
    for path in ("/docs", "/openapi.json", "/redoc"):
        assert (await client.get(path)).status_code == 404


async def test_metrics_name_the_route_and_not_the_path(client: httpx.AsyncClient) -> None:
    await client.get(f"/broken/{SECRET}")
    await client.get(f"/{SECRET}")
    metrics = (await client.get("/metrics")).text
    assert 'route="/broken/{number}"' in metrics
    assert SECRET not in metrics


async def test_a_log_line_holds_no_personal_data(client: httpx.AsyncClient, log: io.StringIO) -> None:
    await client.get(f"/broken/{SECRET}?name=张三", headers={"X-Request-ID": REQUEST_ID})
    failed, request = (json.loads(line) for line in log.getvalue().splitlines())
    assert failed["error"] == "RuntimeError"
    assert request["route"] == "/broken/{number}"
    assert failed["request_id"] == request["request_id"] == REQUEST_ID
    assert SECRET not in log.getvalue()
    assert "张三" not in log.getvalue()


async def test_problems_are_json_that_any_client_reads(client: httpx.AsyncClient) -> None:
    assert json.loads((await client.get("/nowhere")).content)["status"] == 404
