"""The secrets of confidential clients: given in a file, kept as argon2id hashes, shown nowhere.

The file is JSON, `{"<client id>": "<secret>"}`. When its path is set but nothing is there, it is made with fresh
secrets for every confidential client, readable by its owner alone.
"""

import asyncio
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from yijian_common.database import Pool, connection, transaction
from yijian_common.process import StartError

from identity.clients import Client
from identity.passwords import hash_password, matches
from identity.queries import find_secret_hash

SHORTEST_SECRET = 24


async def register_secrets(pool: Pool, clients: Mapping[str, Client], path: Path | None) -> None:
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
        await _register(pool, client_id, secret)


async def _register(pool: Pool, client_id: str, secret: str) -> None:
    async with connection(pool) as held:
        stored = await find_secret_hash(held, client_id)
    if stored is not None and await matches(stored, secret):
        return
    fresh = await hash_password(secret)
    async with transaction(pool) as held:
        await held.execute(
            "INSERT INTO client_secrets (client_id, secret_hash) VALUES ($1, $2)"
            " ON CONFLICT (client_id) DO UPDATE SET secret_hash = excluded.secret_hash",
            client_id,
            fresh,
        )


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
