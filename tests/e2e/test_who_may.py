"""Whose application it is: everybody else finds nothing there, and without a good token nobody finds anything."""

import json
import time
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from identity.signing import Signer, load_signer
from joserfc import jws
from joserfc.jwk import ECKey
from yijian_common.crypto import Keyring
from yijian_common.database import open_pool
from yijian_common.settings import DatabaseSettings
from yijian_examples.forms import form_of

from tests.e2e.city import City

pytestmark = pytest.mark.e2e


def calls(application: UUID | str) -> list[tuple[str, str, dict[str, object]]]:
    """Everything that can be asked about one application."""
    correction = {"task": "C1", "fields": [{"pointer": "/marriage/cert_no", "value": "J990101-2020-000001"}]}
    return [
        ("GET", f"/applications/{application}", {}),
        ("GET", f"/applications/{application}/timeline", {}),
        ("GET", f"/applications/{application}/progress", {}),
        ("POST", f"/applications/{application}/withdrawal", {}),
        (
            "POST",
            f"/applications/{application}/corrections",
            {"json": correction, "headers": {"Idempotency-Key": uuid4().hex}},
        ),
        ("GET", f"/applications/{application}/consents", {}),
        (
            "POST",
            f"/applications/{application}/consents",
            {"json": {"give": ["card-guardian"]}, "headers": {"Idempotency-Key": uuid4().hex}},
        ),
    ]


async def test_another_persons_application_is_not_there(city: City):
    one, other = city.families.take(), city.families.take()
    mother = city.resident(one.account)
    application = await mother.apply(form_of(one))
    done = await mother.wait_until_over(application)
    stranger = city.resident(other.account)

    for method, path, options in calls(application):
        refused = await stranger.request(method, path, **options)
        missing = await stranger.request(method, path.replace(str(application), str(uuid4())), **options)
        assert refused.status_code == 404, path
        # Nobody can tell whose is refused from what does not exist.
        assert refused.json() == missing.json()
    assert (await stranger.request("GET", "/applications")).json()["items"] == []
    assert await mother.application(application) == done


async def test_the_other_parent_reads_and_agrees_but_only_the_applicant_acts(city: City):
    one = city.families.take()
    application = await city.resident(one.account).apply(form_of(one))
    father = city.resident(one.father_account)

    answers = [
        (await father.request(method, path, **options)).status_code for method, path, options in calls(application)
    ]

    assert answers == [200, 200, 200, 404, 404, 200, 200]
    await father.wait_until_over(application)


async def test_without_a_good_token_nothing_is_answered(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    application = await mother.apply(form_of(one))
    await mother.wait_until_over(application)
    good = await city.token(one.account)
    signer = await _signer(city)
    claims = {"sub": "somebody", "aud": "approval", "client_id": "yijian-app", "kind": "CITIZEN", "scope": "openid"}
    now = int(time.time())
    bad = {
        "none": None,
        "noise": "Bearer noise",
        "another scheme": f"Basic {good}",
        "another service's": f"Bearer {await city.token(one.account, 'department.health')}",
        "expired": f"Bearer {signer.access_token({**claims, 'iat': now - 600, 'exp': now - 60})}",
        "another issuer's": f"Bearer {signer.access_token({**claims, 'iss': 'http://127.0.0.1:1'})}",
        "forged": f"Bearer {_forged({**claims, 'iss': signer.issuer, 'iat': now, 'exp': now + 60})}",
        "changed": f"Bearer {good[:-6]}AAAAAA",
    }
    new = ("POST", "/applications", {"json": {}, "headers": {"Idempotency-Key": uuid4().hex}})

    for name, authorization in bad.items():
        for method, path, options in (*calls(application), ("GET", "/applications", {}), new):
            answer = await _anonymous(city, method, path, authorization, options)
            assert answer.status_code == 401, f"{name}: {method} {path} answered {answer.status_code}"
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")

    # The signer is the real one: what makes the difference is only what the token says.
    assert (
        await _anonymous(city, "GET", "/applications", f"Bearer {signer.access_token(claims)}", {})
    ).status_code == 200


async def test_an_official_is_no_citizen(city: City):
    one = city.families.take()
    application = await city.resident(one.account).apply(form_of(one))
    official = city.resident("health-0001")

    answers = [
        (await official.request(method, path, **options)).status_code for method, path, options in calls(application)
    ]

    assert answers == [403] * 7
    assert (await official.submit(form_of(one))).status_code == 403
    await city.resident(one.account).wait_until_over(application)


async def _anonymous(
    city: City, method: str, path: str, authorization: str | None, options: dict[str, object]
) -> httpx.Response:
    headers = {**options.get("headers", {}), **({"Authorization": authorization} if authorization else {})}
    url = f"{city.platform.url('approval')}/v1{path}"
    return await city.http.request(method, url, json=options.get("json"), headers=headers)


def _forged(claims: dict[str, Any]) -> str:
    """A token that is right in everything but whose key signed it."""
    key = ECKey.generate_key("P-256", auto_kid=True)
    header = {"alg": "ES256", "typ": "at+jwt", "kid": key.kid}
    return jws.serialize_compact(header, json.dumps(claims), key, algorithms=["ES256"])


async def _signer(city: City) -> Signer:
    """Identity's own signer, so that a token can be wrong in nothing but what it says."""
    told = city.platform.environment("identity")
    settings = DatabaseSettings(
        service="identity",
        http_port=0,
        database_url=told["YIJIAN_DATABASE_URL"],
        key_file=Path(told["YIJIAN_KEY_FILE"]),
    )
    async with open_pool(settings, max_size=2) as pool:
        return await load_signer(pool, Keyring.load(settings.key_file), issuer=city.platform.url("identity"))
