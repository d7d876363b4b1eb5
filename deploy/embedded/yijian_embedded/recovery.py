"""From a copy and its log back to a server: to the last moment that was archived, or to an earlier one."""

import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from yijian_embedded import postgres
from yijian_embedded.archive import Base, stamp
from yijian_embedded.errors import PlatformError, ProcessEndedError
from yijian_embedded.home import Home, make_private_folder
from yijian_embedded.postgres_access import Connection, connect, drop_database, has_database
from yijian_embedded.postgres_user import PostgresUser, choose_user
from yijian_embedded.processes import stop, tail, wait_until_ready

SCRATCH: Final = "postgres-scratch"
RECOVERED_WITHIN_S: Final = 3600
NOT_REACHED: Final = "recovery ended before configured recovery target was reached"


@dataclass(frozen=True)
class Recovered:
    """A server that is back: the last transaction that it has, and where its former files were put."""

    last_transaction: datetime | None
    replaced: Path | None


def recover_server(home: Home, ports: Mapping[str, int], base: Base) -> Recovered:
    """Make the server's files anew, with everything that was archived. What is there is put aside, not deleted.

    The server is stopped when this returns.
    """
    user = choose_user(home)
    data, aside = user.folder / "data", None
    if data.exists():
        aside = data.with_name(f"data.replaced-{stamp()}")
        data.rename(aside)
    last = _recover(home, user, base, data, to=None, name=postgres.NAME, port=ports[postgres.NAME])
    stop(home, [postgres.NAME], by=postgres.FAST, within_s=60)
    return Recovered(last, aside)


@contextmanager
def scratch_server(home: Home, base: Base, to: datetime) -> Iterator[str]:
    """The administrator's address of a second server that stands at this moment; it is gone after the block."""
    user = choose_user(home)
    data = user.folder / "scratch"
    stop(home, [SCRATCH], by=postgres.FAST, within_s=60)
    shutil.rmtree(data, ignore_errors=True)
    port = _free_port()
    try:
        _recover(home, user, base, data, to=to, name=SCRATCH, port=port)
        yield postgres.admin_url_at(home, port)
    finally:
        stop(home, [SCRATCH], by=postgres.FAST, within_s=60)
        shutil.rmtree(data, ignore_errors=True)


def copy_database(home: Home, name: str, *, source: str, target: str) -> str:
    """Put the database of one server into another. The one that was there gets the name that is returned."""
    user = choose_user(home)
    dump = make_private_folder(user.folder / "dump")
    former = f"{name}@{stamp()}"
    try:
        _client(user, "pg_dump", ["-Fd", "-j2", "--no-sync", "-f", str(dump / name)], source, database=name)
        with connect(target) as admin:
            _end_sessions(admin, name)
            admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*map(sql.Identifier, (name, former))))
        arguments = ["-j2", "--exit-on-error", "--create", str(dump / name)]
        _client(user, "pg_restore", arguments, target, database="postgres")
    finally:
        shutil.rmtree(dump, ignore_errors=True)
    return former


def former_databases(admin_url: str, name: str) -> list[str]:
    """The databases that were put aside under this name, the oldest first."""
    with connect(admin_url) as admin:
        rows = admin.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [f"{name}@"]).fetchall()
    return sorted(str(row[0]) for row in rows)


def is_there(admin_url: str, name: str) -> bool:
    """Whether the server has a database of this name."""
    with connect(admin_url) as admin:
        return has_database(admin, name)


def drop_former(admin_url: str, name: str) -> None:
    """Delete a database that was put aside."""
    with connect(admin_url) as admin:
        drop_database(admin, name)


def _recover(
    home: Home, user: PostgresUser, base: Base, data: Path, *, to: datetime | None, name: str, port: int
) -> datetime | None:
    """Lay the copy out and let the server read the log; where the log ends before `to`, its end is that moment."""
    _lay_out(user, base, data)
    target = {"recovery_target_time": to.astimezone(UTC).isoformat(), "recovery_target_action": "promote"} if to else {}
    restore = {"restore_command": _restore_command(user, base), "hot_standby": "off"}
    postgres.configure(data, port, restore | target)
    (data / "recovery.signal").touch()
    user.give(data / "recovery.signal")
    process = postgres.run_server(home, user, data, name=name)
    url = postgres.admin_url_at(home, port)
    try:
        wait_until_ready(home, name, process, lambda: postgres.answers(url), within_s=RECOVERED_WITHIN_S)
    except ProcessEndedError:
        if to is None or NOT_REACHED not in tail(home, name):
            raise
        shutil.rmtree(data)
        return _recover(home, user, base, data, to=None, name=name, port=port)
    with connect(url) as admin:
        row = admin.execute("SELECT pg_last_xact_replay_timestamp()").fetchone()
    last = row[0] if row else None
    return last if isinstance(last, datetime) else None


def _lay_out(user: PostgresUser, base: Base, data: Path) -> None:
    """The copy's files, whole before they get their name, and the server's own."""
    draft = data.with_name(f"{data.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(base.folder, draft)
    draft.chmod(0o700)
    if user.owner:
        for path in (draft, *draft.rglob("*")):
            user.give(path)
    draft.rename(data)


def _restore_command(user: PostgresUser, base: Base) -> str:
    wal = base.line.wal
    if user.owner:
        # This user may not enter the archive: what it needs of it is copied to where it may.
        wal = user.folder / "wal"
        shutil.rmtree(wal, ignore_errors=True)
        shutil.copytree(base.line.wal, wal)
        for path in (wal, *wal.iterdir()):
            user.give(path)
    folder = shlex.quote(str(wal).replace("%", "%%"))
    return f"cp {folder}/%f %p 2>/dev/null || cp {folder}/%f.partial %p 2>/dev/null"


def _client(user: PostgresUser, program: str, arguments: Sequence[str], url: str, *, database: str) -> None:
    """Run one of Postgres's own programs as the administrator of this server."""
    parts = conninfo_to_dict(url)
    told = {"PGHOST": parts["host"], "PGPORT": parts["port"], "PGUSER": parts["user"], "PGPASSWORD": parts["password"]}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment = inherited | {key: str(value) for key, value in told.items()} | {"LC_ALL": "C"}
    command = [str(user.binaries / program), *arguments, "-w", "-d", database]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)  # noqa: S603 - our own words, no shell
    if result.returncode:
        raise PlatformError(f"{program} of {database} failed:\n{result.stderr[-1500:]}")


def _end_sessions(admin: Connection, name: str) -> None:
    admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
