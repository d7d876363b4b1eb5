"""A department at work: its store, its records and the ways to its tasks. A process opens one, and so does a test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic
from uuid import UUID

import structlog
from yijian_common.crypto import Keyring
from yijian_contracts.events import RECTIFICATION, Outcome, TaskAnswered, TaskRequested
from yijian_messaging.sqlite import SqliteStore

from yijian_department import records, tasks
from yijian_department.answers import Answer, Decision
from yijian_department.batch import Batch, Clock, utc_now
from yijian_department.deciding import UndecidedError
from yijian_department.handling import Handling
from yijian_department.matters import Definition, R
from yijian_department.rectification import misfit
from yijian_department.scheduler import Scheduler
from yijian_department.script import ScriptFile
from yijian_department.secrets import StoreSecrets
from yijian_department.tasks import DeskAction, Official, Step, StoredTask, TaskState, record_action

log = structlog.get_logger(__name__)


_ACTIONS = {
    Outcome.APPROVED: DeskAction.APPROVED,
    Outcome.PROVEN: DeskAction.APPROVED,
    Outcome.REJECTED: DeskAction.REJECTED,
    Outcome.NOT_ACCEPTED: DeskAction.REJECTED,
    Outcome.RETURNED: DeskAction.RETURNED,
}


class UnknownTaskError(LookupError):
    """The department has no task of this id."""


class TaskClosedError(Exception):
    """The task was decided otherwise, or cancelled."""

    def __init__(self, task: StoredTask) -> None:
        super().__init__(f"the task is {task.state}")
        self.task = task


@dataclass(frozen=True)
class Office(Generic[R]):
    """Everything that acts on the tasks of one department, over one store."""

    definition: Definition[R]
    store: SqliteStore
    records: R
    handling: Handling[R]
    scheduler: Scheduler

    @classmethod
    async def open(
        cls,
        definition: Definition[R],
        *,
        database: Path,
        keyring: Keyring,
        script: ScriptFile | None = None,
        clock: Clock = utc_now,
    ) -> "Office[R]":
        """Open or create the department's store. Without a script nothing happens but what people do."""
        secrets = StoreSecrets(keyring)
        schema = tasks.SCHEMA + records.SCHEMA + definition.records.SCHEMA
        store = await SqliteStore.open(database, sealer=secrets, schema=schema)
        async with store.transaction() as tx:
            own_records = definition.records(tx.connection, secrets)
        script = script or ScriptFile()
        script.refresh()
        handling = Handling(definition, records=own_records, secrets=secrets, script=script, clock=clock)
        scheduler = Scheduler(store, handling)
        handling.on_due = scheduler.wake
        return cls(definition, store, own_records, handling, scheduler)

    async def load_records(self, path: Path) -> None:
        """Take over a records file, once for each content. Raises `ValueError` for a file that is not understood."""
        digest = records.file_digest(path)
        async with self.store.transaction() as tx:
            if records.is_loaded(tx.connection, digest):
                return
        count = 0
        for batch in records.read_batches(path):
            async with self.store.transaction():
                self.records.load(batch)
            count += len(batch)
        async with self.store.transaction() as tx:
            records.note_loaded(tx.connection, digest)
        log.info("records loaded", department=self.definition.code, count=count)

    async def answer(self, task_id: UUID, answer: Answer, *, official: Official | None = None) -> TaskAnswered | None:
        """Answer a task that waits; the same decision again gives the recorded answer, `Later` gives none.

        Raises `UnknownTaskError`, `TaskClosedError` when the task was decided otherwise or cancelled, or
        `UndecidedError` for an answer that a rectification cannot have.
        """
        deciding = self.handling.deciding
        async with self.change(task_id) as (batch, task):
            if task.matter == RECTIFICATION and (wrong := misfit(answer)) is not None:
                raise UndecidedError(wrong)
            if task.is_final:
                return self._recorded(task, answer)
            post = official.post if official else None
            deciding.take(batch, task, deciding.request_of(task), answer, official=post)
            if official is not None and isinstance(answer, Decision):
                _record(batch, task, official, _ACTIONS[answer.outcome])
            return deciding.answer_of(task) if task.state is TaskState.ANSWERED else None

    async def approve(self, task_id: UUID, *, official: Official) -> TaskAnswered:
        """An official approves: the matter's handler produces what that gives.

        Raises like `answer`, and `UndecidedError` when the handler cannot.
        """
        deciding = self.handling.deciding
        async with self.change(task_id) as (batch, task):
            if not task.is_final:
                await deciding.approve(batch, task, deciding.request_of(task), official=official.post)
                _record(batch, task, official, DeskAction.APPROVED)
            elif not self._was_granted(task):
                raise TaskClosedError(task)
            return deciding.answer_of(task)

    async def retry(self, task_id: UUID, *, official: Official) -> None:
        """Have the program look once more at a task that it could not process."""
        deciding = self.handling.deciding
        async with self.change(task_id) as (batch, task):
            if task.state is not TaskState.UNPROCESSABLE:
                raise TaskClosedError(task)
            deciding.retry(batch, task, deciding.request_of(task))
            _record(batch, task, official, DeskAction.RETRIED)

    async def look(self, task_id: UUID, action: DeskAction, *, official: Official) -> tuple[StoredTask, TaskRequested]:
        """A task that waits and its request, for an official to see; the look is recorded."""
        async with self.change(task_id) as (batch, task):
            if task.is_final:
                raise TaskClosedError(task)
            _record(batch, task, official, action)
            return task, self.handling.deciding.request_of(task)

    def _was_granted(self, task: StoredTask) -> bool:
        granted = (Outcome.APPROVED, Outcome.PROVEN)
        return task.state is TaskState.ANSWERED and self.handling.deciding.answer_of(task).outcome in granted

    def _recorded(self, task: StoredTask, answer: Answer) -> TaskAnswered:
        """The recorded answer of a decided task, if `answer` decides the same."""
        if task.state is not TaskState.ANSWERED or not isinstance(answer, Decision):
            raise TaskClosedError(task)
        recorded = self.handling.deciding.answer_of(task)
        if (recorded.outcome, recorded.reason, recorded.corrections) != (
            answer.outcome,
            answer.reason,
            answer.corrections,
        ):
            raise TaskClosedError(task)
        if task.matter == RECTIFICATION and recorded.personal != answer.parts:
            raise TaskClosedError(task)
        return recorded

    async def happened(self, task_id: UUID) -> None:
        """What a suspended task waits for is there: its handler is asked again, now with `task.happened`."""
        async with self.change(task_id) as (batch, task):
            if task.state is not TaskState.SUSPENDED:
                raise TaskClosedError(task)
            task.look_again(Step.HAPPENED, batch.instant)
            batch.change(task)

    @asynccontextmanager
    async def change(self, task_id: UUID) -> AsyncIterator[tuple[Batch, StoredTask]]:
        """A transaction about one known task; what the batch holds is written on leaving."""
        async with self.store.transaction() as tx:
            batch = self.handling.open_batch(tx)
            batch.read([str(task_id)])
            task = batch.find(str(task_id))
            if task is None:
                raise UnknownTaskError(str(task_id))
            yield batch, task
            await self.handling.close_batch(batch)

    async def close(self) -> None:
        await self.store.close()


def _record(batch: Batch, task: StoredTask, official: Official, action: DeskAction) -> None:
    record_action(batch.db, task.task_id, official, action, at=batch.instant)
