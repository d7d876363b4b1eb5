"""Sessions that ended: access tokens of them are refused before they expire.

A component that reads what identity tells of ended sessions, without a group, as each API process needs all of it. It
begins ten minutes back, which is longer than any access token lives, so that it knows after a start what it would have
known without one. With Kafka away tokens go on working until they expire, five minutes at most.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from datetime import datetime
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from yijian_contracts.cloudevents import UndecodableError, decode
from yijian_contracts.events import SessionsEnded
from yijian_contracts.topics import SESSIONS
from yijian_messaging import KafkaSettings
from yijian_messaging.kafka import answer, build_tail, discard_consumer
from yijian_messaging.patience import within

from yijian_common.tokens import Principal

log = structlog.get_logger(__name__)

REMEMBERED_SECONDS = 600
RETRY_SECONDS = 1.0
POLL_MS = 200


class EndedSessions:
    """Who was signed out lately. `refuses` is for `TokenVerifier`."""

    name = "ended-sessions"

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._accounts: OrderedDict[str, _Ended] = OrderedDict()
        self._grants: OrderedDict[str, _Ended] = OrderedDict()
        self._problem: str | None = None

    def problem(self) -> str | None:
        return self._problem

    def refuses(self, principal: Principal) -> bool:
        """Whether the token is of a session that ended.

        `auth_time` counts whole seconds: a login in the very second of the sign-out is taken for one before it.
        """
        grant = self._grants.get(str(principal.claims.get("grant", "")))
        if grant is not None and grant.subject == principal.subject:
            return True
        account = self._accounts.get(principal.subject)
        return account is not None and _logged_in_at(principal) <= account.ended_at.timestamp()

    def note(self, event: SessionsEnded) -> None:
        """Remember what ended."""
        ended = _Ended(str(event.subject), event.ended_at)
        for grant in event.grants:
            _remember(self._grants, str(grant), ended)
        if not event.grants:
            _remember(self._accounts, ended.subject, ended)

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await self._tail(stopping)
            except (KafkaError, OSError, TimeoutError) as error:
                self._problem = f"sign-outs are learnt with delay: Kafka does not answer ({type(error).__name__})"
                log.warning("ended_sessions_tail_lost", error=type(error).__name__)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), RETRY_SECONDS)

    async def _tail(self, stopping: asyncio.Event) -> None:
        consumer = build_tail(self._kafka)
        try:
            await within(15, consumer.start())
            await _go_back(consumer)
            self._problem = None
            while not stopping.is_set():
                polled = await consumer.getmany(timeout_ms=POLL_MS, max_records=1000)
                for records in polled.values():
                    for record in records:
                        self._read(record)
        finally:
            await discard_consumer(consumer)

    def _read(self, record: Any) -> None:
        try:
            event = decode(record.headers, record.value).data
        except UndecodableError as error:
            log.warning("ended_sessions_undecodable", error=str(error))
            return
        if isinstance(event, SessionsEnded):
            self.note(event)


class _Ended:
    """A sign-out, and until when it matters."""

    __slots__ = ("ended_at", "forget_at", "subject")

    def __init__(self, subject: str, ended_at: datetime) -> None:
        self.subject = subject
        self.ended_at = ended_at
        self.forget_at = time.monotonic() + REMEMBERED_SECONDS


def _remember(kept: OrderedDict[str, _Ended], key: str, ended: _Ended) -> None:
    """Add the newest, and drop those that no token can be as old as; each is dropped in the order in which it came."""
    before = kept.pop(key, None)
    if before is not None and before.ended_at > ended.ended_at:
        ended.ended_at = before.ended_at
    kept[key] = ended
    while next(iter(kept.values())).forget_at < time.monotonic():
        kept.popitem(last=False)


def _logged_in_at(principal: Principal) -> float:
    """When the person proved who they are; a token that does not say was issued then."""
    told = principal.claims.get("auth_time")
    return told if isinstance(told, int) else principal.claims["iat"]


async def _go_back(consumer: AIOKafkaConsumer) -> None:
    """Begin with what was said in the last minutes; what has nothing as young begins at its end."""
    consumer.subscribe([SESSIONS])
    async with asyncio.timeout(15):
        while not consumer.assignment():  # noqa: ASYNC110 - the client has no event for it
            await asyncio.sleep(0.02)
    since = int((time.time() - REMEMBERED_SECONDS) * 1000)
    # The ends first: what is said between the two questions stands behind them.
    ends = await answer(consumer.end_offsets(list(consumer.assignment())))
    found = await answer(consumer.offsets_for_times(dict.fromkeys(ends, since)))
    for partition, end in ends.items():
        place = found[partition]
        consumer.seek(partition, end if place is None else place.offset)
