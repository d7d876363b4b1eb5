"""Who may not: every route, everybody else."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from yijian_common.auth import Kind

from .conftest import AUDIENCE, Service, bearer, handling

pytestmark = pytest.mark.postgres

NOBODY = str(uuid4())
FIGURES = "/v1/figures?department=health&from=2026-11-01&to=2026-11-30"
VERDICT = {"verdict": "VALID", "reason": "核实无误"}
CLOSING = {"conclusion": "已督办"}
REVIEW = {"handling": NOBODY, "level": "SATISFIED"}

# Which of these people get past the door; what they then find is another test's.
ROUTES: list[tuple[str, str, Any, set[str]]] = [
    ("GET", "/v1/invitations", None, {"citizen", "weak citizen"}),
    ("GET", f"/v1/invitations/{NOBODY}", None, {"citizen", "weak citizen"}),
    ("POST", "/v1/reviews", REVIEW, {"citizen"}),
    ("POST", f"/v1/orders/{NOBODY}/callback", {"satisfied": True}, {"citizen", "weak citizen"}),
    ("GET", "/v1/orders", None, {"head", "supervisor"}),
    ("GET", f"/v1/orders/{NOBODY}", None, {"head", "supervisor"}),
    ("POST", f"/v1/orders/{NOBODY}/verification", VERDICT, {"head", "supervisor"}),
    ("POST", f"/v1/orders/{NOBODY}/closing", CLOSING, {"head", "supervisor"}),
    ("GET", FIGURES, None, {"head", "officer", "supervisor"}),
]
PEOPLE = (
    "nobody",
    "nonsense",
    "another audience",
    "citizen",
    "weak citizen",
    "service",
    "department",
    "head",
    "officer",
    "supervisor",
    "county head",
    "county supervisor",
    "head of nowhere",
)


def headers_of(service: Service, who: str) -> dict[str, str]:
    issuer, county = service.issuer, "990101000000"
    people: dict[str, Callable[[], dict[str, str]]] = {
        "nobody": dict,
        "nonsense": lambda: bearer("eyJhbGciOiJub25lIn0.e30."),
        "another audience": lambda: bearer(issuer.citizen("approval", subject=NOBODY)),
        "citizen": service.citizen,
        "weak citizen": lambda: bearer(issuer.token(AUDIENCE, sub=NOBODY, real_name_level="L1")),
        "service": lambda: bearer(issuer.service(AUDIENCE, "approval")),
        "department": lambda: bearer(issuer.token(AUDIENCE, Kind.DEPARTMENT, client_id="department.health")),
        "head": lambda: service.official("HEAD", "health"),
        "officer": lambda: service.official("OFFICER", "health"),
        "supervisor": lambda: service.official("SUPERVISOR", "taxation"),
        "county head": lambda: service.official("HEAD", "health", area=county),
        "county supervisor": lambda: service.official("SUPERVISOR", "taxation", area=county),
        "head of nowhere": lambda: service.official("HEAD", "health", area="nowhere"),
    }
    return people[who]()


@pytest.mark.parametrize("who", PEOPLE)
async def test_who_gets_past_the_door(service: Service, who: str):
    headers = headers_of(service, who) | {"Idempotency-Key": uuid4().hex}
    for method, path, body, allowed in ROUTES:
        answer = await service.client.request(method, path, json=body, headers=headers)
        if who in allowed:
            assert answer.status_code in (200, 404), (path, answer.text)
        else:
            unknown = who in ("nobody", "nonsense", "another audience")
            assert answer.status_code == (401 if unknown else 403), (path, answer.text)
            assert answer.json()["title"]


async def test_every_route_is_in_that_table_or_open_to_all(service: Service):
    told = {(method, path.replace(NOBODY, "{}").partition("?")[0]) for method, path, _, _ in ROUTES}
    told |= {("GET", "/v1/questionnaire"), ("GET", "/v1/published-rectifications")}
    document = service.app.openapi()
    found = {
        (method.upper(), path.replace("{invitation_id}", "{}").replace("{order_id}", "{}"))
        for path, methods in document["paths"].items()
        if path.startswith("/v1/")
        for method in methods
    }
    assert found == told


async def test_a_head_sees_the_own_departments_orders_and_judges_none(service: Service):
    health = await service.bad_review(handling("health"))
    taxation = await service.bad_review(handling("taxation", matter="B7"), name="father")
    head = service.official("HEAD", "health")
    listed = (await service.client.get("/v1/orders", headers=head)).json()["items"]
    assert [one["id"] for one in listed] == [str(health.order_id)]
    assert (await service.client.get(f"/v1/orders/{taxation.order_id}", headers=head)).status_code == 404
    for act, body in (("verification", VERDICT), ("closing", CLOSING)):
        answer = await service.client.post(f"/v1/orders/{health.order_id}/{act}", json=body, headers=head)
        assert answer.status_code == 403


async def test_nobody_judges_for_the_own_department(service: Service):
    asked = await service.bad_review()
    own, other = service.official("SUPERVISOR", "health"), service.official("SUPERVISOR", "taxation")
    for act, body in (("verification", VERDICT), ("closing", CLOSING)):
        path = f"/v1/orders/{asked.order_id}/{act}"
        assert (await service.client.post(path, json=body, headers=own)).status_code == 403
        assert (await service.client.post(path, json=body, headers=other)).status_code == 409


async def test_figures_of_others_are_for_supervision_only(service: Service):
    path = FIGURES.replace("health", "taxation")
    for role, status in (("HEAD", 403), ("OFFICER", 403), ("SUPERVISOR", 200)):
        answer = await service.client.get(path, headers=service.official(role, "health"))
        assert answer.status_code == status


@pytest.mark.parametrize(
    "query",
    [
        "",
        "department=health",
        "department=health&from=2026-11-30&to=2026-11-01",
        "department=health&from=2020-01-01&to=2026-11-01",
        "department=health&from=yesterday&to=today",
        "department=nobody&from=2026-11-01&to=2026-11-02",
        "department=%00&from=2026-11-01&to=2026-11-02",
        "department=health&from=0001-01-01&to=9999-12-31",
    ],
)
async def test_figures_are_asked_for_properly(service: Service, query: str):
    answer = await service.client.get(f"/v1/figures?{query}", headers=service.official("SUPERVISOR", "taxation"))
    assert answer.status_code in (400, 422), answer.text


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=51", "cursor=0", "cursor=-1", "cursor=x", f"cursor={2**63}", "department=%00"]
)
async def test_what_is_published_is_asked_for_properly(service: Service, query: str):
    assert (await service.client.get(f"/v1/published-rectifications?{query}")).status_code in (400, 422)


async def test_published_ones_come_in_pages_and_by_department(service: Service):
    for department in ("health", "taxation", "health"):
        await service.answer(await service.bad_review(handling(department)))
    first = (await service.client.get("/v1/published-rectifications?limit=2")).json()
    second = (await service.client.get(f"/v1/published-rectifications?limit=2&cursor={first['next']}")).json()
    assert [len(first["items"]), len(second["items"]), second["next"]] == [2, 1, None]
    only = (await service.client.get("/v1/published-rectifications?department=taxation")).json()["items"]
    assert [one["department"] for one in only] == ["taxation"]
