"""Whatever is sent to approval over HTTP: a clear refusal that says what is wrong, and nothing is stored."""

import copy
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from yijian_common.auth import Kind, Post
from yijian_common.testing import Issuer
from yijian_examples.forms import form_of
from yijian_examples.population import family

from .conftest import AUDIENCE, Service, bearer

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]

FAMILY = 20
Form = dict[str, Any]


@pytest_asyncio.fixture(loop_scope="module")
async def service(shared_service: Service) -> AsyncIterator[Service]:
    """Whatever a test of this module sends, no family of `FAMILY` ever gets an application."""
    yield shared_service
    stored = await shared_service.parts.pool.fetchval(
        "SELECT count(*) FROM application WHERE applicant = $1", shared_service.subjects.get(FAMILY)
    )
    assert stored == 0


def refused(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    """The problem in an answer that must be a 4xx."""
    assert answer.status_code in (statuses or range(400, 500)), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["title"]
    return problem


def at(form: Form, pointer: str) -> tuple[Any, Any]:
    """The parent of the place that `pointer` names, and the last step to it."""
    *path, last = pointer.strip("/").split("/")
    for step in path:
        form = form[int(step)] if isinstance(form, list) else form[step]
    return form, int(last) if isinstance(form, list) else last


def with_value(pointer: str, value: Any) -> Form:
    form = form_of(family(FAMILY))
    parent, last = at(form, pointer)
    parent[last] = value
    return form


def places(value: Any, at_: str = "") -> list[str]:
    """The pointer of every leaf."""
    match value:
        case dict():
            return [place for name, member in value.items() for place in places(member, f"{at_}/{name}")]
        case list():
            return [place for i, item in enumerate(value) for place in places(item, f"{at_}/{i}")]
        case _:
            return [at_]


class TestBodies:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"null",
            b"[]",
            b'"birth"',
            b"\xff\xfe{}",
            b'{"life_event": "birth", "life_event": "birth", "form": {}}',
            b'{"life_event": "birth", "form": {"a": 1, "a": 2}}',
            b'{"life_event": "birth", "form": {"a": NaN}}',
            b'{"life_event": "birth", "form": {"a": -Infinity}}',
            b'{"life_event": "birth", "form": {"a": 1e400}}',
            b'{"life_event": "birth", "form": {"a": ' + b"9" * 5000 + b"}}",
            b'{"life_event": "birth", "form": {"a": "\\u0000"}}',
            b'{"life_event": "birth", "form": {"a\\u0000": 1}}',
            b'{"life_event": "birth", "form": {"a": "\\ud800"}}',
            b'{"life_event": "birth", "form": {"a": "x\x00"}}',
            b'{"life_event": "birth", "form": ' + b"[" * 5000 + b"]" * 5000 + b"}",
            b'{"life_event": "birth", "form": ' + b'{"a":' * 60 + b"1" + b"}" * 60 + b"}",
            b'{"life_event": "birth", "form": []}',
            b'{"life_event": 7, "form": {}}',
            b'{"life_event": "moving-house", "form": {}}',
            b'{"life_event": "../etc", "form": {}}',
            b'{"life_event": "birth", "form": {}, "status": "COMPLETED"}',
            b'{"life_event": "birth", "form": {}, "applicant": "somebody-else"}',
        ],
        ids=lambda body: body[:60].decode("latin-1"),
    )
    @pytest.mark.parametrize("content_type", ["application/json", "application/vnd.city+json; charset=utf-8", None])
    async def test_a_body_that_is_no_application(self, service: Service, body: bytes, content_type: str | None):
        headers = service.mother(FAMILY) | {"Idempotency-Key": uuid4().hex}
        headers |= {"Content-Type": content_type} if content_type else {}
        refused(await service.client.post("/v1/applications", content=body, headers=headers))

    @pytest.mark.parametrize("order", [("application/json", "text/plain"), ("text/plain", "application/json")])
    async def test_two_content_types_do_not_get_past_the_strict_reading(self, service: Service, order: tuple[str, str]):
        # Read leniently the last one counts, and the form would be taken.
        form = json.dumps(form_of(family(FAMILY)))
        headers = [*(service.mother(FAMILY) | {"Idempotency-Key": uuid4().hex}).items()]
        headers += [("Content-Type", one) for one in order]
        body = f'{{"life_event": "birth", "form": {{}}, "form": {form}}}'
        refused(await service.client.post("/v1/applications", content=body, headers=headers))

    @pytest.mark.parametrize("streamed", [False, True])
    async def test_ten_megabytes(self, service: Service, *, streamed: bool):
        async def dribble() -> AsyncIterator[bytes]:
            for _ in range(160):
                yield b"x" * 65_536

        headers = service.mother(FAMILY) | {"Idempotency-Key": uuid4().hex, "Content-Type": "application/json"}
        content = dribble() if streamed else b"x" * 10_485_760
        refused(await service.client.post("/v1/applications", content=content, headers=headers), 413)


