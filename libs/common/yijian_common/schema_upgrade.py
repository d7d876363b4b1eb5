"""Running revisions with Alembic. Loaded only when there is something to run: that takes most of a second."""

import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool


async def upgrade(service: str, migrations: Path, connect: Callable[[], Awaitable[asyncpg.Connection]]) -> None:
    """Run what is missing, in one transaction under an advisory lock, over a connection of its own."""
    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.begin() as held:
            lock = zlib.crc32(f"migrate:{service}".encode())
            await held.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})
            await held.run_sync(_upgrade, migrations)
    finally:
        await engine.dispose()


def _upgrade(held: Connection, migrations: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("alembic_environment")))
    config.set_main_option("version_locations", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = held
    command.upgrade(config, "heads")
