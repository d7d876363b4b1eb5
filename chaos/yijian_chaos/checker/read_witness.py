"""What the witness remembers in its file, and what it and the ledger tell everybody over HTTP."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from yijian_chaos.checker.snapshot import Note

PATIENCE_S = 30


@dataclass(frozen=True, slots=True)
class WitnessRows:
    """Notes by where they were found, and how many pairs of contradicting checkpoints the witness keeps."""

    notes: list[Note]
    misdeeds: int


def read_witness(store: Path, witness_url: str, ledger_url: str, *, origin: str) -> WitnessRows:
    """The witness's last checkpoint from its file and over HTTP, and the ledger's own over HTTP."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=30)) as db:
        notes = [
            Note("witness.store", size, note)
            for size, note in db.execute("SELECT size, note FROM last_checkpoint WHERE origin = ?", (origin,))
        ]
        (misdeeds,) = db.execute("SELECT count(*) FROM misdeed").fetchone()
    shown = _get(f"{witness_url}/{sha256(origin.encode()).hexdigest()}/checkpoint")
    if shown is not None:
        notes.append(Note("witness.http", size_of(shown), shown))
    published = _get(f"{ledger_url}/checkpoint")
    if published is not None:
        notes.append(Note("ledger.http", size_of(published), published))
    return WitnessRows(notes, misdeeds)


def size_of(note: str) -> int:
    """The size that a note's text names; -1 when it names none."""
    lines = note.split("\n")
    return int(lines[1]) if len(lines) > 2 and lines[1].isdecimal() else -1


def _get(url: str) -> str | None:
    """The answer; None where nothing is published yet."""
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(Request(url), timeout=PATIENCE_S) as answer:  # noqa: S310 - an address of the run's own
            return str(answer.read().decode("utf-8"))
    except HTTPError as error:
        if error.code != 404:
            raise
        return None
