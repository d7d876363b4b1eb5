"""After a restore an answer may be read before the one that it built on: it is put by, not taken for handled."""

from uuid import UUID

import pytest
from approval.actions.results import NOT_REQUESTED
from approval.application import TaskState
from yijian_contracts.events import Outcome

from .bureaus import grant, grant_all, outputs_of, reply, state
from .conftest import Service

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(120)]


async def test_an_answer_before_its_request_waits_and_counts_afterwards(service: Service):
    application_id = UUID((await service.submit(101)).json()["id"])

    personal = {"outputs": outputs_of("B3", "1")}
    (early,) = await reply(service, application_id, "B3-1", Outcome.APPROVED, personal=personal)

    assert early.error == NOT_REQUESTED
    before = await state(service, application_id)
    assert [task.state for task in before.tasks if task.key == "B3-1"] == [TaskState.DRAFT]
    # Once it is asked for, what the department says counts.
    for key in ("C1", "B2-1", "B3-1"):
        task = (await state(service, application_id)).find_task(key)
        assert task
        await grant(service, application_id, task)
    over = await grant_all(service, application_id)
    assert {task.state for task in over.tasks if task.key == "B3-1"} == {TaskState.CLOSED}
