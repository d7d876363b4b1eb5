"""The wall clock of one process: five minutes fast or slow, or a day ahead, while it runs.

The process is restarted with libfaketime before it, which reads the difference from a file once a second. Monotonic
time stays true, as it does on a machine whose clock somebody sets.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

import psutil
from yijian_embedded.home import write_private

from yijian_chaos.faults.fault import Fault, Skipped, in_thread
from yijian_chaos.schedule import Planned
from yijian_chaos.stage import Stage

TRUE: Final = "+0"
CONTROL: Final = "FAKETIME_TIMESTAMP_FILE"
_TRIED_S: Final = 86_400


def build(planned: Planned) -> Fault:
    return Skew(planned.component, planned.variant)


class Skew:
    """The clock jumps by so many seconds; healed by letting it jump back."""

    def __init__(self, name: str, difference: str) -> None:
        self._name = name
        self._difference = difference

    async def inject(self, stage: Stage) -> Mapping[str, Any]:
        library = await in_thread(find_library)
        control = control_file(stage, self._name)
        await in_thread(write_private, control, TRUE)
        if not _has_clock(stage, self._name):
            await in_thread(stage.stop, self._name)
            await in_thread(stage.start, self._name, environment(library, control))
        await in_thread(write_private, control, self._difference)
        return {"seconds": int(self._difference)}

    async def heal(self, stage: Stage) -> Mapping[str, Any]:
        control = control_file(stage, self._name)
        if control.exists():
            await in_thread(write_private, control, TRUE)
        # `inject` may have failed between stopping and starting.
        await in_thread(stage.start, self._name, wait=False)
        return {}


def control_file(stage: Stage, name: str) -> Path:
    return stage.platform.home.folder / "clocks" / name


def environment(library: Path, control: Path) -> dict[str, str]:
    """What a process is told so that its clock follows the file."""
    return {
        "LD_PRELOAD": str(library),
        CONTROL: str(control),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        # The times of files stay those of the file system.
        "NO_FAKE_STAT": "1",
    }


@cache
def find_library() -> Path:
    """The shared library, tried on a Python like ours. Raises `Skipped`."""
    try:
        vendored = "libfaketime/vendor/libfaketime/src/libfaketime.so.1"
        library = Path(str(distribution("libfaketime").locate_file(vendored)))
    except PackageNotFoundError:
        raise Skipped("the package libfaketime is not installed") from None
    told = {**os.environ, "LD_PRELOAD": str(library), "FAKETIME": f"+{_TRIED_S}"}
    command = [sys.executable, "-c", "import time; print(time.time())"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=told, timeout=30)  # noqa: S603 - our own words, no shell
    try:
        ahead = float(done.stdout) - time.time()
    except ValueError:
        ahead = 0.0
    if ahead < _TRIED_S / 2:
        raise Skipped(f"libfaketime changes no clock on this machine: {done.stderr.strip()[:200]}")
    return library


def _has_clock(stage: Stage, name: str) -> bool:
    process = stage.process(name)
    try:
        return process is not None and CONTROL in process.environ()
    except psutil.NoSuchProcess:
        return False
