"""The clock of a running process follows a file, and its monotonic time does not."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest
from yijian_chaos.faults.clock import TRUE, environment, find_library
from yijian_chaos.faults.fault import Skipped

SAYS_THE_TIME = """
import asyncio, time, uvloop

async def main():
    while True:
        began = time.monotonic()
        await asyncio.sleep(0.1)
        print(time.time(), time.monotonic() - began, flush=True)

uvloop.run(main())
"""


@pytest.mark.timeout(120)
async def test_a_clock_jumps_and_jumps_back_while_the_process_runs(tmp_path: Path):
    try:
        library = find_library()
    except Skipped as skipped:
        pytest.skip(str(skipped))
    control = tmp_path / "clock"
    control.write_text(TRUE)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SAYS_THE_TIME,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **environment(library, control)},
    )
    assert process.stdout is not None

    async def says(difference: float) -> None:
        async with asyncio.timeout(30):
            while True:
                told, waited = map(float, (await process.stdout.readline()).split())
                assert 0 < waited < 20
                if abs(told - time.time() - difference) < 30:
                    return

    try:
        await says(0)
        for difference in ("+300", "+86400", "-300", TRUE):
            control.write_text(difference)
            await says(float(difference))
    finally:
        process.kill()
        await process.wait()
