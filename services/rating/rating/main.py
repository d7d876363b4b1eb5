"""Wiring: which parts a process of rating has, by the roles it plays."""

from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from yijian_common import database
from yijian_common.app import create_app
from yijian_common.crypto import Keyring
from yijian_common.ended_sessions import EndedSessions
from yijian_common.idempotency import IdempotencyPurge
from yijian_common.messages import kafka_connection, tuning, unhurried
from yijian_common.process import run
from yijian_common.sealer import KeyringSealer
from yijian_common.settings import Role, load_settings
from yijian_common.verifiers import open_verifier
from yijian_messaging import Component, Relay
from yijian_messaging.postgres import PLANNER_SETTINGS, PostgresStore

from rating.clock import Clock
from rating.consumers import events_consumer
from rating.order_effects import Carrier
from rating.routes import Parts, routes
from rating.settings import RatingSettings

MIGRATIONS = Path(__file__).parent / "migrations"


async def build(settings: RatingSettings, stack: AsyncExitStack) -> tuple[FastAPI, list[Component]]:
    """Open what this process needs; the components are in the order in which they stop."""
    await database.migrate(settings, MIGRATIONS)
    pool = await stack.enter_async_context(
        database.open_pool(settings, max_size=settings.api_pool, planner=PLANNER_SETTINGS)
    )
    keyring = Keyring.load(settings.key_file, settings.cipher)
    store = PostgresStore(pool, sealer=KeyringSealer(keyring))
    await store.housekeep()
    carrier = Carrier(keyring)
    kafka = kafka_connection(settings)
    components: list[Component] = []
    app = create_app(
        settings,
        title="一件 rating",
        routers=[routes],
        ready=partial(database.not_ready_because, pool),
        translate=database.problem_of,
    )
    app.state.parts = Parts(pool=pool, store=store, carrier=carrier)
    if settings.plays(Role.API):
        ended = EndedSessions(kafka)
        verifier = await open_verifier(settings, pool, stack, ended=ended)
        app.state.tokens = verifier
        components += [ended, verifier]
    if settings.plays(Role.WORKER):
        components += [
            events_consumer(store, carrier=carrier, kafka=kafka, tuning=unhurried(tuning(settings))),
            Clock(store, carrier),
            IdempotencyPurge(pool),
        ]
    if settings.plays(Role.RELAY):
        components.append(Relay(store=store, kafka=kafka, tuning=unhurried(tuning(settings))))
    return app, components


def main() -> None:
    settings = load_settings(RatingSettings)
    run(settings, partial(build, settings))
