"""Detached processes: started, recorded, recognised again, stopped."""

import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from yijian_embedded.errors import PlatformError, ProcessEndedError
from yijian_embedded.home import Home, make_private_folder, write_private

LOG_LIMIT_BYTES = 20 * 1024 * 1024
PROGRAMS = ("java", "postgres", "python")


@dataclass(frozen=True)
class Program:
    """What to run. The command line is visible to everybody on the machine, so secrets go in files or `environment`."""

    name: str
    command: list[str]
    environment: Mapping[str, str]


def start(home: Home, program: Program) -> psutil.Process:
    """Start a process that outlives this one, its output appended to its log, and record it."""
    log = home.log(program.name)
    make_private_folder(home.logs)
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".log.1"))
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        program.command[0],
        program.command,
        dict(program.environment),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    process = psutil.Process(pid)
    record = {"pid": pid, "seconds_after_boot": _seconds_after_boot(process)}
    write_private(_record(home, program.name), json.dumps(record))
    return process


def find_running(home: Home, name: str) -> psutil.Process | None:
    """The recorded process if it still runs; a pid that now belongs to another process does not count."""
    try:
        record = json.loads(_record(home, name).read_text(encoding="utf-8"))
        process = psutil.Process(record["pid"])
        same = abs(_seconds_after_boot(process) - record["seconds_after_boot"]) < 1
        return process if same and is_alive(process) else None
    except (FileNotFoundError, ValueError, KeyError, psutil.NoSuchProcess):
        return None


def recorded(home: Home) -> list[str]:
    """The names of the processes that were started and not stopped since."""
    return sorted(path.stem for path in home.run.glob("*.json") if not path.stem.startswith("."))


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs; one that ended and waits to be collected does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def stop(home: Home, names: Sequence[str], *, by: signal.Signals = signal.SIGTERM, within_s: float = 20) -> list[str]:
    """Ask these processes to end together, kill those that have not after `within_s`; says which ones ran."""
    running = {name: process for name in names if (process := find_running(home, name))}
    end(list(running.values()), by=by, within_s=within_s)
    for name in names:
        _record(home, name).unlink(missing_ok=True)
    return list(running)


def end(processes: Sequence[psutil.Process], *, by: signal.Signals = signal.SIGTERM, within_s: float = 20) -> None:
    """Ask, wait, and in the end kill."""
    for process in processes:
        _send(process, by)
    _, stubborn = psutil.wait_procs(processes, timeout=within_s)
    for process in stubborn:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=10)


def wait_until_ready(
    home: Home, name: str, process: psutil.Process, is_ready: Callable[[], bool], *, within_s: float
) -> None:
    """Return when the process answers; when it ends or takes too long, one sentence with the tail of its log."""
    deadline = time.monotonic() + within_s
    while not is_ready():
        if not is_alive(process):
            raise ProcessEndedError(_with_log(home, name, "ended while it was starting"))
        if time.monotonic() > deadline:
            raise PlatformError(_with_log(home, name, f"was not ready after {within_s:.0f} s"))
        time.sleep(0.05)


def _with_log(home: Home, name: str, what: str) -> str:
    return f"{name} {what}; its log {home.log(name)} closes with:\n{tail(home, name)}"


def tail(home: Home, name: str, *, lines: int = 12) -> str:
    """The end of a process's log."""
    try:
        return "\n".join(home.log(name).read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log)"


def find_leftovers(home: Home) -> list[psutil.Process]:
    """Processes of this folder that no record names, as a launcher killed at the wrong moment leaves them."""
    known = {process.pid for name in recorded(home) if (process := find_running(home, name))}
    return [
        process
        for process in psutil.process_iter()
        if process.pid not in known and process.pid != os.getpid() and _belongs_to(home, process)
    ]


def _belongs_to(home: Home, process: psutil.Process) -> bool:
    try:
        command = process.cmdline()
        if not command or not Path(command[0]).name.startswith(PROGRAMS) or not is_alive(process):
            return False
        if str(home.postgres / "data") in command or _is_node_of(home, command):
            return True
        told = process.environ()
        key_file = told.get("YIJIAN_KEY_FILE") or told.get("YIJIAN_WITNESS_KEY_FILE") or "/"
        return "-m" in command and Path(key_file).parent.parent == home.folder
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _is_node_of(home: Home, command: Sequence[str]) -> bool:
    """Whether this is one of the brokers, whose settings lie under the folder."""
    last = Path(command[-1])
    return last.name == "server.properties" and home.kafka in last.parents


def _seconds_after_boot(process: psutil.Process) -> float:
    """When it started, on a clock that nobody sets."""
    return process.create_time() - psutil.boot_time()


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _record(home: Home, name: str) -> Path:
    return home.run / f"{name}.json"
