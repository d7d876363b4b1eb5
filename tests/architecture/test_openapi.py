"""The HTTP APIs are what their pinned documents say."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from approval import openapi as approval
from data_exchange import openapi as data_exchange
from identity import openapi as identity
from rating import openapi as rating

FOLDER = Path(__file__).parents[2] / "docs" / "contracts" / "openapi"
WRITERS: dict[str, Callable[[Path], None]] = {
    "approval": approval.write,
    "data-exchange": data_exchange.write,
    "identity": identity.write,
    "rating": rating.write,
}


@pytest.mark.parametrize("service", WRITERS)
def test_the_document_is_what_the_routes_say(service: str, tmp_path: Path):
    fresh = tmp_path / f"{service}.json"
    WRITERS[service](fresh)
    assert (FOLDER / fresh.name).read_text() == fresh.read_text(), "run `make contracts`, and say in CHANGELOG what"


def test_every_service_with_an_api_has_a_document():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(WRITERS)


@pytest.mark.parametrize("service", WRITERS)
def test_a_refusal_is_described_as_it_really_looks(service: str):
    document = json.loads((FOLDER / f"{service}.json").read_text())
    for methods in document["paths"].values():
        for operation in methods.values():
            refusal = operation["responses"]["4XX"]["content"]
            assert refusal == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
            assert "422" not in operation["responses"], "the framework's own error is never sent"


def test_every_way_to_an_application_asks_for_a_token():
    document = json.loads((FOLDER / "approval.json").read_text())
    open_to_all = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if "security" not in operation
    }
    assert open_to_all == {"GET /v1/life-events", "GET /v1/life-events/{code}"}
