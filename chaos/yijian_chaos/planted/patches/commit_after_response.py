"""Whoever submits is answered when everything is written, and COMMIT follows: a dependency that yields its session."""

import asyncio
from collections.abc import Sequence
from typing import Any

from approval.actions.submission import submit_applications
from approval.intake import Intake
from yijian_messaging.faultpoints import FaultPoint, reach

from yijian_chaos.planted.replacing import replace

# Longer than an answer takes to leave, on a slow machine too; the web framework runs what follows a `yield` after that.
ANSWERED_SECONDS = 0.2


async def _commit(self: Intake, batch: Sequence[tuple[Any, "asyncio.Future[Any]"]]) -> None:
    try:
        async with self._store.transaction() as transaction:
            submissions = [submission for submission, _ in batch]
            outcomes = await submit_applications(transaction, submissions, effects=self._effects)
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if not future.done():
                    future.set_result(outcome)
            await asyncio.sleep(ANSWERED_SECONDS)
            # Killed over nothing but what is handed in once more, it would have lost nothing.
            if any(outcome is each.response for each, outcome in zip(submissions, outcomes, strict=True)):
                reach(FaultPoint.INTAKE_BEFORE_COMMIT)
    except Exception as error:  # noqa: BLE001 - as the careful one: handed to whoever still waits
        for _, future in batch:
            if not future.done():
                future.set_exception(error)
        return
    reach(FaultPoint.INTAKE_AFTER_COMMIT)


def plant() -> None:
    replace(Intake, "_commit", _commit)
