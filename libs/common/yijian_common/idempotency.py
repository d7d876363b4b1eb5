"""Idempotency-Key: the same request sent again gets the same answer, and its effect happens once.

The key, the request's keyed digest and the sealed answer are stored in the transaction of the effect, so they exist
exactly when it does. A second request that arrives while the first is in flight waits on the unique index; when the
first takes longer than the server's lock_timeout, it is told 409.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated
from uuid import UUID

import asyncpg
import structlog
from fastapi import Depends, Header

from yijian_common.crypto import DataKey, Keyring
from yijian_common.database import Connection, Pool, transaction
from yijian_common.errors import Conflict, MalformedRequest, Unprocessable

log = structlog.get_logger(__name__)

KEPT_DAYS = 32
PURGE_EVERY_SECONDS = 3600
PURGE_BATCH = 5000

CREATE_TABLE = """
CREATE TABLE idempotency_keys (
    key_index      bytea PRIMARY KEY,
    request_digest bytea NOT NULL,
    response       bytea NOT NULL,
    about          uuid,
    created_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
CREATE INDEX idempotency_keys_by_subject ON idempotency_keys (about) WHERE about IS NOT NULL;
"""
"""For a service's migration. `about` is the aggregate that a stored answer speaks of: erasing it deletes these rows."""

_KEY = re.compile(r"[\x21-\x7e]{8,128}", re.ASCII)


class KeyReused(Unprocessable):
    name = "idempotency-key-reused"
    title = "同一个幂等键不能用于不同的内容"
    advice = "Idempotency-Key 已用于另一份内容。提交新的内容请换一个新的键。"


class KeyInFlight(Conflict):
    name = "idempotency-key-in-flight"
    title = "同样的请求正在处理"
    advice = "带同一个 Idempotency-Key 的请求还在处理，请稍候用同一个键重试，会得到它的结果。"


class KeyMissing(MalformedRequest):
    name = "idempotency-key-missing"
    title = "缺少 Idempotency-Key 请求头，或格式不正确"
    advice = "请带上 Idempotency-Key 请求头：8 到 128 个可见 ASCII 字符，建议用 UUID；重试时保持不变。"


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """An answer that can be given again, byte by byte."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        head = json.dumps({"status": self.status, "headers": dict(self.headers)}).encode()
        return len(head).to_bytes(4, "big") + head + self.body

    @classmethod
    def from_bytes(cls, stored: bytes) -> "StoredResponse":
        end = 4 + int.from_bytes(stored[:4], "big")
        head = json.loads(stored[4:end])
        return cls(status=head["status"], headers=head["headers"], body=stored[end:])


async def idempotency_key(
    value: Annotated[str | None, Header(alias="Idempotency-Key", description="8–128 visible ASCII characters")] = None,
) -> str:
    """FastAPI dependency: the request's key. Raises `KeyMissing` (400)."""
    if value is None or not _KEY.fullmatch(value):
        raise KeyMissing
    return value


IdempotencyKey = Annotated[str, Depends(idempotency_key)]


def request_digest(keyring: Keyring, *parts: str) -> bytes:
    """A keyed digest of what makes two requests the same: operation, path parameters and body text."""
    return keyring.blind_index("request", *parts)


async def remember(
    held: Connection,
    *,
    keyring: Keyring,
    scope: str,
    key: str,
    request_digest: bytes,
    response: StoredResponse,
    data_key: DataKey | None = None,
    about: UUID | None = None,
) -> StoredResponse | None:
    """Claim `key` within `scope` (who and what operation), inside the caller's open transaction.

    None when the key is new: go on and commit. The earlier answer when the same request was answered before: give it
    again, and do nothing else. Raises `KeyReused` for another payload, `KeyInFlight` when the first is still at work.
    """
    key_index = keyring.blind_index("idempotency-key", scope, key)
    sealed = (data_key or keyring.new_data_key()).seal_envelope(response.to_bytes(), key_index)
    try:
        claimed = await held.fetchval(
            "INSERT INTO idempotency_keys (key_index, request_digest, response, about) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (key_index) DO NOTHING RETURNING true",
            key_index,
            request_digest,
            sealed,
            about,
        )
    except asyncpg.LockNotAvailableError:
        raise KeyInFlight(headers={"Retry-After": "2"}) from None
    if claimed:
        return None
    return await _earlier(held, keyring=keyring, key_index=key_index, request_digest=request_digest)


@dataclass(frozen=True, slots=True)
class Claim:
    """One request of several that one transaction answers; made by `claim`."""

    key_index: bytes
    request_digest: bytes
    response: bytes
    about: UUID | None


def claim(
    keyring: Keyring,
    *,
    scope: str,
    key: str,
    request_digest: bytes,
    response: StoredResponse,
    data_key: DataKey,
    about: UUID | None = None,
) -> Claim:
    """The claim of a request on its key, with the answer it gets if the key is new."""
    key_index = keyring.blind_index("idempotency-key", scope, key)
    return Claim(key_index, request_digest, data_key.seal_envelope(response.to_bytes(), key_index), about)


async def remember_all(
    held: Connection, claims: Sequence[Claim], *, keyring: Keyring
) -> list[StoredResponse | KeyReused | None]:
    """`remember` for many at once, in one statement: per claim None when new, the earlier answer, or the refusal."""
    ordered = sorted(claims, key=lambda c: c.key_index)
    rows = await held.fetch(
        "INSERT INTO idempotency_keys (key_index, request_digest, response, about)"
        " SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::uuid[])"
        " ON CONFLICT (key_index) DO NOTHING RETURNING key_index, about",
        [c.key_index for c in ordered],
        [c.request_digest for c in ordered],
        [c.response for c in ordered],
        [c.about for c in ordered],
    )
    new = {(row["key_index"], row["about"]) for row in rows}
    answers: list[StoredResponse | KeyReused | None] = []
    for each in claims:
        if (each.key_index, each.about) in new:
            answers.append(None)
            continue
        try:
            answers.append(
                await _earlier(held, keyring=keyring, key_index=each.key_index, request_digest=each.request_digest)
            )
        except KeyReused as refusal:
            answers.append(refusal)
    return answers


async def find_response(
    held: Connection, *, keyring: Keyring, scope: str, key: str, request_digest: bytes
) -> StoredResponse | None:
    """The answer already given, if any; lets a repeat skip the work. Raises `KeyReused`."""
    key_index = keyring.blind_index("idempotency-key", scope, key)
    try:
        return await _earlier(held, keyring=keyring, key_index=key_index, request_digest=request_digest)
    except KeyInFlight:
        return None


async def _earlier(held: Connection, *, keyring: Keyring, key_index: bytes, request_digest: bytes) -> StoredResponse:
    row = await held.fetchrow("SELECT request_digest, response FROM idempotency_keys WHERE key_index = $1", key_index)
    if row is None:  # it was there a moment ago: erased or purged in between
        raise KeyInFlight(headers={"Retry-After": "2"})
    if row["request_digest"] != request_digest:
        raise KeyReused
    return StoredResponse.from_bytes(keyring.open_envelope(row["response"], key_index))


async def purge(held: Connection) -> int:
    """Delete a batch of keys older than `KEPT_DAYS`; returns how many."""
    deleted = await held.execute(
        "DELETE FROM idempotency_keys WHERE key_index = ANY(ARRAY("
        "SELECT key_index FROM idempotency_keys WHERE created_at < now() - make_interval(days => $1)"
        " ORDER BY created_at LIMIT $2))",
        KEPT_DAYS,
        PURGE_BATCH,
    )
    return int(deleted.rpartition(" ")[2])


class IdempotencyPurge:
    """The component that forgets old keys, hourly."""

    name = "idempotency-purge"

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            async with transaction(self._pool) as held:
                deleted = await purge(held)
            if deleted == PURGE_BATCH:
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), PURGE_EVERY_SECONDS)

    def problem(self) -> str | None:
        return None
