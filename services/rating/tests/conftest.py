"""rating with its real database and nobody else: no broker, tokens from an issuer in memory, time where it matters."""

import io
import json
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import structlog
from fastapi import FastAPI
from pydantic import SecretStr
from rating.actions.orders import look_at_due
from rating.consumers import decode_event, take_over
from rating.main import build
from rating.routes import Parts
from rating.settings import RatingSettings
from yijian_common import telemetry
from yijian_common.auth import Post
from yijian_common.crypto import new_key_file
from yijian_common.ids import uuid7
from yijian_common.settings import Environment
from yijian_common.testing import Issuer
from yijian_contracts.cloudevents import decode, encode
from yijian_contracts.events import (
    ApplicationCompleted,
    ApplicationOutcome,
    CompletedParts,
    ErasedParts,
    Event,
    Handling,
    HandlingOutcome,
    Outcome,
    PersonErased,
    RectificationAnswered,
    RectificationParts,
    RectificationRequested,
)
from yijian_embedded.testing import FreshDatabase
from yijian_messaging import Message, Record, Rejected

AUDIENCE = "rating"
CITY = "990100000000"
MEASURES = "已在缴费页面写明到账时间，并增设夜间窗口。"
EVIDENCE = ("窗口值班表",)


def handling(
    department: str = "health", *, matter: str = "B2", promised: int = 120, taken: float = 30, child: int | None = None
) -> Handling:
    """A department's handling that took so many minutes."""
    end = datetime.now(UTC) - timedelta(minutes=1)
    return Handling(
        task_id=uuid4(),
        matter=matter,
        name="出生医学证明签发",
        department=department,
        child=child,
        outcome=HandlingOutcome.GRANTED,
        automatic=True,
        attempts=1,
        promised_minutes=promised,
        requested_at=end - timedelta(minutes=taken),
        ended_at=end,
    )


def completed(subject: str, *handlings: Handling, **changes: Any) -> ApplicationCompleted:
    now = datetime.now(UTC)
    event = ApplicationCompleted(
        application_id=uuid7(),
        life_event="birth",
        outcome=ApplicationOutcome.ALL_GRANTED,
        departments=tuple(sorted({one.department for one in handlings})),
        submitted_at=now - timedelta(hours=1),
        completed_at=now,
        handlings=handlings,
        personal=CompletedParts(applicant=subject),
    )
    return event.model_copy(update=changes)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@dataclass
