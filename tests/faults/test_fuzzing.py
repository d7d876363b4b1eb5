"""Whatever anyone sends to any operation of approval, as anyone: a clear answer, never a 5xx."""

import asyncio
import json

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from tests.faults.births import Births

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(150)]

OPERATIONS = 13
EXAMPLES = {"anonymous": 10, "citizen": 60, "official": 10, "service": 10}


async def header(births: Births, role: str) -> dict[str, str]:
    city = births.city
    match role:
        case "anonymous":
            return {}
        case "service":
            secret = json.loads(city.platform.home.client_secrets.read_text())["identity"]
            form = {"grant_type": "client_credentials", "resource": "approval"}
            answer = await city.http.post(
                f"{city.platform.url('identity')}/token", data=form, auth=("identity", secret)
            )
            token = answer.raise_for_status().json()["access_token"]
        case "citizen":
            token = await city.token("mother-000021")
        case _:
            token = await city.token("health-0001")
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("role", EXAMPLES)
async def test_no_operation_fails_whatever_is_sent(births: Births, role: str):
    headers = await header(births, role)
    answers = await asyncio.to_thread(fuzz, births.city.platform.url("approval"), headers, EXAMPLES[role])
    assert len(answers) > 2 * OPERATIONS
    assert max(answers) < 500
    ready = await births.city.http.get(f"{births.city.platform.url('approval')}/readyz")
    assert ready.status_code == httpx.codes.OK


def fuzz(url: str, headers: dict[str, str], examples: int) -> list[int]:
    """Send so many cases to each operation; returns the statuses of the answers."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json").include(path_regex="^/v1")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) == OPERATIONS
    answers: list[int] = []
    for operation in operations:

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=st.sampled_from(GenerationMode).flatmap(lambda mode, of=operation: of.as_strategy(mode)))
        def send(case: schemathesis.Case) -> None:
            answer = case.call(headers=headers, allow_redirects=False)
            case.validate_response(answer, checks=[not_a_server_error])
            answers.append(answer.status_code)

        send()
    return answers
