"""Writing the server's log elsewhere while it works: a receiver of its own, a moment behind.

The receiver is a synchronous standby in name, and commits do not wait for it: `synchronous_commit` is `local`. That of
the ledger's signer does, so that nobody sees a checkpoint before everything under it lies in the archive as well.
"""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from psycopg import sql

from yijian_embedded.archive import Line, begin_line, current_line
from yijian_embedded.credentials import Secrets
from yijian_embedded.errors import PlatformError
from yijian_embedded.home import Home
from yijian_embedded.postgres_access import Connection, connect, ensure_role
from yijian_embedded.postgres_user import choose_user
from yijian_embedded.processes import Program, find_running, start, stop

NAME: Final = "postgres-archive"
ROLE: Final = "backup"
SLOT: Final = "yijian_archive"
CONNECTED_WITHIN_S: Final = 15

SETTINGS: Final = {
    "synchronous_standby_names": SLOT,
    "synchronous_commit": "local",
    # A receiver that is away for long must not fill the disk; the archive then has a gap, and says so.
    "max_slot_wal_keep_size": "8GB",
}


@dataclass(frozen=True)
class Receiving:
    """How far the receiver is: what lies in the archive of what the server has written."""

    connected: bool
    behind_bytes: int


def archive_settings(home: Home) -> Mapping[str, str]:
    """What the server is told in addition while its log is archived."""
    return SETTINGS if current_line(home) else {}


def ensure_access(admin_url: str, secrets: Secrets) -> None:
    """A role that may read the server's files and log and nothing else, and the place up to which the log is kept."""
    with connect(admin_url) as admin:
        ensure_role(admin, ROLE, secrets.get("postgres", ROLE))
        admin.execute(sql.SQL("ALTER ROLE {} REPLICATION").format(sql.Identifier(ROLE)))
        status = _slot_status(admin)
        if status == "lost":
            drop_slot(admin)
        if status in ("", "lost"):
            admin.execute("SELECT pg_create_physical_replication_slot(%s, true)", [SLOT])


def _has_a_gap(admin_url: str) -> bool:
    """Whether the server has thrown away what the receiver was still to have (`max_slot_wal_keep_size`)."""
    with connect(admin_url) as admin:
        return _slot_status(admin) == "lost"


def _slot_status(admin: Connection) -> str:
    """What the server says of the receiver's place in the log; nothing where it has none."""
    rows = admin.execute("SELECT wal_status FROM pg_replication_slots WHERE slot_name = %s", [SLOT])
    found = rows.fetchone()
    return str(found[0]) if found else ""


def drop_slot(admin: Connection) -> None:
    """Let the server throw its log away as it likes."""
    admin.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", [SLOT])


def start_receiver(home: Home, port: int, admin_url: str) -> None:
    """Have the log of the running server written to its line; returns when the receiver is connected."""
    line = current_line(home)
    if line is None:
        return
    if _has_a_gap(admin_url):
        # What is missing can be asked for for ever: the receiver goes on where its files end.
        stop_receiver(home)
        line = begin_line(home, line.folder.parent)
    if find_running(home, NAME):
        return
    ensure_access(admin_url, Secrets(home))
    program = str(choose_user(home).binaries / "pg_receivewal")
    address = f"{address_of(port)} application_name={SLOT}"
    options = ["-D", str(line.wal), "-S", SLOT, "--synchronous", "--status-interval=1", "-w", "-d", address]
    start(home, Program(NAME, [program, *options], credentials(home)))
    deadline = time.monotonic() + CONNECTED_WITHIN_S
    while not receiving(admin_url).connected:
        if time.monotonic() > deadline:
            raise PlatformError(f"the log is not archived: see {home.log(NAME)}")
        time.sleep(0.05)


def stop_receiver(home: Home) -> bool:
    """End the receiver; stop the server first, so that it has everything. Says whether it ran."""
    return bool(stop(home, [NAME], within_s=10))


def receiving(admin_url: str) -> Receiving:
    """Whether the receiver is connected, and how far it is behind."""
    with connect(admin_url) as admin:
        row = admin.execute(
            "SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), flush_lsn)::bigint FROM pg_stat_replication"
            " WHERE application_name = %s AND state = 'streaming'",
            [SLOT],
        ).fetchone()
    return Receiving(connected=bool(row), behind_bytes=max(0, int(str(row[0] or 0))) if row else 0)


def catch_up(admin_url: str, *, within_s: float = 60) -> None:
    """Return when everything that was committed before the call lies in the archive."""
    with connect(admin_url) as admin:
        # Its own commit waits for the receiver, who has everything before it by then.
        admin.execute("SET synchronous_commit = on")
        admin.execute(sql.SQL("SET statement_timeout = {}").format(sql.Literal(f"{within_s:.0f}s")))
        admin.execute("SELECT pg_switch_wal()")
        admin.execute("SELECT pg_logical_emit_message(true, 'yijian', 'backup')")


def run(home: Home, program: str, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run one of Postgres's own programs as the role `backup`."""
    path = str(choose_user(home).binaries / program)
    return subprocess.run([path, *arguments], capture_output=True, text=True, env=credentials(home), check=False)  # noqa: S603 - our own words, no shell


def address_of(port: int) -> str:
    return f"host=127.0.0.1 port={port} user={ROLE} dbname=replication"


def credentials(home: Home) -> dict[str, str]:
    """The environment of a program that connects as `backup`: no password on a command line."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return inherited | {"LC_ALL": "C", "PGPASSWORD": Secrets(home).get("postgres", ROLE)}


def wal_files(line: Line) -> list[Path]:
    """The log's files in order; the last one may still be growing."""
    return sorted(path for path in line.wal.glob("*") if path.name.split(".")[0].isalnum())
