"""PostgreSQL by raw asyncpg: the pool, one transaction per request, what its failures mean to a caller, migrations.

Invariant: `transaction` returns only after COMMIT returned. Commit inside the handler, so that no 2xx leaves before it.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from enum import StrEnum
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TypeVar

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy

from yijian_common.errors import Problem, ServiceUnavailable
from yijian_common.process import StartError
from yijian_common.settings import DatabaseSettings

log = structlog.get_logger(__name__)

Pool = asyncpg.Pool
Connection = asyncpg.Connection | PoolConnectionProxy

Connected = TypeVar("Connected")

ACQUIRE_SECONDS = 2
CONNECT_SECONDS = 5
START_SECONDS = 60
COMMAND_SECONDS = 10  # the server's statement_timeout ends a query sooner; this one is for a server that went silent

_UNREACHABLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,  # others have taken every place, perhaps only until they are missed
    asyncpg.InternalClientError,  # how asyncpg meets a connection that the server ended while it was idle
    OSError,
    TimeoutError,
)
_BUSY = (
    asyncpg.InsufficientResourcesError,  # class 53: no space, no memory, too many connections
    asyncpg.OperatorInterventionError,  # class 57: shutdown, crash, statement_timeout
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby, just after a switch-over
)


class PlanCache(StrEnum):
    """How the server plans prepared statements; `force_generic_plan` never follows misleading statistics."""

    AUTO = "auto"
    FORCE_GENERIC = "force_generic_plan"
    FORCE_CUSTOM = "force_custom_plan"


@contextlib.asynccontextmanager
async def open_pool(
    settings: DatabaseSettings,
    *,
    max_size: int = 10,
    min_size: int = 2,
    plan_cache: PlanCache = PlanCache.AUTO,
    planner: Mapping[str, str] | None = None,
) -> AsyncIterator[Pool]:
    """The service's pool. Waits up to a minute for the database, then raises `StartError`."""
    pool = await _connect(settings, min_size=min_size, max_size=max_size, plan_cache=plan_cache, planner=planner)
    try:
        yield pool
    finally:
        await _close(pool)


async def _close(pool: Pool) -> None:
    try:
        async with asyncio.timeout(1):
            await pool.close()
    except TimeoutError:
        pool.terminate()


async def _keep_session(held: Connection) -> None:
    """Nothing here changes a session, so a connection goes back without the round trip that would undo it.

    Unless a cancelled request left its transaction open: then everything is undone.
    """
    if held.is_in_transaction():
        await held.reset()


async def _connect(
    settings: DatabaseSettings,
    *,
    min_size: int,
    max_size: int,
    plan_cache: PlanCache,
    planner: Mapping[str, str] | None,
) -> Pool:
    return await _patiently(
        settings,
        partial(
            asyncpg.create_pool,
            min_size=min(min_size, max_size),
            max_size=max_size,
            timeout=CONNECT_SECONDS,
            command_timeout=COMMAND_SECONDS,
            max_inactive_connection_lifetime=300,
            server_settings={**server_settings(settings.service, plan_cache=plan_cache), **(planner or {})},
            reset=_keep_session,
        ),
    )


async def _patiently(settings: DatabaseSettings, connect: Callable[[str], Awaitable[Connected]]) -> Connected:
    """What `connect` gives for the database's address. Waits up to a minute for it, then raises `StartError`."""
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while True:
        try:
            return await connect(settings.database_url.get_secret_value())
        except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError, ValueError) as error:
            raise StartError(
                f"{settings.service} may not use its database ({type(error).__name__}); check YIJIAN_DATABASE_URL."
            ) from None
        except _UNREACHABLE as error:
            if asyncio.get_running_loop().time() > deadline:
                raise StartError(
                    f"{settings.service} cannot reach its database ({type(error).__name__});"
                    " start it or correct YIJIAN_DATABASE_URL."
                ) from None
            log.warning("waiting for the database", error=type(error).__name__)
            await asyncio.sleep(0.5)


def server_settings(service: str, *, plan_cache: PlanCache = PlanCache.AUTO) -> dict[str, str]:
    """The limits that hold on the server's side, whatever becomes of the client (reliability of P27)."""
    return {
        "application_name": service,
        "statement_timeout": "5s",
        "lock_timeout": "2s",
        "idle_in_transaction_session_timeout": "30s",
        "jit": "off",
        "plan_cache_mode": plan_cache.value,
    }


@contextlib.asynccontextmanager
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    """One connection for reading; 503 when none is free in time."""
    try:
        held = await pool.acquire(timeout=ACQUIRE_SECONDS)
    except TimeoutError:
        raise ServiceUnavailable from None
    try:
        yield held
    finally:
        await pool.release(held)


@contextlib.asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """One transaction on one connection: COMMIT has returned when the block is left without an error."""
    async with connection(pool) as held, held.transaction():
        yield held


async def not_ready_because(pool: Pool) -> str | None:
    """The readiness of an API: its own database answers."""
    async with connection(pool) as held:
        await held.execute("SELECT 1")
    return None


def problem_of(error: Exception) -> Problem | None:
    """The 503 behind a database that is down, full, restarting or too busy; None when the error is ours."""
    match error:
        case Problem():
            return error
        case asyncpg.InterfaceError() if "closed" in str(error) or "released" in str(error):
            return ServiceUnavailable()
        case _ if isinstance(error, (*_UNREACHABLE, *_BUSY)):
            log.warning("database unavailable", error=type(error).__name__)
            return ServiceUnavailable()
        case _:
            return None


# --- the schema ------------------------------------------------------------------------------------------------------

_REVISION = re.compile(r'^(down_)?revision\b[^=\n]*= ["\']([^"\'\n]+)["\']$', re.MULTILINE)


async def migrate(settings: DatabaseSettings, migrations: Path) -> None:
    """Bring the service's own database to the newest revision in `migrations` (Alembic files of plain SQL).

    Runs at start in one transaction under an advisory lock, so replicas that start together do it once. Waits for the
    database like `open_pool`.
    """
    connect = partial(_patiently, settings, partial(asyncpg.connect, timeout=CONNECT_SECONDS))
    if not await _is_current(await connect(), migrations):
        await import_module("yijian_common.schema_upgrade").upgrade(settings.service, migrations, connect)


async def _is_current(held: asyncpg.Connection, migrations: Path) -> bool:
    """Whether the database is at the newest revision: asked without Alembic, which takes longer to load."""
    try:
        if await held.fetchval("SELECT to_regclass('alembic_version')", timeout=COMMAND_SECONDS) is None:
            return False
        rows = await held.fetch("SELECT version_num FROM alembic_version", timeout=COMMAND_SECONDS)
    finally:
        # Nothing was begun on it: a server too busy to say goodbye keeps nobody from starting.
        with contextlib.suppress(TimeoutError):
            await held.close(timeout=1)
    return {row["version_num"] for row in rows} == _newest(migrations)


def _newest(migrations: Path) -> set[str]:
    """The revisions that no other one follows."""
    named = [found for file in migrations.glob("*.py") for found in _REVISION.findall(file.read_text("utf-8"))]
    return {revision for down, revision in named if not down} - {revision for down, revision in named if down}