class TestForms:
    @pytest.mark.parametrize(
        ("pointer", "value"),
        [
            ("/mother/id_no", "990101198801010000"),
            ("/mother/id_no", "99010119880230002X"),
            ("/delivery/institution_code", "x" * 300),
            ("/newborns/0/birth_datetime", "2026-02-30T08:00:00+08:00"),
            ("/newborns/0/birth_datetime", "9999-12-31T23:59:59+08:00"),
            ("/newborns/0/birth_datetime", "0001-01-01T00:00:00+14:00"),
            ("/newborns/0/birth_datetime", "2026-11-20T08:00:00"),
            ("/newborns/0/birth_datetime", 1e300),
            ("/newborns/0/name", ""),
            ("/newborns", []),
            ("/newborns/0", None),
            ("/insurance/pay_year", 10**400),
            ("/insurance/pay_year", -(2**63) - 1),
            ("/insurance/pay_year", 2**63),
            ("/insurance/pay_year", 1e308),
            ("/hukou/target_code12", "000000000000"),
            ("/consents/signed_at", "yesterday"),
        ],
    )
    async def test_a_wrong_value_is_named_by_its_place(self, service: Service, pointer: str, value: Any):
        problem = refused(await service.submit(FAMILY, form=with_value(pointer, value)), 422)
        assert problem["errors"]
        assert all(error["pointer"].startswith("/") for error in problem["errors"])

    async def test_twenty_newborns(self, service: Service):
        form = form_of(family(FAMILY))
        form["newborns"] = [copy.deepcopy(form["newborns"][0]) | {"order": n + 1} for n in range(20)]
        refused(await service.submit(FAMILY, form=form), 422)

    @pytest.mark.parametrize("value", [None, True, 0, -1, 2**63, 1e300, "", "x" * 5000, [], {}, [[]], {"a": {"b": []}}])
    async def test_any_value_in_any_place_is_taken_or_refused(self, service: Service, value: Any):
        """No rule of the life event may fail on a form that the schema lets pass."""
        for pointer in places(form_of(family(FAMILY))):
            body = {"form": with_value(pointer, value)}
            answer = await service.client.post(
                "/v1/life-events/birth/validate", json=body, headers=service.mother(FAMILY)
            )
            assert answer.status_code in (200, 422), f"{pointer}: {answer.text}"

    async def test_any_part_may_be_missing(self, service: Service):
        whole = form_of(family(FAMILY))
        for pointer in [f"/{name}" for name in whole] + places(whole):
            form = copy.deepcopy(whole)
            parent, last = at(form, pointer)
            del parent[last]
            answer = await service.client.post(
                "/v1/life-events/birth/validate", json={"form": form}, headers=service.mother(FAMILY)
            )
            assert answer.status_code in (200, 422), f"{pointer}: {answer.text}"


class TestParameters:
    @pytest.mark.parametrize("key", [None, "", "short", "x" * 129, "has a space", "ein-schlüssel-ä", "tab\there"])
    async def test_an_idempotency_key_is_wanted_and_has_a_shape(self, service: Service, key: str | None):
        headers: dict[str, Any] = service.mother(FAMILY)
        headers |= {} if key is None else {"Idempotency-Key": key.encode()}
        body = {"life_event": "birth", "form": form_of(family(FAMILY))}
        refused(await service.client.post("/v1/applications", json=body, headers=headers), 400)

    @pytest.mark.parametrize(
        "query",
        ["cursor=x", "cursor=%00", "cursor=", "limit=0", "limit=51", "limit=1e9", "limit=-1", f"limit={10**30}"],
    )
    async def test_a_page_is_asked_for_properly(self, service: Service, query: str):
        refused(await service.client.get(f"/v1/applications?{query}", headers=service.mother(FAMILY)), 400, 422)

    @pytest.mark.parametrize("last", ["x", "-1", "2147483648", "1.5", "", "9" * 400])
    async def test_a_stream_resumes_only_after_a_version(self, service: Service, last: str):
        application, mother = await service.accepted()
        headers = mother | {"Last-Event-ID": last}
        refused(await service.client.get(f"/v1/applications/{application}/progress", headers=headers), 422)

    @pytest.mark.parametrize("after", ["x", "-1", "2147483648", "NaN"])
    async def test_a_timeline_starts_after_a_version(self, service: Service, after: str):
        application, mother = await service.accepted()
        url = f"/v1/applications/{application}/timeline?after={after}"
        refused(await service.client.get(url, headers=mother), 422)

    @pytest.mark.parametrize(
        "path",
        [
            "/v1/life-events/%00",
            "/v1/life-events/nope",
            "/v1/applications/not-a-uuid",
            "/v1/applications/%2e%2e",
            "/v1/nothing",
        ],
    )
    async def test_what_is_not_there(self, service: Service, path: str):
        refused(await service.client.get(path, headers=service.mother(FAMILY)), 400, 404, 422)

    @pytest.mark.parametrize(
        "fields",
        [
            [],
            [{"pointer": "/mother/name", "value": "x"}] * 2,
            [{"pointer": "/mother/name"}],
            [{"pointer": "mother", "value": 1}],
            [{"pointer": "/" * 201, "value": 1}],
            [{"pointer": "/newborns/99999999999999999999/name", "value": 1}],
            [{"pointer": "/~2", "value": {"a": 1e308}}],
        ],
    )
    async def test_a_correction_nobody_asked_for(self, service: Service, fields: list[Any]):
        application, mother = await service.accepted()
        headers = mother | {"Idempotency-Key": uuid4().hex}
        url = f"/v1/applications/{application}/corrections"
        refused(await service.client.post(url, json={"task": "B2-1", "fields": fields}, headers=headers), 409, 422)


