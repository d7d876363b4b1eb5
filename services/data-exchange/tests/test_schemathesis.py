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
from yijian_ledger.keys import new_key

from .conftest import AUDIENCE, Service, serving, settings_of
from .consent_story import consent, register
from .disclosure_story import disclosed, record
from .ledger_story import ORIGIN, sign
from .test_access import headers_of, operations

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(300)]

EXAMPLES = 12


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
    opened = serving(settings_of(fresh_database(AUDIENCE), tmp_path))
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


@pytest.mark.parametrize("role", ["anonymous", "mother", "without proof", "official"])
def test_no_operation_fails_whatever_is_sent(served: Served, role: str):
    served.call(record(served.service, disclosed()))
    served.call(register(served.service, consent()))
    served.call(sign(served.service, new_key(ORIGIN)))
    headers = headers_of(served.service, role)
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    found = [result.ok() for result in schema.get_all_operations()]
    answers: list[int] = []

    for operation in found:

        @seed(20261121)
        @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=st.sampled_from(GenerationMode).flatmap(lambda mode, of=operation: of.as_strategy(mode)))
        def try_it(case: schemathesis.Case) -> None:
            answer = case.call(headers=headers, allow_redirects=False)
            case.validate_response(answer, checks=[not_a_server_error])
            answers.append(answer.status_code)

        try_it()

    assert len(found) == len(operations())
    assert len(answers) > 2 * len(found)
    assert max(answers) < 500
