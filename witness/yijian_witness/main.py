"""The witness: another party's process, which remembers how far a log got and cosigns only what goes on from there.

It needs neither Kafka nor Postgres, and knows nothing but the log's public key.
"""

import asyncio
import sqlite3
from contextlib import AsyncExitStack
from functools import partial

from yijian_common.app import create_app
from yijian_common.errors import Problem, ServiceUnavailable
from yijian_common.process import Parts, StartError, run
from yijian_common.settings import load_settings
from yijian_ledger.keys import KeyKind, PrivateKey, PublicKey, SigningKeyError, read_private_key, read_public_key

from yijian_witness.routes import Witness, routes
from yijian_witness.settings import WitnessSettings
from yijian_witness.store import Store


async def build(settings: WitnessSettings, stack: AsyncExitStack) -> Parts:
    """The witness's app; it has no background components."""
    key, log = _keys(settings)
    try:
        store = Store(settings.witness_store)
    except (OSError, sqlite3.Error) as error:
        raise StartError(
            f"the witness cannot use {settings.witness_store} ({type(error).__name__}); correct YIJIAN_WITNESS_STORE."
        ) from None
    stack.callback(store.close)
    app = create_app(
        settings,
        title="Yijian witness",
        routers=[routes],
        ready=partial(_not_ready_because, store),
        translate=_problem_of,
    )
    app.state.witness = Witness(key, {log.name: log}, store)
    return app, []


def _keys(settings: WitnessSettings) -> tuple[PrivateKey, PublicKey]:
    try:
        key, log = read_private_key(settings.witness_key_file), read_public_key(settings.ledger_public_key_file)
    except SigningKeyError as error:
        raise StartError(f"{error}.") from None
    if key.public.kind is not KeyKind.COSIGNATURE:
        raise StartError(f"{settings.witness_key_file} is not a witness's key; make one of kind cosignature-ed25519.")
    return key, log


async def _not_ready_because(store: Store) -> str | None:
    await asyncio.to_thread(store.ping)
    return None


def _problem_of(error: Exception) -> Problem | None:
    """A file that is locked or a disk that is full: asking again helps."""
    return ServiceUnavailable() if isinstance(error, sqlite3.OperationalError) else None


def main() -> None:
    settings = load_settings(WitnessSettings)
    run(settings, partial(build, settings))