class TestPeople:
    async def test_another_persons_application_is_not_there(self, service: Service):
        application, _ = await service.accepted()
        stranger = service.mother(FAMILY + 1)
        key = {"Idempotency-Key": uuid4().hex}
        fields = {"task": "B2-1", "fields": [{"pointer": "/mother/name", "value": "x"}]}
        url = f"/v1/applications/{application}"
        for answer in (
            await service.client.get(url, headers=stranger),
            await service.client.get(f"{url}/timeline", headers=stranger),
            await service.client.get(f"{url}/progress", headers=stranger),
            await service.client.post(f"{url}/withdrawal", headers=stranger),
            await service.client.post(f"{url}/corrections", json=fields, headers=stranger | key),
        ):
            assert refused(answer, 404)["type"] == "/problems/application-not-found"
        listed = await service.client.get("/v1/applications", headers=stranger)
        assert listed.json() == {"items": [], "next": None}

    async def test_somebody_elses_form_is_refused(self, service: Service):
        refused(await service.submit(FAMILY + 1, form=form_of(family(FAMILY))), 403)

    async def test_tokens_of_the_wrong_kind_or_time(self, service: Service):
        issuer = service.issuer
        claims = issuer.claims(AUDIENCE)
        post = Post("health", "990100000000", ("B2",), "OFFICER")
        tokens: dict[str, tuple[int, str]] = {
            "expired": (401, issuer.sign(claims | {"exp": claims["iat"] - 3600})),
            "for another audience": (401, issuer.token("identity")),
            "of another issuer": (401, Issuer().token(AUDIENCE)),
            "of another address": (401, issuer.sign(claims | {"iss": "http://127.0.0.1:9"})),
            "nonsense": (401, "nonsense"),
            "unsigned": (401, issuer.token(AUDIENCE).rpartition(".")[0] + "."),
            "an official's": (403, issuer.official(AUDIENCE, post, subject="official-1")),
            "a service's": (403, issuer.service(AUDIENCE, "rating")),
            "a department's": (403, issuer.token(AUDIENCE, Kind.DEPARTMENT)),
        }
        for what, (status, token) in tokens.items():
            for method, path in CITIZENS_ROUTES:
                answer = await service.client.request(method, path, headers=bearer(token))
                assert answer.status_code == status, f"{what} at {path}: {answer.text}"
                refused(answer)

    @pytest.mark.parametrize("header", ["", "Bearer", "Basic bW90aGVyOng=", "Bearer a b", "bearer \xff"])
    async def test_no_token_at_all(self, service: Service, header: str):
        for method, path in CITIZENS_ROUTES:
            answer = await service.client.request(method, path, headers={"Authorization": header.encode("latin-1")})
            refused(answer, 401)


CITIZENS_ROUTES: list[tuple[str, str]] = [
    ("POST", "/v1/life-events/birth/validate"),
    ("POST", "/v1/applications"),
    ("GET", "/v1/applications"),
    ("GET", "/v1/consents/pending"),
    *(
        (method, f"/v1/applications/{uuid4()}{path}")
        for method, path in [
            ("GET", ""),
            ("GET", "/timeline"),
            ("GET", "/progress"),
            ("POST", "/withdrawal"),
            ("POST", "/corrections"),
            ("GET", "/consents"),
            ("POST", "/consents"),
        ]
    ),
]


async def test_every_route_of_citizens_is_in_the_list_above(service: Service):
    covered = {(method, len(path.split("/")), path.rpartition("/")[2]) for method, path in CITIZENS_ROUTES}
    documented: Callable[[], dict[str, Any]] = service.app.openapi
    protected = [
        (method.upper(), path)
        for path, methods in documented()["paths"].items()
        for method, operation in methods.items()
        if operation.get("security")
    ]
    assert len(protected) == len(covered) == len(CITIZENS_ROUTES)
