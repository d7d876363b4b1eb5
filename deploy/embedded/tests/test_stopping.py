import asyncio
import os
import signal

import pytest
from yijian_embedded.stopping import run_until_stopped


def test_work_that_nobody_stops_says_what_it_found() -> None:
    async def work() -> int:
        return 7

    assert run_until_stopped(work()) == 7


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_work_that_is_stopped_puts_back_what_it_had_begun(number: signal.Signals) -> None:
    put_back = []

    async def work() -> int:
        try:
            os.kill(os.getpid(), number)
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            put_back.append("all")
        return 7

    assert run_until_stopped(work()) is None
    assert put_back == ["all"]
