"""Signed out is signed out everywhere, within seconds, over a real broker; with no broker, tokens just expire."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from yijian_common import ended_sessions
from yijian_common.auth import TokenVerifier
from yijian_common.ended_sessions import REMEMBERED_SECONDS, EndedSessions
from yijian_common.errors import Unauthenticated
from yijian_common.testing import Issuer
from yijian_contracts.cloudevents import encode
from yijian_contracts.events import SessionsEnded
from yijian_embedded.testing import Credentials, FreshTopics
from yijian_messaging import PRODUCTION, KafkaSettings
from yijian_messaging.kafka import build_producer, header_list
from yijian_messaging.testing import wait_until

AUDIENCE = "approval"
NOBODY_LISTENS = KafkaSettings(bootstrap="127.0.0.1:1", username="approval", password="x")


def connection(credentials: Credentials, principal: str) -> KafkaSettings:
    given = credentials(principal)
    return KafkaSettings(
        bootstrap=given.bootstrap,
        security_protocol=given.security_protocol,
        username=given.username,
        password=given.password,
    )


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def ended(kafka_credentials: Credentials) -> EndedSessions:
    return EndedSessions(connection(kafka_credentials, "approval"))


async def tell(credentials: Credentials, *events: SessionsEnded, ago: float = 0.0, topic: str | None = None) -> None:
    """What identity's relay does, `ago` seconds before now."""
    producer = build_producer(connection(credentials, "identity"), PRODUCTION)
    await producer.start()
    try:
        for event in events:
            said = encode(event, source="identity")
            await producer.send_and_wait(
                topic or said.topic,
                value=said.value,
                key=said.key.encode(),
                headers=header_list(said.headers),
                timestamp_ms=int((time.time() - ago) * 1000),
            )
    finally:
        await producer.stop()


@asynccontextmanager
async def running(component: EndedSessions) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    task = asyncio.create_task(component.run(stopping))
    try:
        yield
    finally:
        stopping.set()
        await asyncio.wait_for(task, 15)


async def accepted(verifier: TokenVerifier, token: str) -> bool:
    try:
        await verifier.verify(token)
    except Unauthenticated:
        return False
    return True


async def refused(verifier: TokenVerifier, token: str) -> None:
    async def is_refused() -> bool:
        return not await accepted(verifier, token)

    await wait_until(is_refused, what="the token to be refused")


def token_of(issuer: Issuer, subject: UUID, grant: UUID, *, logged_in: datetime | None = None) -> str:
    at = logged_in or datetime.now(UTC)
    return issuer.token(AUDIENCE, sub=str(subject), grant=str(grant), auth_time=int(at.timestamp()))


@pytest.mark.kafka
async def test_a_token_accepted_a_moment_ago_is_refused_once_its_session_ended(
    issuer: Issuer, ended: EndedSessions, kafka_credentials: Credentials
) -> None:
    person, phone, tablet = uuid4(), uuid4(), uuid4()
    verifier = await issuer.verifier(AUDIENCE, ended=ended)
    on_phone, on_tablet = (token_of(issuer, person, grant) for grant in (phone, tablet))
    assert await accepted(verifier, on_phone)
    async with running(ended):
        await tell(kafka_credentials, SessionsEnded(subject=person, grants=(phone,), ended_at=datetime.now(UTC)))
        await refused(verifier, on_phone)
        assert await accepted(verifier, on_tablet)
        assert not await accepted(verifier, token_of(issuer, person, phone))


@pytest.mark.kafka
async def test_signed_out_everywhere_means_every_login_until_then(
    issuer: Issuer, ended: EndedSessions, kafka_credentials: Credentials
) -> None:
    person, another = uuid4(), uuid4()
    now = datetime.now(UTC)
    verifier = await issuer.verifier(AUDIENCE, ended=ended)
    before = token_of(issuer, person, uuid4(), logged_in=now - timedelta(hours=3))
    async with running(ended):
        await tell(kafka_credentials, SessionsEnded(subject=person, ended_at=now))
        await refused(verifier, before)
    # Issued after the sign-out, but of a login before it: a refresh that was under way.
    assert not await accepted(verifier, token_of(issuer, person, uuid4(), logged_in=now - timedelta(seconds=1)))
    assert await accepted(verifier, token_of(issuer, person, uuid4(), logged_in=now + timedelta(seconds=1)))
    assert await accepted(verifier, token_of(issuer, another, uuid4(), logged_in=now - timedelta(hours=3)))


