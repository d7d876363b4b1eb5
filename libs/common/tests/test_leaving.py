"""A process that is asked to end under load: whoever was let in gets an answer, whoever comes later is refused."""

import http.client
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Self

import pytest

SAMPLE = Path(__file__).with_name("sample_service.py")
CALLERS = 8
RESTARTS = 5
READY_WITHIN_S = 20


class Crowd:
    """Callers who ask without a pause, some on a kept connection, some on a new one each time."""

    def __init__(self, port: int) -> None:
        self.outcomes: Counter[str] = Counter()
        self._port = port
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._call, kwargs={"keeping": number % 2 == 0}) for number in range(CALLERS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _call(self, *, keeping: bool) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self._stopping.is_set():
            if connection is None:
                connection = self._connect()
            if connection is not None and not self._ask(connection, keeping=keeping):
                connection.close()
                connection = None

    def _connect(self) -> http.client.HTTPConnection | None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.connect()
        except ConnectionRefusedError:
            self.outcomes["refused"] += 1
            time.sleep(0.01)
            return None
        return connection

    def _ask(self, connection: http.client.HTTPConnection, *, keeping: bool) -> bool:
        """Whether the connection is good for another request."""
        try:
            connection.request("GET", "/startupz")
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.outcomes[f"no answer: {type(error).__name__}"] += 1
            return False
        self.outcomes["answered"] += 1
        return keeping and not answer.will_close


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def begin(port: int) -> subprocess.Popen[bytes]:
    environment = {"YIJIAN_SERVICE": "sample", "YIJIAN_HTTP_PORT": str(port)}
    return subprocess.Popen([sys.executable, str(SAMPLE)], env=environment, stderr=subprocess.DEVNULL)  # noqa: S603 - our own words, no shell


def wait_for_answers(crowd: Crowd, count: int) -> None:
    wanted, deadline = crowd.outcomes["answered"] + count, time.monotonic() + READY_WITHIN_S
    while crowd.outcomes["answered"] < wanted:
        assert time.monotonic() < deadline, crowd.outcomes
        time.sleep(0.02)


def test_whoever_was_let_in_is_answered(port: int) -> None:
    with Crowd(port) as crowd:
        for _ in range(RESTARTS):
            with begin(port) as process:
                try:
                    wait_for_answers(crowd, 100)
                    process.send_signal(signal.SIGTERM)
                    assert process.wait(15) == 0
                finally:
                    process.kill()
    assert set(crowd.outcomes) == {"answered", "refused"}, crowd.outcomes


def test_an_answer_says_that_the_connection_ends(port: int) -> None:
    with begin(port) as process:
        try:
            with Crowd(port) as crowd:
                wait_for_answers(crowd, 20)
            kept = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            kept.request("GET", "/startupz")
            first = kept.getresponse()
            first.read()
            assert not first.will_close

            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            kept.request("GET", "/startupz")
            last = kept.getresponse()
            assert (last.status, last.getheader("connection"), last.will_close) == (200, "close", True)
            assert process.wait(15) == 0
        finally:
            process.kill()


def test_who_says_nothing_is_not_waited_for(port: int) -> None:
    with begin(port) as process:
        try:
            with Crowd(port) as crowd:
                wait_for_answers(crowd, 20)
            with socket.create_connection(("127.0.0.1", port)) as silent:
                process.send_signal(signal.SIGTERM)
                assert process.wait(15) == 0
                assert silent.recv(1) == b""
        finally:
            process.kill()
