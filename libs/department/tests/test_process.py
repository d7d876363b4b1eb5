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
from yijian_common.crypto import new_key_file

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


def start(settings: dict[str, str]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.Popen(command, env=settings, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own program


@contextmanager
def running(settings: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    process = start(settings)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


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


def test_it_is_ready_with_kafka_and_identity_down_and_stops_within_15_seconds(tmp_path: Path):
    settings = environment(tmp_path)
    with running(settings) as process:
        deadline = time.monotonic() + 20
        while ask(settings, "/readyz").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
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
    with running(settings) as process:
        _, said = process.communicate(timeout=30)
        assert process.returncode == 2
    assert sentence in said
    assert "Traceback" not in said
