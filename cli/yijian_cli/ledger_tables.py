"""Holding the ledger's tables against each other, beside the running service."""

from pathlib import Path

import asyncpg
from data_exchange.fsck import check
from yijian_common.crypto import KeyFileError, Keyring
from yijian_embedded.errors import PlatformError
from yijian_ledger.keys import PublicKey

TIMEOUT_S = 10


async def check_tables(url: str, *, key_file: Path | None, log: PublicKey, witness: PublicKey) -> list[str]:
    """Whatever is not in order, in sentences. Raises `PlatformError` when the tables cannot be read."""
    try:
        keyring = Keyring.load(key_file) if key_file else None
        connection = await asyncpg.connect(url, timeout=TIMEOUT_S)
    except KeyFileError as error:
        raise PlatformError(f"{error}.") from None
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise PlatformError(f"The database cannot be used ({type(error).__name__}): is the platform up?") from None
    try:
        return await check(connection, keyring=keyring, log=log, witness=witness)
    except asyncpg.PostgresError as error:
        raise PlatformError(f"The ledger cannot be read ({type(error).__name__}).") from None
    finally:
        await connection.close()
