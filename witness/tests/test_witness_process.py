"""The witness as a process: nothing is rolled back, whoever asks at the same time and whenever it is killed."""

import asyncio
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from yijian_ledger.checkpoints import open_checkpoint
from yijian_ledger.cosignatures import cosigned_at
from yijian_ledger.keys import KeyKind, PrivateKey, new_key
from yijian_ledger.notes import parse_note
from yijian_ledger.witness_protocol import checkpoint_path
from yijian_messaging.faultpoints import FaultPoint
from yijian_messaging.testing import wait_until

from .test_witness import ORIGIN, Log, settings_of


class Process:
    """A witness that can be killed and started again over the same file."""

    def __init__(self, folder: Path, log: Log) -> None:
        self.key: PrivateKey = new_key("witness.example/w1", KeyKind.COSIGNATURE)
        self.settings = settings_of(folder, log, self.key)
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self, faultpoint: str = "") -> None:
        told = {
            "YIJIAN_SERVICE": "witness",
            "YIJIAN_ENVIRONMENT": "development",
            "YIJIAN_HTTP_PORT": str(self.port),
            "YIJIAN_FAULTPOINT": faultpoint,
            "YIJIAN_WITNESS_KEY_FILE": str(self.settings.witness_key_file),
            "YIJIAN_WITNESS_STORE": str(self.settings.witness_store),
            "YIJIAN_LEDGER_PUBLIC_KEY_FILE": str(self.settings.ledger_public_key_file),
        }
        self.process = subprocess.Popen([sys.executable, "-m", "yijian_witness"], env=told)  # noqa: ASYNC220 - over in a moment
        await wait_until(self._answers, what="the witness", within=30)

    async def _answers(self) -> bool:
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{self.url}/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    def end(self) -> int:
        assert self.process is not None
        return self.process.wait(30)


@pytest.fixture
def log() -> Log:
    return Log(260)


@pytest.fixture
def process(log: Log, tmp_path: Path) -> Iterator[Process]:
    found = Process(tmp_path, log)
    yield found
    if found.process is not None and found.process.poll() is None:
        found.process.send_signal(signal.SIGTERM)
        assert found.end() == 0


async def test_of_200_that_ask_at_once_each_is_cosigned_in_turn_or_told_where_it_stands(
    process: Process, log: Log, tmp_path: Path
):
    await process.start()
    chance = random.Random(str(tmp_path))  # noqa: S311 - the order of requests
    sizes = [chance.randrange(1, 200) for _ in range(200)]
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(base_url=process.url, timeout=60, limits=limits) as client:

        async def ask(size: int) -> tuple[int, int]:
            """From wherever the witness stands: until it is cosigned, or the witness is further than this size."""
            old, conflicts = 0, 0
            while True:
                answer = await client.post("/add-checkpoint", content=log.submission(old, size))
                if answer.status_code == 503:
                    # Sent away before anything was looked at: too many wait already.
                    await asyncio.sleep(chance.random())
                    continue
                if answer.status_code == 200:
                    note = parse_note(log.note(size) + answer.text)
                    return size, int(cosigned_at(note, process.key.public).timestamp())
                assert answer.status_code == 409, answer.text
                seen = int(answer.text)
                assert seen > old or not conflicts, "it never goes back"
                old, conflicts = seen, conflicts + 1
                if old > size:
                    return 0, 0

        cosigned = [size for size, _ in await asyncio.gather(*(ask(size) for size in sizes)) if size]
        last = await client.get(checkpoint_path(ORIGIN))
    checkpoint, _ = open_checkpoint(last.text, log.key.public)
    assert checkpoint.size == max(sizes) == max(cosigned)
    assert checkpoint.root == log.root(0, checkpoint.size)


@pytest.mark.parametrize("point", [FaultPoint.WITNESS_BEFORE_COMMIT, FaultPoint.WITNESS_AFTER_COMMIT])
async def test_killed_around_the_moment_at_which_it_remembers_it_never_cosigns_two_histories(
    process: Process, log: Log, point: FaultPoint
):
    await process.start(f"{point}:2")
    fork = Log(260)
    fork.key = log.key
    fork.rewrite(12)
    async with httpx.AsyncClient(base_url=process.url, timeout=20) as client:
        assert (await client.post("/add-checkpoint", content=log.submission(0, 10))).status_code == 200
        with pytest.raises(httpx.TransportError):
            await client.post("/add-checkpoint", content=log.submission(10, 20))
        assert process.end() == -signal.SIGKILL
        await process.start()
        remembered = 20 if point is FaultPoint.WITNESS_AFTER_COMMIT else 10
        last, _ = open_checkpoint((await client.get(checkpoint_path(ORIGIN))).text, log.key.public)
        assert last.size == remembered
        forked = await client.post("/add-checkpoint", content=fork.submission(remembered, 30))
        assert forked.status_code == (422 if remembered == 20 else 200)
        if remembered == 20:
            assert (await client.post("/add-checkpoint", content=log.submission(20, 30))).status_code == 200