class Service:
    """The app in memory, over its database; `client` sees it as a caller does."""

    app: FastAPI
    parts: Parts
    client: httpx.AsyncClient
    issuer: Issuer
    log: io.StringIO
    key_file: Path
    offset: int = 0
    seen_row: int = 0
    subjects: dict[str, str] = field(default_factory=dict)

    # --- who calls -----------------------------------------------------------------------------------------------

    def subject(self, name: str) -> str:
        return self.subjects.setdefault(name, str(uuid4()))

    def citizen(self, name: str = "mother") -> dict[str, str]:
        return bearer(self.issuer.citizen(AUDIENCE, subject=self.subject(name)))

    def official(self, role: str, department: str, *, area: str = CITY, name: str = "") -> dict[str, str]:
        post = Post(department, area, (), role)
        return bearer(self.issuer.official(AUDIENCE, post, subject=self.subject(name or f"{role}-{department}")))

    # --- what arrives --------------------------------------------------------------------------------------------

    async def hear(self, *events: Event) -> list[Rejected]:
        """Take over these events in one batch, as the consumer does; those for others are passed over."""
        messages = [message for event in events if (message := self._on_the_wire(event)) is not None]
        async with self.parts.store.transaction() as transaction:
            return await take_over(transaction, messages, carrier=self.parts.carrier)

    def _on_the_wire(self, event: Event) -> Message[Any] | None:
        encoded = encode(event, source="test")
        self.offset += 1
        record = Record(
            topic=encoded.topic,
            partition=0,
            offset=self.offset,
            key=encoded.key.encode(),
            value=encoded.value,
            headers=tuple((name, text.encode()) for name, text in encoded.headers.items()),
            timestamp_ms=0,
        )
        decoded = decode_event(record)
        return decoded and Message(decoded.id, decoded.content, record, decoded.traceparent)

    async def said(self) -> list[RectificationRequested]:
        """What was said since the last time."""
        rows = [row for row in await self.parts.store.unsent(range(16), 10_000) if row.row > self.seen_row]
        self.seen_row = max((row.row for row in rows), default=self.seen_row)
        events = [decode([(n, t.encode()) for n, t in r.message.headers.items()], r.message.value).data for r in rows]
        return [event for event in events if isinstance(event, RectificationRequested)]

    async def answer(self, asked: RectificationRequested, outcome: Outcome = Outcome.APPROVED, **changes: Any) -> Any:
        event = RectificationAnswered(
            order_id=asked.order_id,
            round=asked.round,
            department=asked.department,
            matter=asked.matter,
            outcome=outcome,
            reason="" if outcome is Outcome.APPROVED else "法律规定须本人到场。",
            decided_at=datetime.now(UTC),
            personal=RectificationParts(
                measures=MEASURES if outcome is Outcome.APPROVED else "",
                evidence=EVIDENCE if outcome is Outcome.APPROVED else (),
            ),
        )
        return await self.hear(event.model_copy(update=changes))

    async def erase(self, name: str = "mother") -> None:
        await self.hear(
            PersonErased(
                erasure_id=uuid4(),
                subject=UUID(self.subject(name)),
                erased_at=datetime.now(UTC),
                personal=ErasedParts(refs={}),
            )
        )

    # --- what people do ------------------------------------------------------------------------------------------

    async def invited(self, *handlings: Handling, name: str = "mother") -> list[dict[str, Any]]:
        """An application of this person's is completed; returns the handlings to review, as the person sees them."""
        event = completed(self.subject(name), *(handlings or (handling(),)))
        assert await self.hear(event) == []
        page = (await self.client.get("/v1/invitations", headers=self.citizen(name))).json()
        invitation = next(one for one in page["items"] if one["application_id"] == str(event.application_id))
        found: list[dict[str, Any]] = invitation["handlings"]
        return found

    async def review(self, handling_id: str, *, name: str = "mother", key: str | None = None, **body: Any) -> Any:
        headers = self.citizen(name) | {"Idempotency-Key": key or uuid4().hex}
        content = {"handling": handling_id, "level": "SATISFIED", **body}
        return await self.client.post("/v1/reviews", json=content, headers=headers)

    async def bad_review(self, *handlings: Handling, name: str = "mother", **body: Any) -> RectificationRequested:
        """A bad review that no record speaks against, and what the department is asked."""
        (found, *_) = await self.invited(*handlings, name=name)
        answer = await self.review(found["id"], name=name, **({"level": "DISSATISFIED", "options": ["214"]} | body))
        assert answer.status_code == 201, answer.text
        (asked,) = await self.said()
        return asked

    async def own(self, name: str = "mother") -> list[dict[str, Any]]:
        """Every handling of this person's."""
        page = (await self.client.get("/v1/invitations", headers=self.citizen(name))).json()
        return [one for invitation in page["items"] for one in invitation["handlings"]]

    async def order(self, order_id: UUID | str, who: Mapping[str, str] | None = None) -> dict[str, Any]:
        headers = dict(who or self.official("SUPERVISOR", "taxation"))
        answer = await self.client.get(f"/v1/orders/{order_id}", headers=headers)
        assert answer.status_code == 200, answer.text
        seen: dict[str, Any] = answer.json()
        return seen

    async def call_back(self, order_id: UUID | str, *, satisfied: bool, name: str = "mother") -> httpx.Response:
        return await self.client.post(
            f"/v1/orders/{order_id}/callback", json={"satisfied": satisfied}, headers=self.citizen(name)
        )

    async def time_is(self, at: datetime) -> int:
        """Do what the clock does when it is so late."""
        looked = 0
        while True:
            async with self.parts.store.transaction() as transaction:
                now = await look_at_due(transaction, carrier=self.parts.carrier, at=at)
            looked += now
            if now == 0:
                return looked

    async def rows(self, query: str, *args: Any) -> Sequence[Any]:
        found: Sequence[Any] = await self.parts.pool.fetch(query, *args)
        return found


def settings_of(database_url: str, folder: Path) -> RatingSettings:
    (folder / "keys.json").write_text(new_key_file())
    return RatingSettings(
        service="rating",
        environment=Environment.DEVELOPMENT,
        http_port=0,
        database_url=SecretStr(database_url),
        key_file=folder / "keys.json",
        kafka_bootstrap="127.0.0.1:1",
        kafka_password=SecretStr("nobody listens"),
        identity_issuer=Issuer().url,
        api_pool=8,
    )


@asynccontextmanager
async def serving(settings: RatingSettings) -> AsyncIterator[Service]:
    """What plays the API's part; nothing consumes and nothing is sent."""
    issuer = Issuer()
    async with AsyncExitStack() as stack:
        log = stack.enter_context(_logging_as_in_production(settings))
        app, _ = await build(settings, stack)
        app.state.tokens = await issuer.verifier(AUDIENCE)
        app.state.process.started = True
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        client = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://rating.test", timeout=20)
        )
        yield Service(app, app.state.parts, client, issuer, log, settings.key_file)


@contextmanager
def _logging_as_in_production(settings: RatingSettings) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (list(root.handlers), root.level, structlog.get_config())
    stream = io.StringIO()
    telemetry.configure(settings, stream=stream)
    try:
        yield stream
    finally:
        root.handlers[:], root.level = before[0], before[1]
        structlog.configure(**before[2])


@pytest.fixture
async def service(fresh_database: FreshDatabase, tmp_path: Path) -> AsyncIterator[Service]:
    """A service with a database of its own."""
    async with serving(settings_of(fresh_database("rating"), tmp_path)) as opened:
        yield opened


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
