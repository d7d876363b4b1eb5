"""`yijian up | down | status | clean`: the platform's processes on this machine."""

import time
from dataclasses import asdict
from typing import Annotated

import typer
from yijian_embedded.home import default_home
from yijian_embedded.platform import Platform

from yijian_cli import pace
from yijian_cli.output import AsJson, console, print_json, print_table
from yijian_cli.population import ensure_population


def this_platform() -> Platform:
    """The platform of this checkout, or of the folder that `YIJIAN_HOME` names."""
    return Platform(default_home().folder)


def up(
    *,
    infra_only: Annotated[bool, typer.Option("--infra-only", help="Only Kafka and Postgres.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start what is not running, and wait until all of it is ready."""
    began = time.monotonic()
    platform = this_platform()
    if not infra_only:
        ensure_population(platform.home)
        pace.undo(platform.home)
    with console.status("Starting Kafka, Postgres and the services …"):
        platform.up(services=not infra_only)
    if as_json:
        print_json({"seconds": round(time.monotonic() - began, 1), "processes": [asdict(s) for s in platform.status()]})
        return
    _print_status(platform)
    console.print(f"Up after {time.monotonic() - began:.1f} s. Logs: {platform.home.logs}. Stop with `yijian down`.")


def down(*, as_json: AsJson = False) -> None:
    """Stop everything, gracefully and in order; nothing is left running."""
    platform = this_platform()
    with console.status("Stopping …"):
        stopped = platform.down()
    if as_json:
        print_json({"stopped": stopped})
        return
    console.print(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing was running.")


def status(*, as_json: AsJson = False) -> None:
    """Every process: whether it is ready, where it listens, for how long it has been up."""
    platform = this_platform()
    if as_json:
        print_json([asdict(process) for process in platform.status()])
        return
    _print_status(platform)


def clean(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Stop everything and remove the data folder: applications, documents, keys, passwords, logs."""
    platform = this_platform()
    folder = platform.home.folder
    if folder.exists() and not yes:
        typer.confirm(f"Remove {folder} with everything in it?", abort=True)
    platform.clean()
    if as_json:
        print_json({"removed": str(folder)})
        return
    console.print(f"Removed {folder}.")


def _print_status(platform: Platform) -> None:
    rows = [
        (s.name, s.state, f"127.0.0.1:{s.port}" if s.port else None, s.pid, _duration(s.up_for_s), _memory(s.memory_mb))
        for s in platform.status()
    ]
    print_table(str(platform.home.folder), ("process", "state", "address", "pid", "up for", "memory"), rows)


def _duration(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"


def _memory(megabytes: int | None) -> str | None:
    return None if megabytes is None else f"{megabytes} MB"