@pytest.mark.kafka
async def test_a_process_that_starts_later_knows_what_was_said_in_the_last_ten_minutes(
    issuer: Issuer, ended: EndedSessions, kafka_credentials: Credentials
) -> None:
    now = datetime.now(UTC)
    long_ago, lately = (SessionsEnded(subject=uuid4(), grants=(uuid4(),), ended_at=now) for _ in range(2))
    await tell(kafka_credentials, long_ago, ago=REMEMBERED_SECONDS + 60)
    await tell(kafka_credentials, lately, ago=REMEMBERED_SECONDS - 60)
    verifier = await issuer.verifier(AUDIENCE, ended=ended)
    async with running(ended):
        await refused(verifier, token_of(issuer, lately.subject, lately.grants[0]))
        assert ended.problem() is None


@pytest.mark.kafka
async def test_what_is_said_just_while_it_looks_where_to_begin_is_not_missed(
    issuer: Issuer,
    ended: EndedSessions,
    kafka_credentials: Credentials,
    fresh_topics: FreshTopics,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (topic,) = fresh_topics("sessions", writers=("identity",))
    monkeypatch.setattr(ended_sessions, "SESSIONS", topic)
    said = [SessionsEnded(subject=uuid4(), grants=(uuid4(),), ended_at=datetime.now(UTC)) for _ in range(2)]
    unsaid = list(said)

    async def answer_slowly(asked: Awaitable[Any]) -> Any:
        answered = await asked
        await tell(kafka_credentials, unsaid.pop(), topic=topic)
        return answered

    monkeypatch.setattr(ended_sessions, "answer", answer_slowly)
    verifier = await issuer.verifier(AUDIENCE, ended=ended)
    async with running(ended):
        for event in said:
            await refused(verifier, token_of(issuer, event.subject, event.grants[0]))


async def test_without_kafka_tokens_go_on_working_and_the_process_says_why_sign_outs_are_late(issuer: Issuer) -> None:
    ended = EndedSessions(NOBODY_LISTENS)
    verifier = await issuer.verifier(AUDIENCE, ended=ended)
    async with running(ended):
        await wait_until(lambda: told(ended), what="the problem")
        assert await accepted(verifier, issuer.token(AUDIENCE))
    assert "Kafka" in (ended.problem() or "")


async def told(ended: EndedSessions) -> bool:
    return ended.problem() is not None


async def test_a_token_without_auth_time_counts_from_its_issue(issuer: Issuer) -> None:
    ended = EndedSessions(NOBODY_LISTENS)
    verifier = await issuer.verifier(AUDIENCE, ended=ended)
    person, now = uuid4(), int(time.time())
    ended.note(SessionsEnded(subject=person, ended_at=datetime.fromtimestamp(now - 10, UTC)))
    assert not await accepted(verifier, issuer.token(AUDIENCE, sub=str(person), iat=now - 20))
    assert await accepted(verifier, issuer.token(AUDIENCE, sub=str(person), iat=now))


async def test_somebody_elses_grant_of_the_same_name_ends_nothing(issuer: Issuer) -> None:
    ended = EndedSessions(NOBODY_LISTENS)
    verifier = await issuer.verifier(AUDIENCE, ended=ended)
    grant = uuid4()
    ended.note(SessionsEnded(subject=uuid4(), grants=(grant,), ended_at=datetime.now(UTC)))
    assert await accepted(verifier, token_of(issuer, uuid4(), grant))


async def test_what_no_token_can_be_as_old_as_is_forgotten(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = EndedSessions(NOBODY_LISTENS)
    verifier = await issuer.verifier(AUDIENCE, ended=ended)
    person, grant = uuid4(), uuid4()
    ended.note(SessionsEnded(subject=person, grants=(grant,), ended_at=datetime.now(UTC)))
    assert not await accepted(verifier, token_of(issuer, person, grant))
    later = time.monotonic() + REMEMBERED_SECONDS + 1
    monkeypatch.setattr(ended_sessions.time, "monotonic", lambda: later)
    ended.note(SessionsEnded(subject=uuid4(), grants=(uuid4(),), ended_at=datetime.now(UTC)))
    assert await accepted(verifier, token_of(issuer, person, grant))
