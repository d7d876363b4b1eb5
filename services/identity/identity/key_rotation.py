"""Signing keys take turns, with overlap.

    made ──published──▶ signs ──succeeded──▶ published still ──▶ deleted
          20 minutes            by the next key         30 minutes

The next key stands in the key set for longer than anybody may keep an older set (verifiers fetch every ten minutes, and
caches on the way keep it for five), before the first token carries it. A key that signs no more stays for longer than
its last token lasts (an authorisation: ten minutes, and half a minute of grace) and verifiers take to fetch.

A rotation is one inserted row that says from when on the key signs. There is nothing to be caught half-way: a process
that dies has inserted it or not, and replicas change over by the same instant, not by being told.
"""

import asyncio
import contextlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from joserfc.jwk import ECKey
from yijian_common.crypto import Keyring
from yijian_common.database import Connection, Pool, transaction

log = structlog.get_logger(__name__)

ALGORITHM = "ES256"
PUBLISHED_AHEAD = timedelta(minutes=20)
AT_ONCE = timedelta(seconds=30)
"""How soon a key can sign in a hurry: by then every replica knows it (`signing.RELOAD_SECONDS`)."""
KEPT = timedelta(minutes=30)
PRIVATE_PART_KEPT = timedelta(minutes=2)  # for replicas whose clock is late
LOOK_EVERY_SECONDS = 60

_CONTEXT = b"identity signing key"
_LOCK = 4_180_001  # one replica makes a key

_INSERT = """
INSERT INTO signing_keys (kid, sealed, public, signs_from) VALUES ($1, $2, $3, now() + $4::interval)
"""
# A minute more, since two that ask at once have not begun at the same instant.
_WAITING = """
SELECT EXISTS (SELECT FROM signing_keys
               WHERE signs_from > now() AND signs_from <= now() + $1::interval + interval '1 minute')
"""
_TURNS = """
SELECT kid, sealed, public, extract(epoch FROM signs_from)::float8 AS signs_from, signs_from AS since,
       signs_from > now() AS is_next,
       lead(signs_from) OVER (ORDER BY signs_from) AS until
FROM signing_keys ORDER BY signs_from
"""
_DELETE = f"""
DELETE FROM signing_keys WHERE kid IN (SELECT kid FROM ({_TURNS}) AS turns WHERE until < now() - $1::interval)
"""  # noqa: S608 - our own names
_SHRED = f"""
UPDATE signing_keys SET sealed = NULL
WHERE sealed IS NOT NULL AND kid IN (SELECT kid FROM ({_TURNS}) AS turns WHERE until < now() - $1::interval)
"""  # noqa: S608 - our own names


class KeyState(StrEnum):
    """NEXT is published and does not sign yet; OLD signs no more and is published until its tokens have ended."""

    NEXT = "NEXT"
    SIGNS = "SIGNS"
    OLD = "OLD"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as it is stored; `sealed` is its private part, while it may sign."""

    kid: str
    sealed: bytes | None
    public: str
    signs_from: float
    since: datetime
    until: datetime | None
    state: KeyState


async def stored_keys(held: Connection) -> list[StoredKey]:
    """Every key, in the order of their turns."""
    rows = await held.fetch(_TURNS)
    signs = max((row["since"] for row in rows if not row["is_next"]), default=None)
    return [
        StoredKey(
            kid=row["kid"],
            sealed=row["sealed"],
            public=row["public"],
            signs_from=row["signs_from"],
            since=row["since"],
            until=row["until"],
            state=KeyState.NEXT if row["is_next"] else KeyState.SIGNS if row["since"] == signs else KeyState.OLD,
        )
        for row in rows
    ]


def open_key(keyring: Keyring, stored: StoredKey) -> ECKey:
    """The private key of a stored one that may sign."""
    return ECKey.import_key(json.loads(keyring.open_envelope(stored.sealed or b"", _CONTEXT)))


async def ensure_first_key(pool: Pool, keyring: Keyring) -> None:
    """On the very first start: a key that signs from now on."""
    async with transaction(pool) as held:
        await _lock(held)
        if not await held.fetchval("SELECT EXISTS (SELECT FROM signing_keys WHERE signs_from <= now())"):
            await _make_key(held, keyring, ahead=timedelta())


async def rotate(held: Connection, keyring: Keyring, *, ahead: timedelta = PUBLISHED_AHEAD) -> bool:
    """Make the next key, which signs after `ahead`; False when there is one already that signs by then."""
    await _lock(held)
    if await held.fetchval(_WAITING, ahead):
        return False
    await held.execute("DELETE FROM signing_keys WHERE signs_from > now()")  # it has signed nothing, and is in the way
    await _make_key(held, keyring, ahead=ahead)
    return True


async def withdraw_others(held: Connection, keyring: Keyring) -> None:
    """After a theft: a new key from now on, and none besides. Whatever others signed is refused; people log in anew."""
    await _lock(held)
    await held.execute("DELETE FROM signing_keys")
    await _make_key(held, keyring, ahead=timedelta())


async def rotate_by_age(held: Connection, keyring: Keyring, *, age: timedelta) -> bool:
    """Rotate when the newest key has signed for so long; True when a key was made."""
    await _lock(held)
    young = "SELECT EXISTS (SELECT FROM signing_keys WHERE signs_from > now() - $1::interval)"
    return not await held.fetchval(young, age) and await rotate(held, keyring)


async def _lock(held: Connection) -> None:
    await held.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)


async def _make_key(held: Connection, keyring: Keyring, *, ahead: timedelta) -> None:
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
    private = json.dumps(key.as_dict(private=True)).encode()
    sealed = keyring.new_data_key().seal_envelope(private, _CONTEXT)
    await held.execute(_INSERT, key.kid, sealed, json.dumps(key.as_dict(private=False)), ahead)


class KeyRotation:
    """A background component: makes the next key in time and takes old ones away; runs on any number of replicas."""

    name = "key-rotation"

    def __init__(self, pool: Pool, keyring: Keyring, *, age: timedelta) -> None:
        self._pool = pool
        self._keyring = keyring
        self._age = age

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await self.look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), LOOK_EVERY_SECONDS)

    async def look(self) -> None:
        """Do what is due."""
        async with transaction(self._pool) as held:
            if await rotate_by_age(held, self._keyring, age=self._age):
                log.info("the next signing key is made", signs_in_seconds=PUBLISHED_AHEAD.total_seconds())
            await held.execute(_SHRED, PRIVATE_PART_KEPT)
            await held.execute(_DELETE, KEPT)

    def problem(self) -> str | None:
        return None
