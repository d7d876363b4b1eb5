"""A test kit: a department over a real store in a temporary folder, with time in the test's hand and no Kafka.

with TestDepartment(department, records=[...]) as bureau:
    answer = bureau.give(sample_task("B2", {"mother_id_no": "…"}))
    assert answer.outcome is Outcome.APPROVED
"""

import asyncio
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self
from uuid import UUID, uuid4

import httpx
from pydantic import JsonValue
from yijian_common.auth import Kind, Post
from yijian_common.crypto import Keyring, new_key_file
from yijian_common.settings import Environment, ProcessSettings
from yijian_common.testing import Issuer
from yijian_contracts import derived_ids
from yijian_contracts.cloudevents import decode, encode
from yijian_contracts.events import (
    RECTIFICATION,
    Event,
    TaskAnswered,
    TaskCancelled,
    TaskFields,
    TaskMode,
    TaskReceived,
    TaskRequested,
    TaskUnprocessable,
)
from yijian_messaging.record import Message, Record
from yijian_messaging.store import SHARDS, Incident

from yijian_department.answers import Answer
from yijian_department.department import Department
from yijian_department.handling import TaskMessage
from yijian_department.matters import R
from yijian_department.office import Office
from yijian_department.process import build_app, decode_task
from yijian_department.script import Script, ScriptFile
from yijian_department.tasks import StoredTask, find_task

Result = TaskAnswered | TaskReceived | TaskUnprocessable

NOON = datetime(2026, 11, 20, 4, tzinfo=UTC)
CITY = "990100000000"
ANY_DEPARTMENT = "health"


def sample_task(
    matter: str,
    fields: Mapping[str, JsonValue],
    *,
    application_id: UUID | None = None,
    child: int | None = None,
    attempt: int = 1,
    mode: TaskMode = TaskMode.DECIDE,
    needs_person: Sequence[str] = (),
) -> TaskRequested:
    """A request as approval sends it, with its derived id; `TestDepartment.give` addresses it to its own department."""
    application = application_id or uuid4()
    return TaskRequested(
        application_id=application,
        department=ANY_DEPARTMENT,
        task_id=derived_ids.task_id(application, child=child, matter=matter, attempt=attempt),
        matter=matter,
        life_event="birth",
        child=child,
        attempt=attempt,
        mode=mode,
        needs_person=tuple(needs_person),
        requested_at=NOON,
        due_at=NOON + timedelta(hours=2),
        personal=TaskFields(fields=dict(fields)),
    )


def sample_rectification(
    *,
    order_id: UUID | None = None,
    attempt: int = 1,
    matter: str = "B2",
    matter_name: str = "出生医学证明签发",
    level: int = 2,
    options: Sequence[str] = ("未在承诺时间内办结",),
    comment: str = "等了很久，没有人告诉我们进度。",
) -> TaskRequested:
    """A bad review to put right, as approval asks for it: its `application_id` is the order's id."""
    order = order_id or uuid4()
    task = sample_task(
        RECTIFICATION,
        {
            "order_id": str(order),
            "matter": matter,
            "matter_name": matter_name,
            "level": level,
            "options": list(options),
            "touch_points": [],
            "comment": comment,
        },
        application_id=order,
        attempt=attempt,
        needs_person=("差评整改须由工作人员办理",),
    )
    return task.model_copy(update={"life_event": "rectification"})


def cancellation(task: TaskRequested, reason: str = "申请人已撤回") -> TaskCancelled:
    """The event that takes `task` back."""
    return TaskCancelled(
        application_id=task.application_id,
        department=task.department,
        task_id=task.task_id,
        matter=task.matter,
        reason=reason,
        cancelled_at=task.requested_at,
    )


