"""Whatever anyone sends to any operation, as anyone: a clear answer, never a 5xx."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from yijian_embedded.testing import FreshDatabase

from .conftest import CITY, Service, handling, serving, settings_of

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(300)]

EXAMPLES = 15
OPERATIONS = 11
ROLES = ("anonymous", "citizen", "head", "supervisor")


@dataclass
class Served:
    """The service on a port and a loop of its own, for a caller that knows no asyncio."""

    service: Service
    loop: asyncio.AbstractEventLoop
    url: str

    def call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@pytest.fixture
def served(fresh_database: FreshDatabase, tmp_path: Path) -> Iterator[Served]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    opened = serving(settings_of(fresh_database("rating"), tmp_path))
    service = asyncio.run_coroutine_threadsafe(opened.__aenter__(), loop).result(60)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = _Server(uvicorn.Config(service.app, loop="none", lifespan="off", log_config=None, access_log=False))
        serving_now = asyncio.run_coroutine_threadsafe(server.serve([listener]), loop)
        yield Served(service, loop, f"http://127.0.0.1:{listener.getsockname()[1]}")
        server.should_exit = True
        serving_now.result(30)
    asyncio.run_coroutine_threadsafe(opened.__aexit__(None, None, None), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def headers_of(service: Service, role: str) -> dict[str, str]:
    match role:
        case "citizen":
            return service.citizen()
        case "head":
            return service.official("HEAD", "health", area=CITY)
        case "supervisor":
            return service.official("SUPERVISOR", "taxation", area=CITY)
        case _:
            return {}


@pytest.mark.parametrize("role", ROLES)
def test_no_operation_fails_whatever_is_sent(served: Served, role: str):
    served.call(served.service.invited(handling()))
    headers = headers_of(served.service, role)
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json").include(path_regex="^/v1")
    operations = [result.ok() for result in schema.get_all_operations()]
    answers: list[int] = []

    for operation in operations:

        @seed(20261121)
        @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=st.sampled_from(GenerationMode).flatmap(lambda mode, of=operation: of.as_strategy(mode)))
        def try_it(case: schemathesis.Case) -> None:
            answer = case.call(headers=headers, allow_redirects=False)
            case.validate_response(answer, checks=[not_a_server_error])
            answers.append(answer.status_code)

        try_it()

    assert len(operations) == OPERATIONS
    assert len(answers) > 2 * OPERATIONS
    assert max(answers) < 500
