"""A department's answer counts whenever it comes."""

from datetime import datetime

import msgspec
from approval import engine
from approval.application import Application, ApplicationStatus, TaskState
from approval.steps import Step
from yijian_contracts.events import TaskAnswered

from yijian_chaos.planted.replacing import replace


def plant() -> None:
    answer = engine.answer

    def answer_whenever(application: Application, event: TaskAnswered, *, digest: str, at: datetime) -> Step:
        for task in application.tasks:
            unanswered = task.terminal and task.attempt > len(task.digests)
            if unanswered and engine.task_id(application, task) == event.task_id:
                reopened = msgspec.structs.replace(task, state=TaskState.IN_REVIEW, ended_at=None)
                application = msgspec.structs.replace(
                    application.with_task(reopened), status=ApplicationStatus.IN_PROGRESS, completed_at=None
                )
        return answer(application, event, digest=digest, at=at)

    replace(engine, "answer", answer_whenever)
