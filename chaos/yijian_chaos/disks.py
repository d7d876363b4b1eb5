"""Disks of their own for what the platform keeps, so that each of them can be full.

Each is a file system in memory with a size. Full means that its size is what is on it: not a byte more goes, and
nothing has to be written to take the room away. That takes root and `mount`; where they are missing, the platform
lies on the machine's disk as ever, and `missing` says why.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from yijian_embedded.home import Home, make_private_folder
from yijian_embedded.postgres_user import choose_user

POSTGRES: Final = "postgres"
WAL: Final = "pg_wal"
KAFKA: Final = "kafka"
STORES: Final = "stores"
DISKS: Final = (POSTGRES, WAL, KAFKA, STORES)
SIZE: Final = "6g"
"""Of memory only what is on it is taken."""
PAGE: Final = 4096
TRIES: Final = 50


class Disks:
    """The disks under one platform's data folder."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.missing: str | None = "the stage was put up without disks of its own"

    def mount(self) -> None:
        """Before the platform is made: a disk each for the database, the brokers and the bureaus' files."""
        self.missing = _why_not()
        for name in (POSTGRES, KAFKA, STORES) if self.missing is None else ():
            self._mount(name)

    def separate_wal(self) -> None:
        """While the database is down: its log on a disk of its own, as one would in a city."""
        if self.missing is not None:
            return
        place = self.places[WAL]
        kept = place.with_name("pg_wal.before")
        place.rename(kept)
        place.mkdir(mode=0o700)
        shutil.copystat(kept, place)
        _give(place, kept.stat())
        self._mount(WAL)
        for entry in kept.iterdir():
            moved = place / entry.name
            owner = entry.stat()
            shutil.move(entry, moved)
            _give(moved, owner)
        kept.rmdir()

    def unmount(self) -> None:
        """Give up what is mounted, with everything on it; nothing of the platform runs any more."""
        for place in (self.places[WAL], *(self.places[name] for name in (STORES, KAFKA, POSTGRES))):
            while os.path.ismount(place):
                _run("umount", str(place))

    def fill(self, name: str) -> int:
        """Leave no room on this disk; says how many bytes are on it."""
        place = self.places[name]
        for _ in range(TRIES):
            state = os.statvfs(place)
            used = max((state.f_blocks - state.f_bfree) * state.f_frsize, PAGE)
            # Refused when somebody wrote meanwhile.
            if _run("mount", "-o", f"remount,size={used}", str(place), check=False):
                return used
        raise OSError(f"{place} grows faster than it can be closed")

    def free(self, name: str) -> None:
        """Give the room back; a disk that is not there is not full."""
        place = self.places[name]
        if os.path.ismount(place):
            _run("mount", "-o", f"remount,size={SIZE}", str(place))

    @property
    def places(self) -> Mapping[str, Path]:
        """Where each is mounted."""
        postgres = choose_user(self._home).folder
        return {
            POSTGRES: postgres,
            WAL: postgres / "data" / "pg_wal",
            KAFKA: self._home.kafka,
            STORES: self._home.stores,
        }

    def _mount(self, name: str) -> None:
        place = make_private_folder(self.places[name])
        owner = place.stat()
        options = f"size={SIZE},mode=0700,uid={owner.st_uid},gid={owner.st_gid}"
        _run("mount", "-t", "tmpfs", "-o", options, f"yijian-{name}", str(place))


def _why_not() -> str | None:
    if os.geteuid() != 0:
        return "only root may mount disks"
    if shutil.which("mount") is None or shutil.which("umount") is None:
        return "there is no program `mount`"
    return None


def _give(path: Path, owner: os.stat_result) -> None:
    os.chown(path, owner.st_uid, owner.st_gid)


def _run(program: str, *arguments: str, check: bool = True) -> bool:
    """Run one of the system's programs; says whether it was content. Raises OSError if it has to be."""
    found = shutil.which(program)
    if found is None:
        raise OSError(f"there is no program `{program}`")
    done = subprocess.run([found, *arguments], check=False, capture_output=True, text=True)  # noqa: S603 - our own words, no shell
    if check and done.returncode:
        raise OSError(f"{program} {' '.join(arguments)}: {done.stderr.strip()}")
    return done.returncode == 0
