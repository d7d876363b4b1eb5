"""Beginning and ending to archive, and taking a copy: what `yijian backup` does to a running server."""

from collections.abc import Mapping
from pathlib import Path

from yijian_embedded import archiving, postgres
from yijian_embedded.archive import Base, Line, backup_file, begin_line, current_line
from yijian_embedded.base_backup import copy_stores, take_base
from yijian_embedded.credentials import Secrets
from yijian_embedded.errors import PlatformError
from yijian_embedded.home import Home
from yijian_embedded.postgres_access import connect


def begin(home: Home, ports: Mapping[str, int], folder: Path) -> Line:
    """From now on write the running server's log to a new line of this archive."""
    if folder.is_relative_to(home.folder):
        raise PlatformError(f"{folder} goes when {home.folder} goes: name a folder on another disk")
    archiving.stop_receiver(home)
    line = begin_line(home, folder)
    url = postgres.admin_url(home, ports)
    archiving.ensure_access(url, Secrets(home))
    postgres.reconfigure(home, ports)
    archiving.start_receiver(home, ports[postgres.NAME], url)
    return line


def end(home: Home, ports: Mapping[str, int]) -> None:
    """Archive no further; what is archived stays."""
    backup_file(home).unlink(missing_ok=True)
    postgres.reconfigure(home, ports)
    archiving.stop_receiver(home)
    with connect(postgres.admin_url(home, ports)) as admin:
        archiving.drop_slot(admin)


def back_up(home: Home, ports: Mapping[str, int]) -> Base:
    """Copy the server's files and the departments' stores into the line that is being written."""
    line = current_line(home)
    if line is None:
        raise PlatformError("nothing is archived here: begin with `yijian backup start --to FOLDER`")
    if not archiving.receiving(postgres.admin_url(home, ports)).connected:
        raise PlatformError(f"the log does not arrive in the archive: see {home.log(archiving.NAME)}")
    base = take_base(home, line, ports[postgres.NAME])
    copy_stores(home, line, base.name)
    archiving.catch_up(postgres.admin_url(home, ports))
    return base
