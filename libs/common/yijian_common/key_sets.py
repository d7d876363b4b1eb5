"""Where the issuer's last key set is kept, so that tokens can be verified while the issuer is down."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # a department keeps its key set in a file and never loads asyncpg
    import asyncpg

CREATE_TABLE = """
CREATE TABLE identity_keys (
    issuer     text PRIMARY KEY,
    document   text NOT NULL,
    fetched_at timestamptz NOT NULL DEFAULT now()
);
"""
"""For a service's migration."""


class KeySetStore(Protocol):
    """Keeps one document, the JWKS as it was fetched."""

    async def load(self) -> bytes | None: ...

    async def save(self, document: bytes) -> None: ...


class PostgresKeySetStore:
    """In the service's own database, table `identity_keys`."""

    def __init__(self, pool: "asyncpg.Pool", *, issuer: str) -> None:
        self._pool = pool
        self._issuer = issuer

    async def load(self) -> bytes | None:
        document = await self._pool.fetchval("SELECT document FROM identity_keys WHERE issuer = $1", self._issuer)
        return None if document is None else document.encode()

    async def save(self, document: bytes) -> None:
        await self._pool.execute(
            "INSERT INTO identity_keys (issuer, document) VALUES ($1, $2)"
            " ON CONFLICT (issuer) DO UPDATE SET document = excluded.document, fetched_at = now()",
            self._issuer,
            document.decode(),
        )


class FileKeySetStore:
    """In a file, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self) -> bytes | None:
        return await asyncio.to_thread(self._read)

    async def save(self, document: bytes) -> None:
        await asyncio.to_thread(self._write, document)

    def _read(self) -> bytes | None:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    def _write(self, document: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        fresh.write_bytes(document)
        fresh.replace(self._path)