class TestDepartment(Generic[R]):
    """A department at work in a test. Use it as a context manager, outside a running event loop."""

    __test__ = False  # for pytest: the name says what it is for, not what it is

    def __init__(
        self,
        department: Department[R],
        *,
        records: Iterable[Mapping[str, Any]] = (),
        script: Script | None = None,
        now: datetime = NOON,
    ) -> None:
        self.now = now
        self.department = department
        self._definition = department.definition
        self._given_records = list(records)
        self._script = script
        self._issuer = Issuer()
        self._seen_row = 0
        self._offset = 0

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="yijian-department-")
        self.folder = Path(self._folder.name)
        (self.folder / "keys.json").write_text(new_key_file(), encoding="utf-8")
        self._runner = asyncio.Runner()
        self.office = self._runner.run(self._open())
        if self._given_records:
            self.load_records(self._given_records)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self.office.close())
        self._runner.close()
        self._folder.cleanup()

    async def _open(self) -> Office[R]:
        if self._script is not None:
            self.write_script(self._script)
        office = await Office.open(
            self._definition,
            database=self.folder / "department.db",
            keyring=Keyring.load(self.folder / "keys.json"),
            script=ScriptFile(self.folder / "script.json", fallback=self._definition.script),
            clock=lambda: self.now,
        )
        self.department.at_work(office)
        return office

    def restart(self) -> None:
        """End the process and start it again over the same store."""
        self._runner.run(self.office.close())
        self.office = self._runner.run(self._open())

    def load_records(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Take over records through a records file, as at the start of a process."""
        path = self.folder / f"records-{uuid4()}.jsonl"
        lines = [json.dumps(record, ensure_ascii=False, default=str) for record in records]
        path.write_text("\n".join(lines), encoding="utf-8")
        self._runner.run(self.office.load_records(path))

    def write_script(self, script: Script) -> None:
        """Replace the script; it counts from the next task or passing of time on."""
        path = self.folder / "script.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(script.model_dump_json(), encoding="utf-8")
        fresh.replace(path)
        self._script = None

    # --- tasks -------------------------------------------------------------------------------------------------------

    def give(self, *messages: TaskMessage) -> Result | None:
        """Deliver these in one batch; returns what the department says last, or None when it says nothing."""
        said = self.give_all(messages)
        return said[-1] if said else None

    def give_all(self, messages: Iterable[TaskMessage]) -> list[Result]:
        """Deliver these in one batch; returns everything that the department says."""
        self._runner.run(self._give([self._on_the_wire(message) for message in messages]))
        return self._said()

    def _on_the_wire(self, message: TaskMessage) -> Message[TaskMessage]:
        addressed = message.model_copy(update={"department": self._definition.code})
        encoded = encode(addressed, source="approval")
        self._offset += 1
        record = Record(
            topic=encoded.topic,
            partition=0,
            offset=self._offset,
            key=encoded.key.encode(),
            value=encoded.value,
            headers=tuple((name, text.encode()) for name, text in encoded.headers.items()),
            timestamp_ms=0,
        )
        decoded = decode_task(self._definition.code, record)
        return Message(decoded.id, decoded.content, record, decoded.traceparent)

    async def _give(self, messages: Sequence[Message[TaskMessage]]) -> None:
        async with self.office.store.transaction() as tx:
            await self.office.handling.receive(tx, messages)

    def pass_time(self, seconds: float = 0) -> list[Result]:
        """Let time pass and do all that became due; returns everything that the department says meanwhile."""
        self.now += timedelta(seconds=seconds)
        due = self._runner.run(self._look())
        while due == 0:
            due = self._runner.run(self._look())
        return self._said()

    async def _look(self) -> float | None:
        async with self.office.store.transaction() as tx:
            return await self.office.handling.look_again(tx)

    def happened(self, task: TaskRequested) -> list[Result]:
        """What `task` waits for is there."""
        self._runner.run(self.department.happened(task.task_id))
        return self.pass_time()

    def answer(self, task: TaskRequested, answer: Answer) -> Result:
        """The bureau answers `task` later, from its own program."""
        self._runner.run(self.department.answer(task.task_id, answer))
        return self._said()[-1]

    def stored(self, task: TaskRequested) -> StoredTask | None:
        """The department's own row about `task`."""
        return self._runner.run(self._stored(str(task.task_id)))

    async def _stored(self, task_id: str) -> StoredTask | None:
        async with self.office.store.transaction() as tx:
            return find_task(tx.connection, task_id)

    def incidents(self) -> list[Incident]:
        return self._runner.run(self.office.store.incidents())

    def _said(self) -> list[Result]:
        unsent = self._runner.run(self.office.store.unsent(range(SHARDS), 1_000_000))
        fresh = [row for row in unsent if row.row > self._seen_row]
        self._seen_row = max((row.row for row in fresh), default=self._seen_row)
        return [
            _result(decode([(n, t.encode()) for n, t in m.message.headers.items()], m.message.value).data)
            for m in fresh
        ]

    # --- the desk ----------------------------------------------------------------------------------------------------

    def desk(  # noqa: PLR0913 - who asks has that many sides
        self,
        method: str,
        path: str,
        *,
        matters: Sequence[str] = (),
        area: str = CITY,
        department: str | None = None,
        kind: Kind = Kind.OFFICIAL,
        role: str = "clerk",
        token: str | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        """Ask the desk as an official of this department (or as somebody else) with a post for `matters` in `area`."""
        service = self._definition.entry.principal
        post = Post(department or self._definition.code, area, tuple(matters), role)
        claims = {"department": post.department, "area": post.area, "matters": list(post.matters), "role": post.role}
        default = self._issuer.token(
            service, kind, sub="official-1", **({"post": claims} if kind is Kind.OFFICIAL else {})
        )
        return self._runner.run(self._request(method, path, token if token is not None else default, body))

    async def _request(self, method: str, path: str, token: str, body: Mapping[str, Any] | None) -> httpx.Response:
        service = self._definition.entry.principal
        settings = ProcessSettings(service=service, http_port=0, environment=Environment.DEVELOPMENT)
        app = build_app(self.office, settings, await self._issuer.verifier(service))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://desk") as client:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return await client.request(method, path, json=body, headers=headers)


def _result(event: Event) -> Result:
    if not isinstance(event, TaskAnswered | TaskReceived | TaskUnprocessable):
        raise TypeError(f"a department does not say {event.full_type()}")
    return event
