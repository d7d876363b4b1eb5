"""The process of a department: it is ready without Kafka or identity, says why it cannot start, and stops in time."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode
from yijian_common.auth import Kind, Post
from yijian_common.crypto import new_key_file
from yijian_common.testing import Issuer

PROGRAM = """
from pydantic import BaseModel
from yijian_department import Answer, Department, Records, Task, approve

class Fields(BaseModel):
    name: str

department = Department("health")

@department.matter("L1")
def grant(task: Task[Fields], records: Records) -> Answer:
    return approve()

department.run()
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(folder: Path, **changes: str) -> dict[str, str]:
    (folder / "keys.json").write_text(new_key_file())
    own = {
        "HTTP_PORT": str(free_port()),
        "ENVIRONMENT": "development",
        "DATABASE_URL": f"sqlite:///{folder}/health.db",
        "KEY_FILE": str(folder / "keys.json"),
        "KAFKA_BOOTSTRAP": f"127.0.0.1:{free_port()}",
        "KAFKA_PASSWORD": "nobody-listens",
        "IDENTITY_ISSUER": f"http://127.0.0.1:{free_port()}",
        **changes,
    }
    others = {name: value for name, value in os.environ.items() if not name.startswith("YIJIAN_")}
    return others | {f"YIJIAN_{name}": value for name, value in own.items()}


@contextmanager
def running(settings: dict[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The program as a process; what it says goes to `log`."""
    with log.open("wb") as said:
        command = [sys.executable, "-c", PROGRAM]
        process = subprocess.Popen(command, env=settings, stderr=said)  # noqa: S603 - our own program
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def ask(settings: dict[str, str], path: str) -> httpx.Response:
    """The answer, once somebody answers."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return httpx.get(f"http://127.0.0.1:{settings['YIJIAN_HTTP_PORT']}{path}")
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def wait_until_ready(settings: dict[str, str]) -> None:
    deadline = time.monotonic() + 20
    while ask(settings, "/readyz").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_is_ready_with_kafka_and_identity_down_and_stops_within_15_seconds(tmp_path: Path):
    settings = environment(tmp_path)
    with running(settings, tmp_path / "log") as process:
        wait_until_ready(settings)
        assert ask(settings, "/desk/tasks").status_code == 401
        assert "yijian_department_tasks" in ask(settings, "/metrics").text

        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"DATABASE_URL": "postgresql://127.0.0.1/x"}, "YIJIAN_DATABASE_URL of a department has the form sqlite:////"),
        ({"KEY_FILE": "/nowhere/keys.json"}, "the key file /nowhere/keys.json cannot be read"),
        ({"RECORDS_FILE": "{folder}/records.jsonl"}, "records.jsonl line 2 is not a JSON object"),
        ({"KAFKA_PASSWORD": ""}, "YIJIAN_KAFKA_PASSWORD"),
    ],
)
def test_what_keeps_it_from_starting_is_one_sentence(tmp_path: Path, change: dict[str, str], sentence: str):
    (tmp_path / "records.jsonl").write_text('{"kind": "reader"}\n[]\n')
    settings = environment(tmp_path, **{name: value.format(folder=tmp_path) for name, value in change.items()})
    with running(settings, tmp_path / "log") as process:
        assert process.wait(timeout=30) == 2
    said = (tmp_path / "log").read_text()
    assert sentence in said
    assert "Traceback" not in said


def test_whatever_is_sent_to_the_desk_by_whomever_gets_a_clear_answer(tmp_path: Path):
    issuer = Issuer()
    (tmp_path / "health.identity-keys.json").write_bytes(issuer.key_set)
    settings = environment(tmp_path, IDENTITY_ISSUER=issuer.url)
    desk = "department.health"
    tokens = [
        issuer.official(desk, Post("health", "990100000000", ("L1",), "OFFICER"), subject="official-1"),
        issuer.official(desk, Post("taxation", "990100000000", ("B7",), "OFFICER"), subject="official-2"),
        issuer.token(desk, Kind.CITIZEN),
        issuer.token("approval", Kind.CITIZEN),
        "nonsense",
    ]
    with running(settings, tmp_path / "log"):
        wait_until_ready(settings)
        schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{settings['YIJIAN_HTTP_PORT']}/openapi.json")
        schema = schema.include(path_regex="^/desk")
        for token, count in [(tokens[0], 15), *((token, 3) for token in tokens[1:])]:
            for operation in (found.ok() for found in schema.get_all_operations()):
                for mode in GenerationMode:
                    never_our_error(operation.as_strategy(generation_mode=mode), token, count)


def never_our_error(cases: "SearchStrategy[Case]", token: str, count: int) -> None:
    @examples(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def send(case: Case) -> None:
        response = case.call(headers={"Authorization": f"Bearer {token}"})
        assert response.status_code < 500, f"{case.method} {case.path}: {response.status_code}"

    send()
