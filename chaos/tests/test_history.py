"""The clients' history: on disk before it counts, and read again as it was written."""

import asyncio
import json
import os
from pathlib import Path

import pytest
from yijian_chaos.history import Call, Ending, History, Kind, Phase, read

SUBMIT = Call(Kind.SUBMIT, "mother-000123", "approval-api-1", key="k1", digest="d1")


def written(path: Path) -> bytes:
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.jsonl"


async def test_an_attempt_is_two_lines_in_the_agreed_form(path: Path):
    async with History(path) as history:
        op, _ = await history.invoke(SUBMIT)
        await history.end(op, Ending(Phase.OK, 202, application="a1"))

    begun, ended = (json.loads(line) for line in written(path).splitlines())
    assert begun.pop("at") <= ended.pop("at")
    assert begun == {
        "op": 0,
        "phase": "invoke",
        "kind": "submit",
        "key": "k1",
        "actor": "mother-000123",
        "application": None,
        "digest": "d1",
        "target": "approval-api-1",
        "retry_of": None,
    }
    assert ended == {
        "op": 0,
        "phase": "ok",
        "status": 202,
        "application": "a1",
        "version": None,
        "state": None,
        "error": None,
    }


async def test_a_line_is_synced_before_its_writer_goes_on_and_those_of_one_moment_share_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    synced: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        synced.append(len(written(path).splitlines()))

    monkeypatch.setattr(os, "fsync", fsync)
    async with History(path) as history:
        await history.invoke(SUBMIT)
        assert synced == [1]
        await asyncio.gather(*(history.invoke(SUBMIT) for _ in range(50)))
        assert synced[-1] == 51
        assert len(synced) < 51


async def test_a_client_that_gives_up_leaves_the_others_lines_alone(path: Path):
    async with History(path) as history:
        impatient = asyncio.create_task(history.invoke(SUBMIT))
        patient = asyncio.create_task(history.invoke(SUBMIT))
        await asyncio.sleep(0)
        impatient.cancel()
        op, _ = await patient

    assert op == 1
    assert [attempt.op for attempt in read(path)] == [0, 1]


async def test_what_was_written_is_read_again(path: Path):
    async with History(path) as history:
        first, _ = await history.invoke(SUBMIT)
        await history.end(first, Ending(Phase.INFO, error="TimeoutError"))
        again = Call(Kind.SUBMIT, "mother-000123", "approval-api-2", key="k1", digest="d1", retry_of=first)
        second, _ = await history.invoke(again)

    attempts = read(path)
    assert [attempt.call for attempt in attempts] == [SUBMIT, again]
    assert attempts[0].ending == Ending(Phase.INFO, error="TimeoutError")
    assert (attempts[1].op, attempts[1].ending) == (second, None)
    assert attempts[1].phase is Phase.INFO, "nobody knows what became of an attempt without an end"


async def test_a_line_that_was_cut_off_says_nothing(path: Path):
    async with History(path) as history:
        await history.invoke(SUBMIT)
    with path.open("a") as file:
        file.write('{"op": 0, "phase": "o')

    assert [attempt.phase for attempt in read(path)] == [Phase.INFO]


async def test_a_history_goes_on_behind_what_is_there(path: Path):
    async with History(path) as history:
        await history.invoke(SUBMIT)
    before = written(path)
    async with History(path) as history:
        await history.invoke(SUBMIT)

    assert written(path).startswith(before)
