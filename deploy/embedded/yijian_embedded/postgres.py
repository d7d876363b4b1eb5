"""A real Postgres: scram passwords only, loopback only, checksums and fsync on."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil
import psycopg
from psycopg.conninfo import make_conninfo

from yijian_embedded import archiving
from yijian_embedded.archive import backup_file, current_line
from yijian_embedded.credentials import ADMIN, Secrets
from yijian_embedded.errors import PlatformError
from yijian_embedded.home import Home, write_private
from yijian_embedded.postgres_access import connect
from yijian_embedded.postgres_user import PostgresUser, choose_user
from yijian_embedded.processes import Program, is_alive, start, stop, wait_until_ready

NAME: Final = "postgres"
FAST: Final = signal.SIGINT
READY_WITHIN_S: Final = 60
ORPHANS_WITHIN_S: Final = 5

SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    # Nobody needs the socket file, and without it no folder has to be short, shared or swept.
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "fsync": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
    # A log never holds what people entered: no failing statement, no parameter, no "Key (…) already exists".
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_error_verbosity": "terse",
}

ACCESS: Final = f"""\
# Made by the launcher: passwords by scram, over loopback, and nothing else.
host all all 127.0.0.1/32 scram-sha-256
host replication {archiving.ROLE} 127.0.0.1/32 scram-sha-256
"""


def start_postgres(home: Home, ports: Mapping[str, int]) -> psutil.Process:
    """Start the server on the data that is there, or on an empty cluster made for it; it is not ready yet."""
    refuse_to_begin_anew(home)
    user = choose_user(home)
    data = user.folder / "data"
    if not data.exists():
        _make_cluster(home, user, data)
    _refuse_other_version(user, data)
    _clear_what_a_crash_left(data)
    configure(data, ports[NAME], archiving.archive_settings(home))
    return run_server(home, user, data, name=NAME)


def configure(data: Path, port: int, further: Mapping[str, str]) -> None:
    """Write the settings of the server that works in `data`, and whom it lets in."""
    settings = SETTINGS | {"port": str(port)} | dict(further)
    quoted = {key: value.replace("\\", "\\\\").replace("'", "''") for key, value in settings.items()}
    (data / "postgresql.auto.conf").write_text("".join(f"{key} = '{value}'\n" for key, value in quoted.items()))
    (data / "pg_hba.conf").write_text(ACCESS)


def reconfigure(home: Home, ports: Mapping[str, int]) -> None:
    """Have the running server follow its settings as they are now."""
    configure(choose_user(home).folder / "data", ports[NAME], archiving.archive_settings(home))
    with connect(admin_url(home, ports)) as admin:
        admin.execute("SELECT pg_reload_conf()")


def run_server(home: Home, user: PostgresUser, data: Path, *, name: str) -> psutil.Process:
    """Start a server on these files; it is not ready yet."""
    command = [*user.prefix, str(user.binaries / "postgres"), "-D", str(data)]
    return start(home, Program(name, command, _environment()))


def wait_for_postgres(home: Home, process: psutil.Process, url: str) -> None:
    """Return when the server lets its administrator in."""
    wait_until_ready(home, NAME, process, lambda: answers(url), within_s=READY_WITHIN_S)


def stop_postgres(home: Home) -> bool:
    """A fast shutdown: sessions are ended, everything is on disk; says whether it ran."""
    return bool(stop(home, [NAME], by=FAST, within_s=60))


def admin_url(home: Home, ports: Mapping[str, int]) -> str:
    """The administrator's address of the embedded server."""
    return admin_url_at(home, ports[NAME])


def admin_url_at(home: Home, port: int) -> str:
    """The administrator's address of a server on the platform's files, or on a copy of them."""
    return f"postgresql://{ADMIN}:{Secrets(home).get('postgres', ADMIN)}@127.0.0.1:{port}/postgres"


def answers(url: str) -> bool:
    """Whether the server lets this user in now."""
    try:
        with psycopg.connect(make_conninfo(url, connect_timeout=2)):
            return True
    except psycopg.OperationalError:
        return False


def _make_cluster(home: Home, user: PostgresUser, data: Path) -> None:
    """An empty cluster with a random administrator's password; it gets its final name only once it is whole."""
    draft = user.folder / "data.draft"
    shutil.rmtree(draft, ignore_errors=True)
    password_file = user.folder / "password"
    write_private(password_file, Secrets(home).get("postgres", ADMIN))
    user.give(password_file)
    options = ["--encoding=UTF8", "--locale=C", "--data-checksums", f"--username={ADMIN}"]
    access = ["--auth=scram-sha-256", f"--pwfile={password_file}"]
    command = [*user.prefix, str(user.binaries / "initdb"), "-D", str(draft), *options, *access]
    result = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)  # noqa: S603 - our own words, no shell
    password_file.unlink()
    if result.returncode:
        raise PlatformError(f"Postgres's storage could not be made:\n{result.stderr[-2000:]}")
    draft.rename(data)


def refuse_to_begin_anew(home: Home) -> None:
    """Nobody begins with an empty database by mistake where there is an archive. Raises `PlatformError`."""
    data = choose_user(home).folder / "data"
    if not data.exists() and (line := current_line(home)):
        raise PlatformError(
            f"the database's files are gone from {data}, and {line.folder.parent} has their archive: run"
            f" `yijian restore server`, or remove {backup_file(home)} to begin without any data"
        )


def _refuse_other_version(user: PostgresUser, data: Path) -> None:
    made_by = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    command = [*user.prefix, str(user.binaries / "postgres"), "--version"]
    ours = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[2]  # noqa: S603 - our own words, no shell
    if ours.split(".")[0] != made_by:
        raise PlatformError(f"{data} was made by Postgres {made_by}, this is {ours}: dump it there, or `yijian clean`")


def _clear_what_a_crash_left(data: Path) -> None:
    """After a kill of the server its children live on for a moment, and its lock names a pid that may be anybody's."""
    orphans = [process for process in psutil.process_iter() if _works_in(process, data)]
    _, stubborn = psutil.wait_procs(orphans, timeout=ORPHANS_WITHIN_S)
    for process in stubborn:
        process.kill()
    psutil.wait_procs(stubborn, timeout=ORPHANS_WITHIN_S)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _works_in(process: psutil.Process, data: Path) -> bool:
    try:
        return process.name() == "postgres" and process.cwd() == str(data) and is_alive(process)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _environment() -> dict[str, str]:
    """This process's environment without what would redirect the server's programs."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
