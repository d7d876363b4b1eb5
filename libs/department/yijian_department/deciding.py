"""One task on its way to an answer: asked of its handler, kept waiting, decided. Each step changes its row."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Generic

import msgspec
from prometheus_client import Counter
from pydantic import BaseModel
from yijian_contracts.events import (
    RECTIFICATION,
    Outcome,
    ReceivedStatus,
    TaskAnswered,
    TaskReceived,
    TaskRequested,
    TaskUnprocessable,
)

from yijian_department.answers import Answer, Decision, Later, needs_person, put_right
from yijian_department.asking import Failed, ask
from yijian_department.batch import Batch
from yijian_department.matters import Definition, Matter, R, UnfitFieldsError
from yijian_department.records import Secrets
from yijian_department.script import Rule, ScriptFile, Verdict
from yijian_department.task import Task
from yijian_department.tasks import Step, StoredTask, TaskState

TASKS = Counter("yijian_department_tasks", "Tasks by what became of them", ["matter", "result"])

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=5)
SCRIPTED_OFFICIAL = "scripted-official"
NOTE_LENGTH = 500

_canonical = msgspec.json.Encoder(order="sorted")


class UndecidedError(Exception):
    """An official's approval gave no answer. The text says why, for the official."""


class Deciding(Generic[R]):
    """What the department does with a task that it holds; everything within the transaction behind `Batch`."""

    def __init__(self, definition: Definition[R], *, records: R, secrets: Secrets, script: ScriptFile) -> None:
        self._definition = definition
        self._records = records
        self._secrets = secrets
        self._script = script

    # --- the program looks -------------------------------------------------------------------------------------------

    async def consider(self, batch: Batch, task: StoredTask, request: TaskRequested, *, happened: bool = False) -> None:
        """Ask the handler; unless a person has to decide, the script says otherwise, or nobody understands the task."""
        batch.change(task)
        rule = self.rule_for(request)
        try:
            matter, fields = self._understand(task, request)
        except UnfitFieldsError as error:
            self._keep(task, request)
            self.give_up(batch, task, str(error))
            return
        if reasons := _reasons_for_a_person(request):
            self._wait(batch, task, request, needs_person("；".join(reasons)))
        elif task.request is None and rule.delay_seconds:
            task.look_again(Step.ASK, batch.instant + rule.delay_seconds)
            self._received(batch, task, request)
        elif task.failures < rule.fail_times:
            self._failed(batch, task, request, Failed("scripted failure"), happened=happened)
        elif rule.program not in (None, Verdict.APPROVE):
            self.take(batch, task, request, rule.answer(rule.program))
        elif request.matter in batch.hung:
            self._put_off(batch, task, request, happened=happened)
        else:
            official = SCRIPTED_OFFICIAL if rule.program is Verdict.APPROVE else None
            answer = await self._ask(matter, request, fields, official=official, happened=happened)
            if isinstance(answer, Failed):
                self._failed(batch, task, request, answer, happened=happened)
            else:
                self.take(batch, task, request, answer)

    def rule_for(self, request: TaskRequested) -> Rule:
        return self._script.script.rule_for(request)

    def _understand(self, task: StoredTask, request: TaskRequested) -> tuple[Matter[R], BaseModel]:
        matter = self._definition.find(request.matter, request.mode)
        if matter is None:
            raise UnfitFieldsError(f"no handler for matter {request.matter} in mode {request.mode}")
        task.area = matter.area(request.personal.fields)
        return matter, matter.parse(request.personal.fields)

    async def _ask(
        self, matter: Matter[R], request: TaskRequested, fields: BaseModel, *, official: str | None, happened: bool
    ) -> Answer | Failed:
        task = Task(
            id=request.task_id,
            application_id=request.application_id,
            matter=request.matter,
            child=request.child,
            attempt=request.attempt,
            requested_at=request.requested_at,
            due_at=request.due_at,
            fields=fields,
            official=official,
            happened=happened,
        )
        return await ask(matter, task, self._records)

    # --- it cannot be decided now ------------------------------------------------------------------------------------

    def take(
        self, batch: Batch, task: StoredTask, request: TaskRequested, answer: Answer, *, official: str | None = None
    ) -> None:
        """Do what an answer says: decide the task, or keep it."""
        batch.change(task)
        if isinstance(answer, Decision):
            self.decide(batch, task, answer, official=official)
        else:
            self._wait(batch, task, request, answer)

    def _wait(self, batch: Batch, task: StoredTask, request: TaskRequested, later: Later) -> None:
        """Keep the task for a person or for somebody outside, and see to it that it is looked at again."""
        is_news = task.request is None or task.state is not TaskState(later.status)
        task.state = TaskState(later.status)
        task.note = later.reason
        task.failures = 0
        if later.look_again is not None:
            task.look_again(Step.ASK, batch.instant + later.look_again.total_seconds())
        self.follow_script(task, self.rule_for(request), since=batch.instant)
        if is_news:
            self._received(batch, task, request)

    def follow_script(self, task: StoredTask, rule: Rule, *, since: float) -> None:
        """Set the time at which the scripted official or payer acts, if the rule has one for a task that waits so."""
        if task.state is TaskState.IN_REVIEW and rule.person is not None:
            task.look_again(Step.PERSON, since + rule.person_after_seconds)
        elif task.state is TaskState.SUSPENDED and rule.pay_after_seconds is not None:
            task.look_again(Step.HAPPENED, since + rule.pay_after_seconds)

    def _received(self, batch: Batch, task: StoredTask, request: TaskRequested) -> None:
        self._keep(task, request)
        task.changed_at = batch.instant
        batch.say(self.received_event(task, batch.now), traceparent=task.traceparent)
        TASKS.labels(task.matter, task.state).inc()

    def _put_off(self, batch: Batch, task: StoredTask, request: TaskRequested, *, happened: bool) -> None:
        """Ask later; it counts as no failure, since this task was not asked about."""
        is_new = task.request is None
        task.look_again(Step.HAPPENED if happened else Step.ASK, batch.instant + FIRST_PAUSE.total_seconds())
        if is_new:
            self._received(batch, task, request)

    def _failed(
        self, batch: Batch, task: StoredTask, request: TaskRequested, failed: Failed, *, happened: bool
    ) -> None:
        """Try again later, a bounded number of times."""
        if failed.hung:
            batch.hung.add(request.matter)
        is_new = task.request is None
        task.failures += 1
        TASKS.labels(task.matter, "FAILED").inc()
        if task.failures >= self._definition.tries:
            self._keep(task, request)
            self.give_up(batch, task, failed.error)
            return
        pause = min(FIRST_PAUSE * 2 ** (task.failures - 1), LONGEST_PAUSE)
        task.look_again(Step.HAPPENED if happened else Step.ASK, batch.instant + pause.total_seconds())
        if is_new:
            self._received(batch, task, request)

    def give_up(self, batch: Batch, task: StoredTask, error: str) -> None:
        """The program cannot process this task: it stays here for a repair, and approval is told."""
        task.state = TaskState.UNPROCESSABLE
        task.note = error[:NOTE_LENGTH]
        task.changed_at = batch.instant
        task.step = task.next_look_at = None
        batch.change(task)
        batch.say(self.unprocessable_event(task, batch.now), traceparent=task.traceparent)
        TASKS.labels(task.matter, task.state).inc()

    def retry(self, batch: Batch, task: StoredTask, request: TaskRequested) -> None:
        """Have the program look once more at a task that it gave up."""
        task.state = TaskState.ACCEPTED
        task.note = ""
        task.failures = 0
        task.look_again(Step.ASK, batch.instant)
        batch.change(task)
        self._received(batch, task, request)

    # --- it is decided -----------------------------------------------------------------------------------------------

    def decide(self, batch: Batch, task: StoredTask, decision: Decision, *, official: str | None) -> None:
        """Answer the task for ever."""
        answered = TaskAnswered.model_validate(
            {
                **self._about(task),
                "outcome": decision.outcome,
                "reason": decision.reason,
                "corrections": decision.corrections,
                "decided_by": official,
                "decided_at": batch.now,
                "personal": decision.parts,
            }
        )
        encoded = batch.say(answered, traceparent=task.traceparent)
        task.note = ""
        task.finish(TaskState.ANSWERED, batch.instant)
        task.reply = self._secrets.seal(encoded.value)
        batch.change(task)
        TASKS.labels(task.matter, decision.outcome).inc()

    def scripted(self, request: TaskRequested) -> Answer | None:
        """What the scripted official says about a task; None for an approval that the handler is asked for."""
        rule = self.rule_for(request)
        if rule.person is None or (rule.person is Verdict.APPROVE and request.matter != RECTIFICATION):
            return None
        if rule.person is Verdict.APPROVE:
            return put_right(rule.measures, rule.evidence)
        return rule.answer(rule.person)

    async def approve(self, batch: Batch, task: StoredTask, request: TaskRequested, *, official: str) -> None:
        """An official approves: the handler produces what that gives. Raises `UndecidedError` when it does not."""
        try:
            matter, fields = self._understand(task, request)
        except UnfitFieldsError as error:
            raise UndecidedError(str(error)) from None
        answer = await self._ask(matter, request, fields, official=official, happened=False)
        match answer:
            case Decision(outcome=Outcome.APPROVED | Outcome.PROVEN):
                self.decide(batch, task, answer, official=official)
            case Decision() | Later():
                raise UndecidedError(answer.reason)
            case Failed():
                raise UndecidedError(answer.error)

    # --- what is kept and said ---------------------------------------------------------------------------------------

    def request_of(self, task: StoredTask) -> TaskRequested:
        """The request of a task that waits."""
        if task.request is None:
            raise ValueError("the request of a decided task is not kept")
        return TaskRequested.model_validate_json(self._secrets.open(task.request))

    def answer_of(self, task: StoredTask) -> TaskAnswered:
        """The recorded answer of a decided task."""
        if task.reply is None:
            raise ValueError("this task has no answer")
        return TaskAnswered.model_validate_json(self._secrets.open(task.reply))

    def digest(self, request: TaskRequested) -> bytes:
        """Tells whether a request that comes again asks the same."""
        content = (
            request.matter,
            request.child,
            request.attempt,
            request.mode,
            request.needs_person,
            request.personal.fields,
        )
        return self._secrets.keyed_hash(_canonical.encode(content).decode())

    def received_event(self, task: StoredTask, at: datetime) -> TaskReceived:
        status = ReceivedStatus(task.state)
        return TaskReceived.model_validate(
            {**self._about(task), "status": status, "note": task.note, "received_at": at}
        )

    def unprocessable_event(self, task: StoredTask, at: datetime) -> TaskUnprocessable:
        return TaskUnprocessable.model_validate({**self._about(task), "error": task.note, "failed_at": at})

    def _about(self, task: StoredTask) -> Mapping[str, Any]:
        return {
            "application_id": task.application_id,
            "department": self._definition.code,
            "task_id": task.task_id,
            "matter": task.matter,
        }

    def _keep(self, task: StoredTask, request: TaskRequested) -> None:
        if task.request is None:
            task.request = self._secrets.seal(request.model_dump_json().encode())


def _reasons_for_a_person(request: TaskRequested) -> tuple[str, ...]:
    """Why no program may decide this; a rectification is never a program's, whatever the request says."""
    if request.matter == RECTIFICATION:
        return request.needs_person or ("差评整改须由工作人员办理",)
    return request.needs_person
