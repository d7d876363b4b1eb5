"""Wiring: which parts a process of data-exchange has, by the roles it plays."""

from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import asyncpg
import httpx
from fastapi import APIRouter, FastAPI
from yijian_common import database
from yijian_common.app import create_app
from yijian_common.crypto import KeyFileError, Keyring
from yijian_common.ended_sessions import EndedSessions
from yijian_common.idempotency import IdempotencyPurge
from yijian_common.messages import kafka_connection, tuning, unhurried
from yijian_common.process import StartError, run
from yijian_common.sealer import KeyringSealer
from yijian_common.settings import Role, load_settings
from yijian_common.verifiers import open_verifier
from yijian_ledger.keys import PrivateKey, SigningKeyError, read_private_key, read_public_key
from yijian_messaging import Component, Relay
from yijian_messaging.postgres import PLANNER_SETTINGS, PostgresStore

from data_exchange import routes_consents, routes_disclosures, routes_ledger
from data_exchange.consumers import consents_consumer, disclosures_consumer, erasures_consumer
from data_exchange.ledger_watch import LedgerWatch
from data_exchange.parts import Parts
from data_exchange.settings import DataExchangeSettings
from data_exchange.signer import Signer
from data_exchange.withdrawals_told import WithdrawalsTold
from data_exchange.witness_client import WitnessClient
from data_exchange.witnessing import Feeder, witness_objects

MIGRATIONS = Path(__file__).parent / "migrations"
ROUTERS: tuple[APIRouter, ...] = (routes_ledger.routes, routes_consents.routes, routes_disclosures.routes)


async def build(settings: DataExchangeSettings, stack: AsyncExitStack) -> tuple[FastAPI, list[Component]]:
    """Open what this process needs; the components are in the order in which they stop."""
    await database.migrate(settings, MIGRATIONS)
    pool = await stack.enter_async_context(
        database.open_pool(settings, max_size=settings.api_pool, planner=PLANNER_SETTINGS)
    )
    await _require_ledger(pool)
    keyring = _keyring(settings)
    store = PostgresStore(pool, sealer=KeyringSealer(keyring))
    await store.housekeep()
    kafka = kafka_connection(settings)
    components: list[Component] = []
    app = create_app(
        settings,
        title="一件 data-exchange",
        routers=ROUTERS,
        ready=partial(database.not_ready_because, pool),
        translate=database.problem_of,
    )
    app.state.parts = Parts(pool=pool, store=store, keyring=keyring)
    if settings.plays(Role.API):
        ended = EndedSessions(kafka)
        verifier = await open_verifier(settings, pool, stack, ended=ended)
        app.state.tokens = verifier
        components += [verifier, ended]
    if settings.plays(Role.WORKER):
        components += [
            disclosures_consumer(store, keyring=keyring, kafka=kafka, tuning=unhurried(tuning(settings))),
            consents_consumer(store, keyring=keyring, kafka=kafka, tuning=unhurried(tuning(settings))),
            # Few come, and each alone: to wait for more would only mean to ask more often.
            erasures_consumer(store, keyring=keyring, kafka=kafka, tuning=tuning(settings)),
            WithdrawalsTold(store),
            *await _signing(settings, store, pool, stack),
            LedgerWatch(store, pool),
            IdempotencyPurge(pool),
        ]
    if settings.plays(Role.RELAY):
        components.append(Relay(store=store, kafka=kafka, tuning=unhurried(tuning(settings))))
    return app, components


async def _signing(
    settings: DataExchangeSettings, store: PostgresStore, pool: database.Pool, stack: AsyncExitStack
) -> list[Component]:
    """What signs, and what has the witness cosign; nothing where there is no key to sign with."""
    if settings.ledger_key_file is None:
        return []
    try:
        key = read_private_key(settings.ledger_key_file)
        witness = await _witness(settings, key, stack)
    except SigningKeyError as error:
        raise StartError(f"{error}.") from None
    signer = Signer(
        store,
        pool,
        key,
        source=settings.service,
        instance=settings.instance or None,
        objects=partial(witness_objects, witness=witness) if witness else None,
    )
    return [signer, Feeder(store, pool, witness, leads=lambda: signer.leads)] if witness else [signer]


async def _witness(settings: DataExchangeSettings, key: PrivateKey, stack: AsyncExitStack) -> WitnessClient | None:
    if settings.witness_url is None or settings.witness_public_key_file is None:
        return None
    http = await stack.enter_async_context(httpx.AsyncClient(timeout=5))
    public = read_public_key(settings.witness_public_key_file)
    return WitnessClient(http, settings.witness_url, witness=public, log=key.public)


def _keyring(settings: DataExchangeSettings) -> Keyring:
    try:
        return Keyring.load(settings.key_file, settings.cipher)
    except KeyFileError as error:
        raise StartError(f"{error}.") from None


async def _require_ledger(pool: database.Pool) -> None:
    """The ledger's tables are an administrator's to make, so that this service cannot unmake them."""
    try:
        await pool.execute("SELECT FROM ledger.leaf, ledger.tile, ledger.checkpoint, ledger.cosignature WHERE false")
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError, asyncpg.InsufficientPrivilegeError):
        raise StartError("data-exchange has no ledger in its database; run `yijian provision`.") from None


def main() -> None:
    settings = load_settings(DataExchangeSettings)
    run(settings, partial(build, settings))
