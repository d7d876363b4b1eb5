"""What comes in about a task, and what becomes due.

Invariant: a task id has one effect for ever. Whatever comes again, comes late, or comes in another order finds the row
of that id and changes nothing that was decided.
"""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Generic

from yijian_contracts.events import TaskCancelled, TaskRequested
from yijian_messaging.record import Message
from yijian_messaging.store import Transaction

from yijian_department.answers import Decision
from yijian_department.batch import Batch, Clock, utc_now
from yijian_department.deciding import SCRIPTED_OFFICIAL, TASKS, Deciding, UndecidedError
from yijian_department.matters import Definition, R
from yijian_department.records import Secrets
from yijian_department.script import ScriptFile, Verdict
from yijian_department.tasks import Step, StoredTask, TaskState, due_tasks, next_due, open_tasks

LOOK_LIMIT = 500

TaskMessage = TaskRequested | TaskCancelled
Tx = Transaction[sqlite3.Connection]


class Handling(Generic[R]):
    """The consumer's and the scheduler's way to the tasks. `on_due` is called when something may be due earlier."""

    def __init__(
        self,
        definition: Definition[R],
        *,
        records: R,
        secrets: Secrets,
        script: ScriptFile,
        clock: Clock = utc_now,
    ) -> None:
        self._definition = definition
        self._script = script
        self._followed = 0  # the version of the script that waiting tasks follow
        self._clock = clock
        self.deciding = Deciding(definition, records=records, secrets=secrets, script=script)
        self.on_due: Callable[[], None] = lambda: None

    def open_batch(self, tx: Tx) -> Batch:
        return Batch(tx, source=self._definition.entry.principal, now=self._clock())

    async def close_batch(self, batch: Batch) -> None:
        await batch.write()
        if batch.has_due:
            self.on_due()

    # --- from Kafka --------------------------------------------------------------------------------------------------

    async def receive(self, tx: Tx, messages: Sequence[Message[TaskMessage]]) -> None:
        """Handle a batch of requests and cancellations in the order in which they came."""
        self._script.refresh()
        batch = self.open_batch(tx)
        task_ids = [str(message.content.task_id) for message in messages]
        batch.read(task_ids)
        for task_id, message in zip(task_ids, messages, strict=True):
            match message.content:
                case TaskRequested() as request:
                    await self._requested(batch, task_id, request, message.traceparent)
                case TaskCancelled() as cancelled:
                    self._cancelled(batch, task_id, cancelled)
        await self.close_batch(batch)

    async def _requested(self, batch: Batch, task_id: str, request: TaskRequested, traceparent: str | None) -> None:
        digest = self.deciding.digest(request)
        task = batch.find(task_id)
        if task is None:
            task = StoredTask(
                task_id=task_id,
                application_id=str(request.application_id),
                matter=request.matter,
                state=TaskState.ACCEPTED,
                changed_at=batch.instant,
                digest=digest,
                traceparent=traceparent,
            )
            await self.deciding.consider(batch, task, request)
        elif task.digest is None:  # it was cancelled before it came
            task.digest = digest
            batch.change(task)
        elif task.digest == digest:
            self._repeat(batch, task, traceparent)
        else:
            summary = f"a task of matter {task.matter} was requested again with other content; nothing was changed"
            await batch.incident("task-content-changed", task_id, summary)

    def _repeat(self, batch: Batch, task: StoredTask, traceparent: str | None) -> None:
        """Say again what was said last, under the same event id."""
        since = datetime.fromtimestamp(task.changed_at, UTC)
        match task.state:
            case TaskState.ANSWERED:
                answered = self.deciding.answer_of(task)
                batch.say(answered, traceparent=traceparent, at=answered.decided_at)
            case TaskState.UNPROCESSABLE:
                batch.say(self.deciding.unprocessable_event(task, since), traceparent=traceparent, at=since)
            case TaskState.ACCEPTED | TaskState.IN_REVIEW | TaskState.SUSPENDED:
                batch.say(self.deciding.received_event(task, since), traceparent=traceparent, at=since)
            case TaskState.CANCELLED:
                pass

    def _cancelled(self, batch: Batch, task_id: str, cancelled: TaskCancelled) -> None:
        """Whether the request came before or comes after: no handler decides this task any more."""
        task = batch.find(task_id) or StoredTask(
            task_id=task_id,
            application_id=str(cancelled.application_id),
            matter=cancelled.matter,
            state=TaskState.ACCEPTED,
            changed_at=batch.instant,
        )
        if not task.is_final:
            task.finish(TaskState.CANCELLED, batch.instant)
            batch.change(task)
            TASKS.labels(task.matter, task.state).inc()

    # --- what is due -------------------------------------------------------------------------------------------------

    async def look_again(self, tx: Tx) -> float | None:
        """Do what is due; returns in how many seconds something more will be, or None when nothing waits for a time."""
        batch = self.open_batch(tx)
        self._script.refresh()
        if self._followed != self._script.version:
            self._followed = self._script.version
            self._reschedule(batch)
            await batch.write()
        for task in due_tasks(batch.db, batch.instant, LOOK_LIMIT):
            await self._take_step(batch, task)
        await batch.write()
        due = next_due(batch.db)
        return None if due is None else max(due - batch.instant, 0)

    async def _take_step(self, batch: Batch, task: StoredTask) -> None:
        step, task.step, task.next_look_at = task.step, None, None
        batch.change(task)
        try:
            request = self.deciding.request_of(task)
        except Exception as error:  # noqa: BLE001 - what cannot be opened must not hold up the others
            self.deciding.give_up(batch, task, f"the stored request cannot be opened: {type(error).__name__}")
            return
        if step is Step.PERSON:
            await self._scripted_person(batch, task, request)
        else:
            await self.deciding.consider(batch, task, request, happened=step is Step.HAPPENED)

    async def _scripted_person(self, batch: Batch, task: StoredTask, request: TaskRequested) -> None:
        answer = self.deciding.scripted(request)
        if isinstance(answer, Decision):
            self.deciding.decide(batch, task, answer, official=SCRIPTED_OFFICIAL)
        elif answer is None and self.deciding.rule_for(request).person is Verdict.APPROVE:
            try:
                await self.deciding.approve(batch, task, request, official=SCRIPTED_OFFICIAL)
            except UndecidedError as error:
                task.note = f"按脚本批准未成：{error}"[:500]

    def _reschedule(self, batch: Batch) -> None:
        """At the start, and when the script changed: tasks that wait follow the rules that hold now."""
        for task in open_tasks(batch.db) if self._script.script.rule else ():
            rule = self.deciding.rule_for(self.deciding.request_of(task))
            if task.state is TaskState.ACCEPTED and not task.failures:
                task.look_again(Step.ASK, task.changed_at + rule.delay_seconds)
            self.deciding.follow_script(task, rule, since=task.changed_at)
            batch.change(task)
