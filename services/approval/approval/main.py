"""Wiring: which parts a process of approval has, by the roles it plays."""

from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from yijian_common import database, pairwise
from yijian_common.app import create_app
from yijian_common.crypto import KeyFileError, Keyring
from yijian_common.ended_sessions import EndedSessions
from yijian_common.idempotency import IdempotencyPurge
from yijian_common.messages import kafka_connection, tuning, unhurried
from yijian_common.process import StartError, run
from yijian_common.sealer import KeyringSealer
from yijian_common.settings import Role, load_settings
from yijian_common.verifiers import open_verifier
from yijian_messaging import Component, Relay
from yijian_messaging.postgres import PLANNER_SETTINGS, PostgresStore

from approval.authorisations import AuthorisationPurge
from approval.consent_gate import ConsentGate
from approval.consumers import (
    checkpoints_consumer,
    consents_consumer,
    erasures_consumer,
    rectifications_consumer,
    results_consumer,
)
from approval.coverage import Coverage
from approval.effects import CONSENTS_GATE, Effects
from approval.forgetting import Forgetting
from approval.intake import Intake
from approval.keys import Keys
from approval.life_event_checks import LifeEventError
from approval.life_events_registry import LifeEvents
from approval.parts import Parts
from approval.progress import Progress
from approval.routes import routes
from approval.routes_consents import consent_routes
from approval.settings import ApprovalSettings
from approval.sweeper import Sweeper

DATA_EXCHANGE = "data-exchange"
MIGRATIONS = Path(__file__).parent / "migrations"


async def build(settings: ApprovalSettings, stack: AsyncExitStack) -> tuple[FastAPI, list[Component]]:
    """Open what this process needs; the components are in the order in which they stop."""
    await database.migrate(settings, MIGRATIONS)
    pool = await stack.enter_async_context(
        database.open_pool(settings, max_size=settings.api_pool, planner=PLANNER_SETTINGS)
    )
    keyring = Keyring.load(settings.key_file, settings.cipher)
    sealer = KeyringSealer(keyring)
    store = PostgresStore(pool, sealer=sealer)
    await store.housekeep()
    coverage = Coverage(store, limit=timedelta(seconds=settings.ledger_limit_seconds))
    await coverage.look()
    effects = Effects(life_events=await _life_events(settings, pool), keyring=keyring, coverage=coverage)
    keys = _keys(settings, keyring)
    kafka = kafka_connection(settings)
    intake = Intake(store, effects)
    progress = Progress(kafka)
    components: list[Component] = [coverage]
    app = create_app(
        settings,
        title="一件 approval",
        routers=[routes, consent_routes],
        ready=partial(database.not_ready_because, pool),
        translate=database.problem_of,
    )
    app.state.parts = Parts(
        pool=pool,
        store=store,
        effects=effects,
        intake=intake,
        progress=progress,
        keys=keys,
    )
    if settings.plays(Role.API):
        ended = EndedSessions(kafka)
        verifier = await open_verifier(settings, pool, stack, ended=ended)
        app.state.tokens = verifier
        components += [intake, progress, ended, verifier]
    if settings.plays(Role.WORKER):
        tuned = tuning(settings)
        components += [
            results_consumer(store, effects=effects, kafka=kafka, tuning=tuned),
            checkpoints_consumer(store, kafka=kafka, tuning=unhurried(tuned)),
            consents_consumer(store, effects=effects, kafka=kafka, tuning=tuned),
            rectifications_consumer(store, effects=effects, kafka=kafka, tuning=tuned),
            erasures_consumer(store, effects=effects, keys=keys, kafka=kafka, tuning=tuned),
            Forgetting(pool, store, sealer),
            Sweeper(store, effects, keys),
            IdempotencyPurge(pool),
            AuthorisationPurge(pool),
        ]
    if settings.plays(Role.RELAY):
        components.append(
            Relay(store=store, kafka=kafka, tuning=tuning(settings), gates={CONSENTS_GATE: ConsentGate(pool)})
        )
    return app, components


async def _life_events(settings: ApprovalSettings, pool: database.Pool) -> LifeEvents:
    try:
        return await LifeEvents.open(
            pool,
            folder=settings.life_events_folder,
            settings=settings.life_event_settings,
            allow_fictitious=not settings.in_production,
        )
    except LifeEventError as error:
        raise StartError(str(error)) from None


def _keys(settings: ApprovalSettings, keyring: Keyring) -> Keys:
    try:
        pairwise_keys = pairwise.read_keys(settings.pairwise_key_file)
    except KeyFileError as error:
        raise StartError(f"approval has no keys to compare identity's proofs with: {error}") from None
    missing = [audience for audience in (settings.audience, DATA_EXCHANGE) if audience not in pairwise_keys]
    if missing:
        raise StartError(
            f"{settings.pairwise_key_file} lacks the key of {', '.join(missing)}; see docs/decisions/0001."
        )
    return Keys(keyring=keyring, pairwise=pairwise_keys[settings.audience], exchange=pairwise_keys[DATA_EXCHANGE])


def main() -> None:
    settings = load_settings(ApprovalSettings)
    run(settings, partial(build, settings))
