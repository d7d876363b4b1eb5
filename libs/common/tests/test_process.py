"""The life of a process, seen from outside: it starts or says why not, and always stops in time."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

SAMPLE = Path(__file__).with_name("sample_service.py")
LONGEST_STOP = 15.0


class Sample:
    """The sample service as a process of its own."""

    def __init__(self, port: int, **environment: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        variables = {"YIJIAN_SERVICE": "sample", "YIJIAN_HTTP_PORT": str(port), "PATH": os.environ["PATH"]}
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and file
            [sys.executable, str(SAMPLE)],
            env={**variables, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=10)

    def wait_until(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if reached():
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.02)
        raise AssertionError(self.process.stderr.read() if self.process.poll() is not None else "never")

    def started(self) -> "Sample":
        self.wait_until(lambda: self.get("/startupz").status_code == 200)
        return self

    def stop(self) -> tuple[float, int, str, str]:
        """Seconds it took, exit code, stdout, stderr."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=30)
        return time.monotonic() - began, self.process.returncode, out, err


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def start(port: int) -> Iterator[Callable[..., Sample]]:
    samples: list[Sample] = []

    def begin(**environment: str) -> Sample:
        samples.append(Sample(port, **environment))
        return samples[-1]

    yield begin
    for sample in samples:
        if sample.process.poll() is None:
            sample.process.kill()
        sample.process.communicate()


def test_components_stop_one_after_the_other_and_resources_last(start: Callable[..., Sample]) -> None:
    seconds, code, out, _ = start(SAMPLE_COMPONENTS="orderly orderly").started().stop()
    assert code == 0
    assert seconds < 3
    assert out.split("\n") == [
        "orderly-0 stopping",
        "orderly-0 ended",
        "orderly-1 stopping",
        "orderly-1 ended",
        "resources closed",
        "",
    ]


def test_what_hangs_is_left_behind(start: Callable[..., Sample]) -> None:
    seconds, code, out, _ = start(SAMPLE_COMPONENTS="hanging hanging orderly").started().stop()
    assert code == 0
    assert seconds < LONGEST_STOP
    assert "orderly-2 ended\nresources closed" in out


def test_a_request_in_flight_is_answered_and_no_new_work_is_invited(start: Callable[..., Sample]) -> None:
    sample = start(YIJIAN_DRAIN_DELAY_SECONDS="1").started()
    answers: list[httpx.Response] = []
    request = threading.Thread(target=lambda: answers.append(sample.get("/slow")))
    request.start()
    time.sleep(0.3)
    sample.process.send_signal(signal.SIGTERM)
    sample.wait_until(lambda: sample.get("/readyz").status_code == 503)
    assert sample.get("/readyz").json()["reason"] == "stopping"
    assert sample.get("/livez").status_code == 200
    request.join()
    sample.process.communicate(timeout=15)
    assert answers[0].text == '"done"'
    assert sample.process.returncode == 0


def test_a_crashed_component_shows_and_starts_again(start: Callable[..., Sample]) -> None:
    sample = start(SAMPLE_COMPONENTS="crashing").started()
    assert sample.get("/readyz").status_code == 200
    assert "ConnectionError" in sample.get("/readyz").json()["components"]["crashing-0"]
    sample.wait_until(lambda: 'component_crashes_total{component="crashing-0"} 2.0' in sample.get("/metrics").text)
    sample.wait_until(lambda: not sample.get("/readyz").json()["components"])
    _, code, out, err = sample.stop()
    assert code == 0
    assert "crashing-0 ended" in out
    assert "990101199001010019" not in err


def test_a_worker_serves_health_and_metrics_only(start: Callable[..., Sample]) -> None:
    sample = start(YIJIAN_ROLES="worker,relay").started()
    assert sample.get("/slow").status_code == 404
    assert sample.get("/readyz").status_code == 200
    assert "http_server_request_duration_seconds" in sample.get("/metrics").text


def test_ready_is_what_the_service_says(start: Callable[..., Sample]) -> None:
    sample = start(SAMPLE_NOT_READY="the database is down").started()
    answer = sample.get("/readyz")
    assert (answer.status_code, answer.json()["reason"]) == (503, "the database is down")
    assert sample.get("/livez").status_code == 200


def refusal(sample: Sample) -> str:
    _, err = sample.process.communicate(timeout=15)
    assert sample.process.returncode == 2
    assert "Traceback" not in err
    return err


def test_a_taken_port_is_one_sentence(start: Callable[..., Sample], port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        err = refusal(start())
    assert f"127.0.0.1:{port}" in err
    assert "YIJIAN_HTTP_PORT" in err
    assert err.count("\n") == 1


def test_a_service_that_cannot_start_is_one_sentence(start: Callable[..., Sample]) -> None:
    assert refusal(start(SAMPLE_REFUSES="yes")) == "the sample cannot start; give it what it needs.\n"


def test_missing_settings_are_named(start: Callable[..., Sample]) -> None:
    err = refusal(start(YIJIAN_SERVICE="", YIJIAN_ENVIRONMENT="prod"))
    assert "YIJIAN_SERVICE" in err
    assert "YIJIAN_ENVIRONMENT" in err


def test_a_dead_trace_collector_does_not_delay_the_stop(start: Callable[..., Sample]) -> None:
    sample = start(YIJIAN_TRACE_ENDPOINT="http://127.0.0.1:9", YIJIAN_TRACE_SAMPLE_RATIO="1").started()
    for _ in range(20):
        sample.get("/readyz")
    seconds, code, _, _ = sample.stop()
    assert code == 0
    assert seconds < 5


def test_a_small_program_pays_for_no_database() -> None:
    modules = "app auth crypto health masking process settings telemetry testing tokens"
    program = f"import sys, {', '.join(f'yijian_common.{name}' for name in modules.split())}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    loaded = set(done.stdout.split())
    assert not loaded & {"asyncpg", "sqlalchemy", "alembic", "opentelemetry.sdk", "requests"}
