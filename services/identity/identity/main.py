"""identity, wired: settings in, a running OpenID provider out."""

from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx
from fastapi import APIRouter, FastAPI
from yijian_common import database
from yijian_common.app import create_app
from yijian_common.crypto import KeyFileError, Keyring
from yijian_common.database import Pool
from yijian_common.idempotency import IdempotencyPurge
from yijian_common.messages import kafka_connection, tuning, unhurried
from yijian_common.pairwise import read_keys
from yijian_common.process import Parts, StartError, run
from yijian_common.sealer import KeyringSealer
from yijian_common.settings import Role, load_settings
from yijian_messaging import Component, Relay
from yijian_messaging.postgres import PLANNER_SETTINGS, PostgresStore

from identity import (
    discovery,
    routes_account,
    routes_authorisations,
    routes_authorize,
    routes_development,
    routes_erasure,
    routes_revocation,
    routes_sessions,
    routes_token,
)
from identity.accounts import load_accounts, refuse_fictitious
from identity.client_secrets import register_secrets
from identity.clients import APPROVAL, DATA_EXCHANGE, registry
from identity.errors import AccountsFileError, AuthorizationRefusedError, OAuthError, UnsafeRequestError
from identity.housekeeping import Housekeeping
from identity.key_rotation import KeyRotation
from identity.own_tokens import OwnTokens
from identity.provider import OpenIdProvider
from identity.settings import IdentitySettings
from identity.signing import load_signer
from identity.texts import TextSender
from identity.wallet import routes as routes_wallet
from identity.wallet import routes_verify
from identity.wallet.consumers import documents_consumer

MIGRATIONS = Path(__file__).with_name("migrations")


async def build(settings: IdentitySettings, resources: AsyncExitStack) -> Parts:
    """The service's app and background components, in the order in which they stop."""
    pool = await resources.enter_async_context(database.open_pool(settings, planner=PLANNER_SETTINGS))
    await database.migrate(settings, MIGRATIONS)
    provider = await open_provider(settings, pool)
    await provider.store.housekeep()
    http = await resources.enter_async_context(httpx.AsyncClient())
    return build_app(provider), components(provider, http)


def components(provider: OpenIdProvider, http: httpx.AsyncClient) -> list[Component]:
    """What runs beside the HTTP side, by the process's roles."""
    settings, kafka = provider.settings, kafka_connection(provider.settings)
    running: list[Component] = [provider.signer]
    if settings.plays(Role.WORKER):
        running.append(Housekeeping(provider.pool))
        running.append(IdempotencyPurge(provider.pool))
        running.append(KeyRotation(provider.pool, provider.keyring, age=timedelta(days=settings.signing_key_days)))
        if settings.sms_url is not None:
            running.append(TextSender(provider.pool, provider.keyring, url=settings.sms_url, http=http))
        running.append(
            documents_consumer(
                provider.store, keyring=provider.keyring, kafka=kafka, tuning=unhurried(tuning(settings))
            )
        )
    if settings.plays(Role.RELAY):
        running.append(Relay(store=provider.store, kafka=kafka, tuning=unhurried(tuning(settings))))
    return running


async def open_provider(settings: IdentitySettings, pool: Pool) -> OpenIdProvider:
    """Keys, clients and accounts as the settings name them. Raises `StartError`."""
    try:
        keyring = Keyring.load(settings.key_file, settings.cipher)
        pairwise = read_keys(settings.pairwise_key_file)
        if not {APPROVAL, DATA_EXCHANGE} <= pairwise.keys():
            raise StartError(f"identity's pairwise key file needs the keys of {APPROVAL} and {DATA_EXCHANGE}")
        if settings.in_production:
            await refuse_fictitious(pool)
        if settings.accounts_file is not None:
            await load_accounts(pool, keyring, settings.accounts_file, allow_fictitious=not settings.in_production)
    except (KeyFileError, AccountsFileError) as error:
        raise StartError(str(error)) from None
    clients = registry(portal_redirect_uris=settings.portal_redirect_uris)
    await register_secrets(pool, keyring, clients, settings.client_secrets_file)
    signer = await load_signer(pool, keyring, issuer=settings.issuer)
    store = PostgresStore(pool, sealer=KeyringSealer(keyring))
    return OpenIdProvider(settings, pool, store, keyring, signer, clients, pairwise)


def build_app(provider: OpenIdProvider) -> FastAPI:
    """The HTTP side. The development login exists outside production only."""
    routers: list[APIRouter] = [
        discovery.routes,
        routes_authorize.routes,
        routes_token.routes,
        routes_wallet.routes,
        routes_verify.routes,
        routes_erasure.routes,
        routes_revocation.routes,
        routes_sessions.routes,
        routes_account.routes,
        routes_authorisations.routes,
    ]
    if not provider.settings.in_production:
        routers.append(routes_development.routes)
    app = create_app(
        provider.settings,
        title="Yijian identity",
        routers=routers,
        ready=partial(database.not_ready_because, provider.pool),
        translate=database.problem_of,
    )
    app.state.provider = provider
    app.state.tokens = OwnTokens(provider)
    app.add_exception_handler(OAuthError, routes_token.answer_oauth_error)
    app.add_exception_handler(UnsafeRequestError, routes_authorize.answer_unsafe_request)
    app.add_exception_handler(AuthorizationRefusedError, routes_authorize.answer_refused_request)
    return app


def main() -> None:
    settings = load_settings(IdentitySettings)
    run(settings, partial(build, settings))
