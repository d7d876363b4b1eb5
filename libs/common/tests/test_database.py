"""F1: a 2xx means that COMMIT returned. And what a database in trouble means to a caller."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import SecretStr
from yijian_common import database
from yijian_common.database import Pool, connection, transaction
from yijian_common.errors import ServiceUnavailable
from yijian_common.process import StartError
from yijian_common.settings import DatabaseSettings
from yijian_embedded.platform import Platform

pytestmark = pytest.mark.postgres

MakeClient = Callable[[FastAPI], httpx.AsyncClient]
MakeApp = Callable[..., FastAPI]

REVISION = '''
from yijian_common.migrations import execute
revision = "{number}"
down_revision = {before}
def upgrade() -> None:
    execute("""{sql}""")
'''


def write_revision(folder: Path, number: str, sql: str, *, before: str | None = None) -> None:
    (folder / f"{number}.py").write_text(REVISION.format(number=number, before=repr(before), sql=sql))


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    folder = tmp_path / "migrations"
    folder.mkdir()
    write_revision(folder, "0001", "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE note (text text);")
    return folder


Begin = Callable[[DatabaseSettings, Path], Awaitable[None]]


async def opened_and_closed(settings: DatabaseSettings, _: Path) -> None:
    async with database.open_pool(settings):
        pass


async def migrated(settings: DatabaseSettings, migrations: Path) -> None:
    await database.migrate(settings, migrations)


def at(url: str, settings: DatabaseSettings) -> DatabaseSettings:
    return settings.model_copy(update={"database_url": SecretStr(url)})


def on_port(settings: DatabaseSettings, port: int) -> str:
    url = urlsplit(settings.database_url.get_secret_value())
    who, _, _ = url.netloc.rpartition("@")
    return url._replace(netloc=f"{who}@127.0.0.1:{port}").geturl()


@contextlib.contextmanager
def free_port() -> Iterator[int]:
    """A port that nobody listens on, kept while the block runs."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


async def test_when_commit_fails_the_caller_is_not_told_that_it_worked(
    pool: Pool, make_app: MakeApp, client_of: MakeClient
) -> None:
    await pool.execute("CREATE TABLE parent (id int PRIMARY KEY)")
    await pool.execute("CREATE TABLE child (parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
    router = APIRouter()

    @router.post("/children/{parent}", status_code=201)
    async def create(parent: int) -> dict[str, int]:
        async with transaction(pool) as held:
            await held.execute("INSERT INTO child VALUES ($1)", parent)
        return {"parent": parent}

    client = client_of(make_app(router, translate=database.problem_of))
    await pool.execute("INSERT INTO parent VALUES (1)")

    accepted = await client.post("/children/1")
    refused = await client.post("/children/2")  # the foreign key is checked by COMMIT, after the INSERT succeeded

    assert accepted.status_code == 201
    assert refused.status_code == 500
    assert refused.json()["type"] == "/problems/internal-error"
    assert await pool.fetch("SELECT parent FROM child") == [(1,)]


async def test_when_the_server_goes_before_commit_the_caller_is_told_to_try_again(
    pool: Pool, make_app: MakeApp, client_of: MakeClient
) -> None:
    await pool.execute("CREATE TABLE note (text text)")
    router = APIRouter()

    @router.post("/notes", status_code=201)
    async def create() -> dict[str, str]:
        async with transaction(pool) as held:
            await held.execute("INSERT INTO note VALUES ('hello')")
            async with connection(pool) as other:
                await other.execute("SELECT pg_terminate_backend($1)", await held.fetchval("SELECT pg_backend_pid()"))
        return {}

    answer = await client_of(make_app(router, translate=database.problem_of)).post("/notes")

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert await pool.fetchval("SELECT count(*) FROM note") == 0


async def test_a_busy_pool_is_a_503_and_not_a_wait_without_end(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "ACQUIRE_SECONDS", 0.1)
    held = [await pool.acquire() for _ in range(pool.get_max_size())]
    with pytest.raises(ServiceUnavailable):
        async with connection(pool):
            pass
    for each in held:
        await pool.release(each)
    assert await database.not_ready_because(pool) is None


async def test_the_server_itself_ends_what_takes_too_long(pool: Pool) -> None:
    async with connection(pool) as held:
        limits = {
            name: await held.fetchval(f"SHOW {name}")
            for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "jit")
        }
        await held.execute("SET statement_timeout = '50ms'")
        with pytest.raises(asyncpg.QueryCanceledError) as cancelled:
            await held.execute("SELECT pg_sleep(5)")
        await held.execute("SET statement_timeout = '5s'")
    assert limits == {
        "statement_timeout": "5s",
        "lock_timeout": "2s",
        "idle_in_transaction_session_timeout": "30s",
        "jit": "off",
    }
    assert isinstance(database.problem_of(cancelled.value), ServiceUnavailable)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DiskFullError("53100"),
        asyncpg.AdminShutdownError("57P01"),
        asyncpg.CrashShutdownError("57P02"),
        asyncpg.CannotConnectNowError("57P03"),
        asyncpg.TooManyConnectionsError("53300"),
        asyncpg.ConnectionDoesNotExistError("08003"),
        asyncpg.InterfaceError("connection is closed"),
        ConnectionRefusedError(),
        asyncpg.DeadlockDetectedError("40P01"),
    ],
)
def test_trouble_of_the_database_is_a_503(error: Exception) -> None:
    assert isinstance(database.problem_of(error), ServiceUnavailable)


