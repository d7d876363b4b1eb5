"""The messages' store of one service, opened beside the running service: for what an operator decides.

Where it is: in the platform on this machine, or what `YIJIAN_DATABASE_URL`, `YIJIAN_KEY_FILE` and `YIJIAN_CIPHER` say,
as the service itself is told.

Invariant: every look at a personal value and every decision leaves a line that says who, what, when and why. It is an
incident of a kind `operator-…` that is closed at once, so it stands among the incidents of the store it is about, is
never overwritten by what happens next, and is committed before the value is shown or together with the decision.
"""

import getpass
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import asyncpg
import typer
from yijian_common.crypto import KeyFileError, Keyring, UnsealError
from yijian_common.sealer import KeyringSealer
from yijian_contracts.departments import departments
from yijian_embedded.errors import PlatformError
from yijian_embedded.external import external_postgres
from yijian_messaging import Store, Transaction
from yijian_messaging.postgres import PLANNER_SETTINGS, PostgresStore
from yijian_messaging.sqlite import SqliteStore

from yijian_cli.platform import this_platform

APPROVAL = "approval"
RATING = "rating"
IDENTITY = "identity"
SERVICES = (APPROVAL, IDENTITY, "data-exchange", RATING)
"""Those that keep their messages in Postgres; a department keeps them in its own file."""
TIMEOUT_S = 10

ServiceName = Annotated[
    str, typer.Argument(metavar="SERVICE", help=f"{', '.join(SERVICES)}, or a department: {', '.join(departments())}.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is recorded, so no personal data in it.")]
Operator = Annotated[
    str, typer.Option("--by", envvar="YIJIAN_OPERATOR", help="Who decides; it is recorded. Your login name by default.")
]


def login_name() -> str:
    """Who sits at the terminal, also behind sudo."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


@dataclass(frozen=True)
class StoreAddress:
    """Where a service keeps its messages, and what opens the personal ones."""

    service: str
    url: str = field(repr=False)
    key_file: Path
    cipher: str = "AES-GCM"


@dataclass(frozen=True)
class OpenStore:
    """A store and the keys of its service; `pool` is None for a department, which keeps an SQLite file."""

    store: Store[Any]
    keyring: Keyring
    pool: "asyncpg.Pool[asyncpg.Record] | None"


def store_address(service: str) -> StoreAddress:
    """The store of this service. Raises `PlatformError` with what to do when there is none to open."""
    if service not in {*SERVICES, *departments()}:
        raise PlatformError(f"{service!r} keeps no messages: name {', '.join((*SERVICES, *departments()))}.")
    if url := os.environ.get("YIJIAN_DATABASE_URL"):
        told = os.environ.get("YIJIAN_KEY_FILE")
        if not told:
            raise PlatformError("YIJIAN_DATABASE_URL is set: set YIJIAN_KEY_FILE to the service's key file as well.")
        return StoreAddress(service, url, Path(told), os.environ.get("YIJIAN_CIPHER", "AES-GCM"))
    platform = this_platform()
    key_file = platform.home.key_file(service)
    if service in SERVICES:
        if not external_postgres() and not platform.process("postgres"):
            raise PlatformError("Postgres is not running: run `yijian up` first.")
        return StoreAddress(service, platform.database_url(service), key_file)
    return StoreAddress(service, f"sqlite:///{platform.home.department_store(service)}", key_file)


@asynccontextmanager
async def open_store(address: StoreAddress) -> AsyncIterator[OpenStore]:
    """The store while the block lasts. What it cannot do is one sentence."""
    try:
        keyring = Keyring.load(address.key_file, address.cipher)
        kind = _open_sqlite if address.url.startswith("sqlite:") else _open_postgres
        async with kind(address, keyring) as opened:
            yield opened
    except KeyFileError as error:
        raise PlatformError(f"{address.service}: {error}.") from None
    except UnsealError:
        message = f"{address.key_file} does not open what {address.service} stored: name the key file of that store."
        raise PlatformError(message) from None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        message = f"The database of {address.service} cannot be used ({type(error).__name__}): is the platform up?"
        raise PlatformError(message) from None


@asynccontextmanager
async def _open_postgres(address: StoreAddress, keyring: Keyring) -> AsyncIterator[OpenStore]:
    settings = {**PLANNER_SETTINGS, "application_name": "yijian-cli", "lock_timeout": "5s"}
    async with asyncpg.create_pool(
        address.url, min_size=1, max_size=2, timeout=TIMEOUT_S, command_timeout=TIMEOUT_S, server_settings=settings
    ) as pool:
        yield OpenStore(PostgresStore(pool, sealer=KeyringSealer(keyring)), keyring, pool)


@asynccontextmanager
async def _open_sqlite(address: StoreAddress, keyring: Keyring) -> AsyncIterator[OpenStore]:
    store = await SqliteStore.open(_existing_file(address), sealer=KeyringSealer(keyring))
    try:
        yield OpenStore(store, keyring, None)
    finally:
        await store.close()


def _existing_file(address: StoreAddress) -> Path:
    path = Path(unquote(urlsplit(address.url).path)[1:])
    if not path.is_file():
        raise PlatformError(f"{address.service} has no store at {path}: run `yijian up` first.")
    return path


async def record_action(
    transaction: Transaction[Any], action: str, subject: str, *, what: str, reason: str, by: str
) -> None:
    """Note for good what an operator did: `by` did `what` with `subject`, because of `reason`."""
    kind = f"operator-{action}"
    await transaction.open_incident(kind, subject, f"{by} {what}")
    await transaction.close_incident(kind, subject, reason)


def checked_reason(reason: str) -> str:
    """A reason that says something."""
    if not reason.strip():
        raise PlatformError("Give a reason: --reason 'why'.")
    return reason.strip()
