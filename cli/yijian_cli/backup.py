"""`yijian backup`: what is put by, how far back one could go with it, and whether it can be relied on."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from yijian_embedded import archiving, backup, postgres
from yijian_embedded.archive import Base, archive_of, bases, bases_of, current_line
from yijian_embedded.base_backup import find_faults, prune
from yijian_embedded.errors import PlatformError
from yijian_embedded.external import external_postgres
from yijian_embedded.home import locked
from yijian_embedded.keys_backup import copy_keys
from yijian_embedded.platform import Platform

from yijian_cli.output import AsJson, console, print_json, print_table
from yijian_cli.platform import this_platform

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Put by what a restore needs: the database's log as it is written, copies of its files and of the stores.",
)

Archive = Annotated[Path | None, typer.Option("--from", help="The archive; the one being written if not given.")]
LATE_S = 60


@dataclass(frozen=True)
class Span:
    """A copy, and until when the log that begins with it reaches."""

    copy: str
    restorable_from: datetime
    restorable_to: datetime | None
    megabytes: int
    stores: int

    def as_json(self) -> dict[str, object]:
        return {
            "copy": self.copy,
            "from": self.restorable_from.isoformat(),
            "to": self.restorable_to.isoformat() if self.restorable_to else None,
            "megabytes": self.megabytes,
            "stores": self.stores,
        }


@app.command()
def start(
    *,
    to: Annotated[Path, typer.Option("--to", help="Where the archive is to lie: on another disk, best elsewhere.")],
    as_json: AsJson = False,
) -> None:
    """Begin to archive: from the first copy on, every moment can be gone back to."""
    platform = ready_platform()
    with locked(platform.home):
        backup.begin(platform.home, platform.ports, to.resolve())
        base = backup.back_up(platform.home, platform.ports)
    _tell(base, platform, as_json=as_json)


@app.command()
def now(
    *,
    keep: Annotated[int, typer.Option("--keep", min=1, help="Remove older copies than the newest so many.")] = 8,
    as_json: AsJson = False,
) -> None:
    """Take another copy, so that a restore has less log to read. Once a day, from a timer."""
    platform = ready_platform()
    with locked(platform.home):
        base = backup.back_up(platform.home, platform.ports)
        gone = prune(base.line, keep=keep)
    _tell(base, platform, as_json=as_json, removed=[one.name for one in gone])


@app.command("list")
def list_(*, archive: Archive = None, as_json: AsJson = False) -> None:
    """From when to when one can go back, and how far the archive is behind now. Exit 1 when it is not written."""
    platform = this_platform()
    folder = archive_of(platform.home, archive)
    spans = [_span(base) for base in bases(folder)]
    trouble = _trouble(platform) if archive is None else None
    if as_json:
        print_json({"archive": str(folder), "trouble": trouble, "copies": [span.as_json() for span in spans]})
    else:
        rows = [(s.copy, _local(s.restorable_from), _local(s.restorable_to), s.megabytes, s.stores) for s in spans]
        print_table(str(folder), ("copy", "back to, from", "to", "MB", "stores"), rows)
        console.print(f"[red]{trouble}[/red]" if trouble else "The log arrives as it is written.", highlight=False)
    if trouble:
        raise typer.Exit(1)


@app.command()
def verify(
    *,
    archive: Archive = None,
    every: Annotated[bool, typer.Option("--all", help="Every copy, not only the newest.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read a copy, its log and its stores whole, and compare every checksum. Exit 1 with whatever is wrong."""
    platform = this_platform()
    known = bases(archive_of(platform.home, archive))
    if not known:
        raise PlatformError("there is no copy to verify")
    looked_at = known if every else known[-1:]
    faults = {base.name: list(find_faults(platform.home, base)) for base in looked_at}
    if as_json:
        print_json({"verified": list(faults), "faults": {name: found for name, found in faults.items() if found}})
    else:
        for name, found in faults.items():
            console.print(f"{name}: {'; '.join(found) if found else 'whole'}", markup=False, highlight=False)
    if any(faults.values()):
        raise typer.Exit(1)


@app.command()
def keys(
    *,
    to: Annotated[Path, typer.Option("--to", help="A folder away from the archive, in the hands of others.")],
    as_json: AsJson = False,
) -> None:
    """Copy the keys and passwords. Without them the archive is unreadable; with them beside it, it is open."""
    platform = this_platform()
    line = current_line(platform.home)
    names = copy_keys(platform.home, to.resolve(), apart_from=line.folder.parent if line else None)
    if as_json:
        print_json({"folder": str(to.resolve()), "files": names})
        return
    console.print(f"{len(names)} files in {to.resolve()}, for you alone: take them where the archive is not.")


@app.command()
def stop(*, as_json: AsJson = False) -> None:
    """Archive no further. What lies in the archive stays."""
    platform = ready_platform()
    with locked(platform.home):
        backup.end(platform.home, platform.ports)
    if as_json:
        print_json({"stopped": True})
        return
    console.print("Nothing is archived any more.")


def ready_platform() -> Platform:
    """The platform, with its own database running."""
    if external_postgres():
        raise PlatformError(
            "this database is not ours: back it up with what runs it (docs/how-to/back-up-and-restore.md)"
        )
    platform = this_platform()
    if not platform.process(postgres.NAME):
        raise PlatformError("Postgres is not running: run `yijian up` first")
    return platform


def _tell(base: Base, platform: Platform, *, as_json: bool, removed: list[str] | None = None) -> None:
    stores = len(list((base.line.stores / base.name).glob("*.db")))
    if as_json:
        print_json(
            {"copy": base.name, "archive": str(base.line.folder.parent), "stores": stores, "removed": removed or []}
        )
        return
    console.print(
        f"Copied {base.megabytes} MB and {stores} departments' stores to {base.folder}.\n"
        f"Back to any moment from {_local(base.whole_at)} on.",
        highlight=False,
        soft_wrap=True,
    )
    if removed:
        console.print(f"Removed {len(removed)} older copies and the log that only they needed.")
    if not (platform.home.folder / "backup.json").exists():
        return
    console.print("The keys are not among it: `yijian backup keys --to FOLDER`, and elsewhere.")


def _span(base: Base) -> Span:
    return Span(
        copy=base.name,
        restorable_from=base.whole_at,
        restorable_to=base.line.received_until,
        megabytes=base.megabytes,
        stores=len(list((base.line.stores / base.name).glob("*.db"))),
    )


def _trouble(platform: Platform) -> str | None:
    """Why what is committed now would be lost with the disk."""
    return next(_troubles(platform), None)


def _troubles(platform: Platform) -> Iterator[str]:
    line = current_line(platform.home)
    if line is None:
        yield "nothing is archived"
    elif not platform.process(postgres.NAME):
        yield "the database does not run"
    elif not (told := archiving.receiving(platform.postgres_admin_url)).connected:
        yield f"the log does not arrive: `yijian up` starts its receiver; {platform.home.log(archiving.NAME)}"
    elif told.behind_bytes > 2**26:
        yield f"the archive is {told.behind_bytes // 2**20} MB behind"
    elif not list(bases_of(line)):
        yield "there is no copy since the last restore: `yijian backup now`"
    elif (datetime.now(UTC) - (line.received_until or datetime.min.replace(tzinfo=UTC))).total_seconds() > LATE_S:
        yield f"nothing has arrived for {LATE_S} s"


def _local(at: datetime | None) -> str | None:
    """By this machine's clock, as `yijian restore --to` takes it."""
    return at.astimezone().replace(tzinfo=None).isoformat(sep=" ", timespec="seconds") if at else None
