"""What a bureau keeps: its own tables in the SDK's store, so that record and answer are true together or not at all."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Protocol

from yijian_messaging.store import Sealer

SCHEMA = """
CREATE TABLE IF NOT EXISTS series (
    name TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS records_file (
    digest    BLOB PRIMARY KEY,
    loaded_at REAL NOT NULL DEFAULT ((julianday('now') - 2440587.5) * 86400.0)
) WITHOUT ROWID;
"""

LOAD_BATCH = 5000

_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Secrets(Sealer, Protocol):
    """Seals what is personal, and makes keyed hashes by which it is found again."""

    def keyed_hash(self, text: str) -> bytes:
        """The same bytes for the same text, which nobody without the key can compute."""


class Records:
    """A department's records; subclass it with a `SCHEMA` and named reads and writes.

    Everything happens in the open transaction of the task at hand, through `db`. Identity numbers are found by
    `key(...)` and kept sealed, never as they are.
    """

    SCHEMA: ClassVar[str] = ""

    def __init__(self, db: sqlite3.Connection, secrets: Secrets) -> None:
        self.db = db
        self._secrets = secrets

    def load(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Take over records from the records file; the same record may come again."""
        raise NotImplementedError(f"{type(self).__name__} loads no records file: leave YIJIAN_RECORDS_FILE unset")

    def key(self, *parts: str) -> bytes:
        """The keyed hash of an identifying value, for an indexed column."""
        return self._secrets.keyed_hash("\x00".join(parts))

    def seal(self, content: Mapping[str, Any]) -> bytes:
        return self._secrets.seal(_compact.encode(content).encode())

    def unseal(self, sealed: bytes) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self._secrets.open(sealed))
        return content

    def next_number(self, series: str) -> int:
        """1, 2, 3, … in this series, without a gap: a number taken by a task that fails is given back."""
        # Two statements are quicker than one with RETURNING, which collects its rows in a table of its own.
        self.db.execute("INSERT INTO series VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET last = last + 1", (series,))
        number: int = self.db.execute("SELECT last FROM series WHERE name = ?", (series,)).fetchone()[0]
        return number


def file_digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def is_loaded(db: sqlite3.Connection, digest: bytes) -> bool:
    return db.execute("SELECT 1 FROM records_file WHERE digest = ?", (digest,)).fetchone() is not None


def note_loaded(db: sqlite3.Connection, digest: bytes) -> None:
    db.execute("INSERT OR IGNORE INTO records_file (digest) VALUES (?)", (digest,))


def read_batches(path: Path) -> Iterator[list[dict[str, Any]]]:
    """The records of a JSON Lines file in batches. A bad line is a `ValueError` with its number, not its content."""
    with path.open("rb") as file:
        numbered = enumerate(file, start=1)
        while lines := list(islice(numbered, LOAD_BATCH)):
            yield [_record(path, number, line) for number, line in lines if line.strip()]


def _record(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise ValueError(f"{path.name} line {number} is not a JSON object")  # noqa: TRY004 - it is the file's value
    return record
