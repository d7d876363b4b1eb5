"""Texts: put into a table in the transaction of what they are about, sent from there until the gateway has it.

The gateway is the city's own (`YIJIAN_SMS_URL`): it is posted JSON `{"mobile", "text"}` with the header
`Idempotency-Key`, the same for each try of a text, and answers 2xx when it has it. In development there need not be
one; then texts wait in the table, for `GET /dev/messages`.
"""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import httpx
import structlog
from yijian_common.crypto import Keyring
from yijian_common.database import Connection, Pool, transaction

from identity.people import Person

log = structlog.get_logger(__name__)

LOOK_EVERY_SECONDS = 1.0
SEND_SECONDS = 10
AT_ONCE = 20
NOBODY = "00000000000"

_PUT = "INSERT INTO texts (id, person_id, sealed, expires_at) VALUES ($1, $2, $3, now() + $4::interval)"
# A text that is taken is nobody else's until its next try: longer than sending may take.
_TAKE = """
UPDATE texts SET attempts = attempts + 1,
                 next_try_at = now() + make_interval(secs => $2 + least(power(2, least(attempts, 5)), 30))
WHERE id IN (SELECT id FROM texts WHERE next_try_at <= now() AND expires_at > now()
             ORDER BY next_try_at LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING id, person_id, sealed
"""
_SENT = "DELETE FROM texts WHERE id = ANY($1)"
_FORGET = "DELETE FROM texts WHERE expires_at < now() RETURNING person_id"
_OF_PERSON = "SELECT id, sealed, created_at FROM texts WHERE person_id = $1 ORDER BY created_at DESC LIMIT 20"


@dataclass(frozen=True, slots=True)
class Text:
    """A text that waits, opened. Never logged."""

    mobile: str
    text: str
    created_at: datetime


async def put_text(held: Connection, keyring: Keyring, to: Person | None, *, text: str, lasts: timedelta) -> None:
    """Have a person texted. For nobody the same is done, and nothing is sent."""
    mobile = NOBODY if to is None or to.mobile is None else to.mobile
    text_id = uuid4()
    sealed = keyring.new_data_key().seal_envelope(
        json.dumps({"mobile": mobile, "text": text}, ensure_ascii=False).encode(), _context(text_id)
    )
    await held.execute(_PUT, text_id, None if to is None else to.id, sealed, lasts)


async def texts_of(held: Connection, keyring: Keyring, person_id: UUID) -> list[Text]:
    """What waits for a person, the newest first."""
    rows = await held.fetch(_OF_PERSON, person_id)
    return [Text(**_open(keyring, row), created_at=row["created_at"]) for row in rows]


def _open(keyring: Keyring, row: asyncpg.Record) -> dict[str, str]:
    opened: dict[str, str] = json.loads(keyring.open_envelope(row["sealed"], _context(row["id"])))
    return opened


def _context(text_id: UUID) -> bytes:
    return b"text:" + text_id.bytes


class TextSender:
    """A background component; any number of replicas share the work."""

    name = "texts"

    def __init__(self, pool: Pool, keyring: Keyring, *, url: str, http: httpx.AsyncClient) -> None:
        self._pool = pool
        self._keyring = keyring
        self._url = url
        self._http = http
        self._problem: str | None = None

    def problem(self) -> str | None:
        return self._problem

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            if await self.send_due() < AT_ONCE:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), LOOK_EVERY_SECONDS)

    async def send_due(self) -> int:
        """Try the texts whose turn it is; returns how many were taken."""
        async with transaction(self._pool) as held:
            useless = [row for row in await held.fetch(_FORGET) if row["person_id"] is not None]
            taken = await held.fetch(_TAKE, AT_ONCE, float(SEND_SECONDS * 2))
        if useless:
            log.error("texts were not sent in time", texts=len(useless))
        await self._send(taken)
        return len(taken)

    async def _send(self, taken: Sequence[asyncpg.Record]) -> None:
        settled = await asyncio.gather(*(self._settled(row) for row in taken))
        done = [row["id"] for row, over in zip(taken, settled, strict=True) if over]
        if done:
            async with transaction(self._pool) as held:
                await held.execute(_SENT, done)

    async def _settled(self, row: asyncpg.Record) -> bool:
        """Send one text; whether it is over with it, so that it need not be tried again."""
        if row["person_id"] is None:
            return True
        try:
            answer = await self._http.post(
                self._url,
                json=_open(self._keyring, row),
                headers={"Idempotency-Key": str(row["id"])},
                timeout=SEND_SECONDS,
            )
        except httpx.HTTPError as error:
            return self._failed(type(error).__name__)
        if answer.is_success:
            self._problem = None
            return True
        if answer.status_code in (httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS) or answer.is_server_error:
            return self._failed(f"it answers {answer.status_code}")
        log.error("the text gateway refuses a text for good", status=answer.status_code)
        return True

    def _failed(self, reason: str) -> bool:
        self._problem = f"the text gateway does not take texts: {reason}"
        log.warning("text not sent, tried again later", reason=reason)
        return False
