"""Every operation as everybody: the ledger is for anyone, what was disclosed and agreed to for those it is about."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest
from data_exchange.main import ROUTERS
from fastapi import FastAPI
from yijian_common.openapi import describe
from yijian_common.tokens import Kind, Post
from yijian_ledger.keys import new_key

from .conftest import AUDIENCE, Service
from .consent_story import FATHER, MOTHER, STRANGER, bearer, consent, register
from .disclosure_story import disclosed, record
from .ledger_story import ORIGIN, append, sign

pytestmark = pytest.mark.postgres

ROLES = ("anonymous", "mother", "father", "stranger", "without proof", "official", "department", "service", "elsewhere")
PUBLIC = dict.fromkeys(ROLES, 200)
REFUSED = {"anonymous": 401, "elsewhere": 401, "official": 403, "department": 403, "service": 403}
LISTS = REFUSED | dict.fromkeys(("mother", "father", "stranger", "without proof"), 200)
BOTH = REFUSED | {"mother": 200, "father": 200, "stranger": 404, "without proof": 404}
HERS = BOTH | {"father": 404}

TABLE: Mapping[str, Mapping[str, int]] = {
    "GET /checkpoint": PUBLIC,
    "GET /tile/entries/{path}": PUBLIC,
    "GET /tile/{level}/{path}": PUBLIC,
    "GET /v1/ledger": PUBLIC,
    "GET /v1/ledger/inclusion": PUBLIC,
    "GET /v1/ledger/consistency": PUBLIC,
    "GET /v1/ledger/checkpoints": PUBLIC,
    "GET /v1/consents": LISTS,
    "POST /v1/consents/{consent_id}/withdrawal": HERS,
    "GET /v1/disclosures": LISTS,
    "GET /v1/disclosures/{disclosure_id}/evidence": BOTH,
    "GET /v1/applications/{application_id}/evidence": BOTH,
}


def headers_of(service: Service, role: str) -> dict[str, str]:
    issuer = service.issuer
    match role:
        case "anonymous":
            return {}
        case "mother" | "father" | "stranger":
            return bearer(service, {"mother": MOTHER, "father": FATHER, "stranger": STRANGER}[role])
        case "without proof":
            return bearer(service, None)
        case "official":
            post = Post("health", "990101000000", ("B1",), "clerk")
            token = issuer.official(AUDIENCE, post, subject=str(uuid4()))
        case "department":
            token = issuer.token(AUDIENCE, Kind.DEPARTMENT, sub="health", client_id="department.health")
        case "service":
            token = issuer.service(AUDIENCE, "approval")
        case _:
            # The mother herself, with a token for another service.
            token = issuer.citizen("approval", subject=str(uuid4()), id_proof=MOTHER)
    return {"Authorization": f"Bearer {token}"}


def operations() -> set[str]:
    app = FastAPI()
    for router in ROUTERS:
        app.include_router(router)
    paths: dict[str, Any] = describe(app)["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


def test_the_table_names_every_operation():
    assert set(TABLE) == operations()


async def test_everybody_gets_what_the_table_says(service: Service):
    event, given = disclosed(), consent()
    await record(service, event)
    await register(service, given)
    await append(service, 1)
    await sign(service, new_key(ORIGIN))
    places = {
        "{level}": "0",
        "entries/{path}": "entries/000.p/2",
        "{path}": "000.p/2",
        "{consent_id}": str(given.consent_id),
        "{disclosure_id}": str(event.task_id),
        "{application_id}": str(event.application_id),
        "ledger/inclusion": f"ledger/inclusion?id={event.task_id}",
        "ledger/consistency": "ledger/consistency?old=1&size=2",
    }
    met = {}
    for operation in TABLE:
        method, path = operation.split()
        for name, value in places.items():
            path = path.replace(name, value)
        for role in ROLES:
            answer = await service.client.request(method, path, headers=headers_of(service, role))
            met[operation, role] = answer.status_code
    assert met == {(operation, role): told[role] for operation, told in TABLE.items() for role in ROLES}
