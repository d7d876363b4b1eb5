"""What the witness remembers: the last checkpoint of each log, in one SQLite file, on the disk before it answers."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from yijian_ledger.checkpoints import Checkpoint, parse_checkpoint
from yijian_ledger.cosignatures import cosign
from yijian_ledger.keys import PrivateKey
from yijian_ledger.notes import parse_note
from yijian_messaging.faultpoints import FaultPoint, reach

from yijian_witness.refusals import InconsistentError
from yijian_witness.rules import Submitted, check_continuation

MOST_MISDEEDS = 1000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS last_checkpoint (
    origin TEXT PRIMARY KEY,
    size   INTEGER NOT NULL,
    note   TEXT NOT NULL
) WITHOUT ROWID;
-- Checkpoints of a log that contradict each other, both with its signature: nobody can deny these.
CREATE TABLE IF NOT EXISTS misdeed (
    id     INTEGER PRIMARY KEY,
    origin TEXT NOT NULL,
    at     TEXT NOT NULL,
    first  TEXT NOT NULL,
    second TEXT NOT NULL
);
"""


class Store:
    """The file; its methods block, and may be called from several threads and processes."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # One connection, one writer at a time; BEGIN IMMEDIATE keeps other processes out as well.
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        self._lock = threading.Lock()
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_SCHEMA)

    def cosign(self, submitted: Submitted, key: PrivateKey, *, now: Callable[[], datetime]) -> str:
        """Check against the last checkpoint, remember this one, and give the line; all or nothing.

        Raises `RefusalError`. When this returns, the checkpoint is on the disk.
        """
        refused: InconsistentError | None = None
        with self._lock, self._transaction():
            try:
                line = self._cosign(submitted, key, now())
            except InconsistentError as error:
                refused = error
            reach(FaultPoint.WITNESS_BEFORE_COMMIT)
        if refused is not None:
            raise refused
        reach(FaultPoint.WITNESS_AFTER_COMMIT)
        return line

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # Also a COMMIT that found the disk full leaves its transaction open.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _cosign(self, submitted: Submitted, key: PrivateKey, at: datetime) -> str:
        origin = submitted.checkpoint.origin
        last = self._find(origin)
        try:
            check_continuation(submitted, _checkpoint(last) if last else None)
        except InconsistentError as error:
            if error.rewritten and last is not None:
                self._keep_misdeed(origin, at, last, str(submitted.note))
            raise
        signature = cosign(submitted.note, key, at=at)
        self._connection.execute(
            "INSERT INTO last_checkpoint (origin, size, note) VALUES (?, ?, ?)"
            " ON CONFLICT (origin) DO UPDATE SET size = excluded.size, note = excluded.note",
            (origin, submitted.checkpoint.size, str(submitted.note.with_signatures(signature))),
        )
        return signature.line

    def _keep_misdeed(self, origin: str, at: datetime, first: str, second: str) -> None:
        self._connection.execute(
            "INSERT INTO misdeed (origin, at, first, second) SELECT ?, ?, ?, ?"
            " WHERE (SELECT count(*) FROM misdeed) < ? AND NOT EXISTS (SELECT 1 FROM misdeed WHERE second = ?)",
            (origin, at.isoformat(), first, second, MOST_MISDEEDS, second),
        )

    def find_last(self, origin: str) -> str | None:
        """The last checkpoint of this log that was cosigned, with both signatures."""
        with self._lock:
            return self._find(origin)

    def misdeeds(self) -> list[tuple[str, str, str]]:
        """Logs that signed two histories: origin, the checkpoint that was cosigned, and the other one."""
        with self._lock:
            return self._connection.execute("SELECT origin, first, second FROM misdeed ORDER BY id").fetchall()

    def ping(self) -> None:
        """Raises if the file cannot be written."""
        with self._lock, self._transaction():
            pass

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _find(self, origin: str) -> str | None:
        row = self._connection.execute("SELECT note FROM last_checkpoint WHERE origin = ?", (origin,)).fetchone()
        return row[0] if row else None


def _checkpoint(note: str) -> Checkpoint:
    return parse_checkpoint(parse_note(note).text)
