"""Everything that the platform writes down, laid out as files, and a search through all of it at once."""

import os
import sqlite3
import subprocess
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import psycopg
from psycopg import sql
from yijian_contracts.topics import topics

from tests.e2e.broker import Read
from tests.e2e.city import City

_PERSONAL = {topic.name for topic in topics() if topic.personal}


def search(canaries: Iterable[bytes], folders: Iterable[Path], patterns: Path) -> set[str]:
    """`file: what was found` for every canary in every file below these folders. `patterns` is a file to write to."""
    patterns.write_bytes(b"\n".join(sorted(canaries)) + b"\n")
    command = ["grep", "--text", "--recursive", "--only-matching", "--with-filename", "--fixed-strings"]
    done = subprocess.run(  # noqa: S603 - a fixed command over our own files
        [*command, f"--file={patterns}", *map(str, folders)],
        check=False,
        capture_output=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    # Files that end while they are read, such as a log segment that is dropped, are no failure; a bad pattern is.
    if done.returncode not in (0, 1) and not done.stdout:
        raise OSError(done.stderr.decode(errors="replace"))
    return set(done.stdout.decode(errors="replace").splitlines())


def dump_databases(city: City, folder: Path) -> Path:
    """Every table of every service's database, as the server sends it in binary: whatever is compressed is not here."""
    for service in ("approval", "identity"):
        with closing(psycopg.connect(city.platform.database_url(service))) as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            for (table,) in tables:
                copy = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT (FORMAT binary)").format(sql.Identifier(table))
                with connection.cursor().copy(copy) as rows:
                    _write(folder / "sql" / f"{service}.{table}", rows)
    return folder / "sql"


def dump_topics(records: Iterable[Read], folder: Path) -> Path:
    """Keys and headers of every record, and the values of the topics that are declared to hold nothing personal."""
    for record in records:
        parts = [record.key or b"", *(part for name, value in record.headers for part in (name.encode(), value))]
        if record.topic not in _PERSONAL:
            parts.append(record.value or b"")
        _write(folder / "topics" / record.topic, [b"\n".join([*parts, b""])])
    return folder / "topics"


def dump_personal_values(records: Iterable[Read], folder: Path) -> Path:
    """The values of the topics that may hold personal data."""
    for record in records:
        if record.topic in _PERSONAL:
            _write(folder / "values" / record.topic, [record.value or b"", b"\n"])
    return folder / "values"


def dump_stores(city: City, departments: Iterable[str], folder: Path) -> Path:
    """Every table of every department's store, a file each."""
    for department in departments:
        with closing(sqlite3.connect(f"file:{city.store(department)}?mode=ro", uri=True)) as store:
            for (table,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                rows = store.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - the store's own name
                _write(folder / "stores" / f"{department}.{table}", (_bytes(value) for row in rows for value in row))
    return folder / "stores"


def postgres_files(city: City) -> Path:
    """Where the server keeps tables and write-ahead log."""
    with closing(psycopg.connect(city.platform.postgres_admin_url)) as connection:
        row = connection.execute("SHOW data_directory").fetchone()
    return Path(str(row[0] if row else ""))


def _bytes(value: object) -> bytes:
    return (value if isinstance(value, bytes) else str(value).encode()) + b"\n"


def _write(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.writelines(parts)
