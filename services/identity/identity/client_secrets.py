"""The secrets of confidential clients: given in a file, kept as keyed hashes, shown nowhere.

A keyed hash does for them what a slow one does for passwords: they are long and random, so nobody guesses them, and
checking one costs next to nothing, so wrong ones sent by anybody do not keep people from logging in.

The file is JSON, `{"<client id>": "<secret>"}`. When its path is set but nothing is there, it is made with fresh
secrets for every confidential client, readable by its owner alone.
"""

import asyncio
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from yijian_common.crypto import Keyring
from yijian_common.database import Pool, connection, transaction
from yijian_common.process import StartError

from identity.clients import Client
from identity.provider import OpenIdProvider
from identity.queries import find_secret_hash

SHORTEST_SECRET = 24


async def register_secrets(pool: Pool, keyring: Keyring, clients: Mapping[str, Client], path: Path | None) -> None:
    """Make the secrets in the file the ones that count. Raises `StartError`."""
    if path is None:
        return
    given = await asyncio.to_thread(_given, path, clients)
    for client_id, secret in given.items():
        if client_id not in clients or not clients[client_id].confidential:
            raise StartError(f"the client secrets file {path} names {client_id!r}, which is no confidential client")
        if len(secret) < SHORTEST_SECRET:
            raise StartError(
                f"the client secrets file {path} gives {client_id!r} less than {SHORTEST_SECRET} characters"
            )
    async with transaction(pool) as held:
        await held.executemany(
            "INSERT INTO client_secrets (client_id, secret_hash) VALUES ($1, $2)"
            " ON CONFLICT (client_id) DO UPDATE SET secret_hash = excluded.secret_hash",
            sorted((client_id, _hash(keyring, client_id, secret)) for client_id, secret in given.items()),
        )


async def is_secret(provider: OpenIdProvider, client: Client, secret: str) -> bool:
    """Whether `secret` is the one of this confidential client."""
    async with connection(provider.pool) as held:
        stored = await find_secret_hash(held, client.id)
    return stored is not None and hmac.compare_digest(stored, _hash(provider.keyring, client.id, secret))


def _hash(keyring: Keyring, client_id: str, secret: str) -> bytes:
    return keyring.blind_index("client secret", client_id, secret)


def _given(path: Path, clients: Mapping[str, Client]) -> Mapping[str, str]:
    return _read(path) if path.exists() else _create(path, clients)


def _read(path: Path) -> Mapping[str, str]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise StartError(f"the client secrets file {path} cannot be read as JSON") from None
    if not isinstance(document, dict) or not all(isinstance(secret, str) for secret in document.values()):
        raise StartError(f"the client secrets file {path} must map client ids to secrets")
    return document


def _create(path: Path, clients: Mapping[str, Client]) -> Mapping[str, str]:
    fresh = {client.id: secrets.token_urlsafe(32) for client in clients.values() if client.confidential}
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(fresh, file, indent=1)
    draft.replace(path)
    return fresh
