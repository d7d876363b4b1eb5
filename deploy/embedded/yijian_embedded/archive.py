"""What has been put by for a restore, and where it lies.

    <folder>/<line>/wal/              the write-ahead log as it arrives, at most a moment behind the server
    <folder>/<line>/base/<time>/      copies of the server's files, each the beginning of a restore
    <folder>/<line>/base/<time>.json  what that copy is, written when it is whole
    <folder>/<line>/stores/<time>/    the departments' stores as they were then
    <folder>/<line>/before.json       which line the same platform wrote before, if it did

A line is one uninterrupted history of the server. Every restore begins another: what was written after the point that
was gone back to belongs to the line before.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from yijian_embedded.errors import PlatformError
from yijian_embedded.home import Home, make_private_folder, write_private

STAMP: Final = "%Y%m%dT%H%M%S.%fZ"
CAME_AFTER: Final = "before.json"


@dataclass(frozen=True)
class Line:
    """One history of the server: its log, and the copies that a restore of it begins with."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def wal(self) -> Path:
        return self.folder / "wal"

    @property
    def bases(self) -> Path:
        return self.folder / "base"

    @property
    def stores(self) -> Path:
        return self.folder / "stores"

    @property
    def received_until(self) -> datetime | None:
        """When the last of the log arrived."""
        times = [path.stat().st_mtime for path in self.wal.glob("*") if path.is_file()]
        return datetime.fromtimestamp(max(times), UTC) if times else None

    @property
    def before(self) -> "Line | None":
        """The line that the same platform wrote before this one, if it is there."""
        try:
            name = json.loads((self.folder / CAME_AFTER).read_text(encoding="utf-8"))["line"]
        except FileNotFoundError:
            return None
        line = Line(self.folder.parent / str(name))
        return line if line.folder.is_dir() else None


@dataclass(frozen=True, kw_only=True)
class Base:
    """A copy of the server's files. From `whole_at` on the server can be restored to any moment of its line."""

    line: Line
    name: str
    whole_at: datetime
    first_wal: str
    megabytes: int

    @property
    def folder(self) -> Path:
        return self.line.bases / self.name

    @property
    def note(self) -> Path:
        return self.line.bases / f"{self.name}.json"


def backup_file(home: Home) -> Path:
    """Says where this platform's archive lies and which line is being written; without it nothing is archived."""
    return home.folder / "backup.json"


def current_line(home: Home) -> Line | None:
    """The line that is being written, if this platform archives."""
    try:
        told = json.loads(backup_file(home).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Line(Path(told["folder"]) / told["line"])


def begin_line(home: Home, folder: Path) -> Line:
    """From now on the history of the server belongs to a new line in this archive."""
    before = current_line(home)
    line = Line(make_private_folder(folder) / stamp())
    for part in (line.wal, line.bases, line.stores):
        make_private_folder(part)
    if before and before.folder.parent == line.folder.parent:
        write_private(line.folder / CAME_AFTER, json.dumps({"line": before.name}))
    write_private(backup_file(home), json.dumps({"folder": str(folder), "line": line.name}))
    return line


def archive_of(home: Home, told: Path | None) -> Path:
    """The archive that was named, or else the one that this platform writes. Raises `PlatformError`."""
    line = current_line(home)
    if told is None and line is None:
        raise PlatformError("nothing is archived here: name the archive with --from, or begin one with `backup start`")
    folder = told.resolve() if told else line.folder.parent if line else Path()
    if not folder.is_dir():
        raise PlatformError(f"there is no archive at {folder}")
    return folder


def lines(archive: Path) -> list[Line]:
    """Every line of the archive, the oldest first."""
    return [Line(folder) for folder in sorted(archive.iterdir()) if (folder / "wal").is_dir()]


def history(line: Line) -> list[Line]:
    """This line and those that the same platform wrote before it, the oldest first."""
    found = [line]
    while before := found[-1].before:
        found.append(before)
    return found[::-1]


def note_base(base: Base) -> None:
    """Say that a copy is whole."""
    told = asdict(base) | {"whole_at": base.whole_at.isoformat()}
    del told["line"]
    write_private(base.note, json.dumps(told, indent=1))


def bases(archive: Path) -> list[Base]:
    """Every copy that is whole, the oldest first."""
    return sorted((base for line in lines(archive) for base in bases_of(line)), key=lambda base: base.whole_at)


def bases_of(line: Line) -> Iterator[Base]:
    for note in sorted(line.bases.glob("*.json")):
        told = json.loads(note.read_text(encoding="utf-8"))
        yield Base(line=line, **told | {"whole_at": datetime.fromisoformat(told["whole_at"])})


def find_base(archive: Path, to: datetime | None) -> Base:
    """The copy from which the server is brought to this moment, or to the last one. Raises `PlatformError`."""
    fitting = [base for base in bases(archive) if to is None or base.whole_at <= to]
    if not fitting:
        raise PlatformError(f"{archive} holds no copy of the server that is old enough: see `yijian backup list`")
    return fitting[-1]


def stamp() -> str:
    """A name for what is made now; names sort as times do."""
    return datetime.now(UTC).strftime(STAMP)