@pytest.mark.parametrize("error", [asyncpg.UniqueViolationError("23505"), ValueError(), KeyError()])
def test_a_mistake_of_ours_is_not(error: Exception) -> None:
    assert database.problem_of(error) is None


async def test_replicas_that_start_together_migrate_once(
    database_settings: DatabaseSettings, migrations: Path, pool: Pool
) -> None:
    await asyncio.gather(*(database.migrate(database_settings, migrations) for _ in range(3)))
    write_revision(
        migrations, "0002", "INSERT INTO note VALUES ('once'); INSERT INTO note VALUES ('each')", before="0001"
    )
    await asyncio.gather(*(database.migrate(database_settings, migrations) for _ in range(3)))
    assert await pool.fetchval("SELECT count(*) FROM note") == 2


async def test_a_migration_that_fails_leaves_nothing_behind(
    database_settings: DatabaseSettings, migrations: Path, pool: Pool
) -> None:
    write_revision(migrations, "0002", "CREATE TABLE half (x int); SELECT 1/0", before="0001")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await database.migrate(database_settings, migrations)
    assert await pool.fetchval("SELECT to_regclass('half') IS NULL AND to_regclass('parent') IS NULL")


async def test_a_cancelled_request_gives_its_connection_back_clean(pool: Pool) -> None:
    await pool.execute("CREATE TABLE note (text text)")

    async def interrupted() -> None:
        async with transaction(pool) as held:
            await held.execute("INSERT INTO note VALUES ('never')")
            await held.execute("SELECT pg_sleep(5)")

    tasks = [asyncio.create_task(interrupted()) for _ in range(pool.get_max_size())]
    await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(5):
        for _ in range(10):
            async with transaction(pool) as held:
                assert await held.fetchval("SELECT count(*) FROM note") == 0
                await held.execute("INSERT INTO note VALUES ('kept')")
                await held.execute("DELETE FROM note")
    async with connection(pool) as held:
        idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
        assert await held.fetchval(idle) == 0


@pytest.mark.parametrize("begin", [opened_and_closed, migrated])
async def test_a_wrong_password_is_one_sentence(
    database_settings: DatabaseSettings, migrations: Path, begin: Begin
) -> None:
    role, _, rest = database_settings.database_url.get_secret_value().partition("@")
    with pytest.raises(StartError, match="YIJIAN_DATABASE_URL"):
        await begin(at(f"{role}x@{rest}", database_settings), migrations)


@pytest.mark.parametrize("begin", [opened_and_closed, migrated])
async def test_a_database_that_stays_away_is_one_sentence(
    database_settings: DatabaseSettings, migrations: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "START_SECONDS", 0.6)
    with free_port() as port, pytest.raises(StartError, match="cannot reach its database"):
        await begin(at(on_port(database_settings, port), database_settings), migrations)


@pytest.mark.parametrize("begin", [opened_and_closed, migrated])
async def test_a_database_that_comes_later_is_waited_for(
    database_settings: DatabaseSettings, migrations: Path, begin: Begin
) -> None:
    with free_port() as port:
        pass
    beginning = asyncio.create_task(begin(at(on_port(database_settings, port), database_settings), migrations))
    await asyncio.sleep(0.3)
    assert not beginning.done()
    address = urlsplit(database_settings.database_url.get_secret_value())

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(address.hostname, address.port)
        await asyncio.gather(_pump(reader, back), _pump(there, writer))

    async with await asyncio.start_server(pass_on, "127.0.0.1", port), asyncio.timeout(10):
        await beginning


@pytest.mark.parametrize("begin", [opened_and_closed, migrated])
async def test_a_database_without_a_free_place_is_waited_for(
    database_settings: DatabaseSettings, migrations: Path, begin: Begin, platform: Platform
) -> None:
    """Found by chaos: a process that started just then ended with a stack trace."""
    name = urlsplit(database_settings.database_url.get_secret_value()).path.removeprefix("/")
    admin = await asyncpg.connect(platform.postgres_admin_url)
    try:
        await admin.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT 0')
        beginning = asyncio.create_task(begin(database_settings, migrations))
        await asyncio.sleep(0.3)
        assert not beginning.done()
        await admin.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT -1')
    finally:
        await admin.close()
    async with asyncio.timeout(10):
        await beginning


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


def test_a_schema_that_is_current_is_found_so_without_alembic(
    database_settings: DatabaseSettings, migrations: Path
) -> None:
    asyncio.run(database.migrate(database_settings, migrations))
    assert not {"alembic", "sqlalchemy"} & loaded_by_migrating(database_settings, migrations)
    write_revision(migrations, "0002", "CREATE TABLE more (x int)", before="0001")
    assert {"alembic", "sqlalchemy"} <= loaded_by_migrating(database_settings, migrations)
    assert not {"alembic", "sqlalchemy"} & loaded_by_migrating(database_settings, migrations)


def loaded_by_migrating(settings: DatabaseSettings, migrations: Path) -> set[str]:
    """The modules that a fresh process has loaded after it migrated."""
    program = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom yijian_common import database, settings\n"
        "loaded = settings.load_settings(settings.DatabaseSettings)\n"
        "asyncio.run(database.migrate(loaded, Path(sys.argv[1])))\nprint(*sys.modules)"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "YIJIAN_SERVICE": settings.service,
        "YIJIAN_HTTP_PORT": "0",
        "YIJIAN_DATABASE_URL": settings.database_url.get_secret_value(),
        "YIJIAN_KEY_FILE": str(settings.key_file),
    }
    command = [sys.executable, "-c", program, str(migrations)]
    return set(subprocess.check_output(command, env=environment, text=True, timeout=60).split())  # noqa: S603 - ours
