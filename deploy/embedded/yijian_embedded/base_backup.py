"""Copies of the server's files and of the departments' stores, and whether they can be relied on."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise, takewhile
from pathlib import Path
from shutil import rmtree
from typing import Final

from yijian_embedded.archive import Base, Line, bases_of, history, note_base, stamp
from yijian_embedded.archiving import address_of, run, wal_files
from yijian_embedded.errors import PlatformError
from yijian_embedded.home import Home, make_private_folder

MANIFEST: Final = "backup_manifest"
SEGMENT_DIGITS: Final = 24


def take_base(home: Home, line: Line, port: int) -> Base:
    """Copy the running server's files, with a checksum of each. A copy counts once it is whole."""
    name = stamp()
    folder = line.bases / f"{name}.draft"
    arguments = ["-D", str(folder), "-X", "none", "-c", "fast", "--no-slot", "-w", "-d", address_of(port)]
    result = run(home, "pg_basebackup", arguments)
    if result.returncode:
        rmtree(folder, ignore_errors=True)
        raise PlatformError(f"the server's files could not be copied:\n{result.stderr[-1000:]}")
    folder.rename(line.bases / name)
    size = sum(path.stat().st_size for path in (line.bases / name).rglob("*") if path.is_file())
    base = Base(
        line=line,
        name=name,
        whole_at=datetime.now(UTC),
        first_wal=_first_wal(line.bases / name),
        megabytes=round(size / 1_000_000),
    )
    note_base(base)
    return base


def copy_stores(home: Home, line: Line, name: str) -> list[Path]:
    """Copy every department's store beside its running program, each as of one moment."""
    draft = line.stores / f"{name}.draft"
    make_private_folder(draft)
    for store in sorted(home.stores.glob("*.db")):
        with closing(sqlite3.connect(store, timeout=10)) as db, closing(sqlite3.connect(draft / store.name)) as copy:
            db.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
        (draft / store.name).chmod(0o600)
    draft.rename(line.stores / name)
    return sorted((line.stores / name).glob("*.db"))


def prune(line: Line, *, keep: int) -> list[Base]:
    """Remove all but the newest copies that this platform made here, and the log that only they needed.

    The lines that it wrote before this one count too: what they hold was promised to be forgotten as well. Whatever
    else lies in the archive is left alone. Says which copies went.
    """
    ours = history(line)
    known = sorted((base for each in ours for base in bases_of(each)), key=lambda base: base.whole_at)
    kept, gone = known[-keep:], known[:-keep]
    for base in gone:
        base.note.unlink()
        rmtree(base.folder)
        rmtree(base.line.stores / base.name, ignore_errors=True)
    needed = {each.name: min((b.first_wal for b in kept if b.line == each), default=None) for each in ours}
    for each in ours:
        if first := needed[each.name]:
            _drop_log(each, before=first)
    # From the oldest on: one in between leads to those before it.
    for each in takewhile(lambda each: each != line and needed[each.name] is None, ours):
        rmtree(each.folder)
    return gone


def _drop_log(line: Line, *, before: str) -> None:
    for path in wal_files(line):
        if len(path.stem) == SEGMENT_DIGITS and path.name < before:
            path.unlink()


def find_faults(home: Home, base: Base) -> Iterator[str]:
    """What is wrong with a copy, with its log or with the stores beside it: every file's checksum is reckoned again."""
    arguments = ["--quiet", "--wal-directory", str(base.line.wal), str(base.folder)]
    result = run(home, "pg_verifybackup", arguments)
    yield from (line.removeprefix("pg_verifybackup: error: ") for line in result.stderr.splitlines() if line)
    yield from _gaps(base)
    for store in sorted((base.line.stores / base.name).glob("*.db")):
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
            told = db.execute("PRAGMA integrity_check").fetchone()[0]
        if told != "ok":
            yield f"{store.name}: {told}"


def _gaps(base: Base) -> Iterator[str]:
    """Segments that are missing between the copy and the end of the log."""
    names = [p.name[:SEGMENT_DIGITS] for p in wal_files(base.line) if p.suffix in ("", ".partial")]
    segments = [name for name in names if len(name) == SEGMENT_DIGITS and name >= base.first_wal]
    if base.first_wal not in segments:
        yield f"the log begins after this copy: {base.first_wal} is missing"
    numbers = sorted({_number(name) for name in segments})
    for number, following in pairwise(numbers):
        if following != number + 1:
            yield f"the log has a gap of {following - number - 1} segments: nothing behind it can be restored"


def _number(segment: str) -> int:
    """Which segment of its history it is: 256 segments of 16 MB to each number in the middle of the name."""
    return int(segment[8:16], 16) * 256 + int(segment[16:24], 16)


def _first_wal(folder: Path) -> str:
    label = (folder / "backup_label").read_text(encoding="utf-8")
    return label.split("(file ", 1)[1].split(")", 1)[0]
