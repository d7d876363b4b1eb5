"""Group commit: whoever submits while a transaction is under way shares the next one.

One application alone waits for nobody. Under load a transaction carries as many as arrived during the last one, so
that the cost of a commit is shared. How many may wait is decided where requests are let in (`yijian_common.admission`).
"""

import asyncio
from collections.abc import Sequence

import structlog
from yijian_common.database import Connection
from yijian_common.errors import ServiceUnavailable
from yijian_messaging import Store
from yijian_messaging.faultpoints import FaultPoint, reach

from approval.actions.submission import Outcome, Submission, submit_applications
from approval.effects import Effects

log = structlog.get_logger(__name__)

BATCH = 64
PATIENCE_SECONDS = 3.0

_Waiting = tuple[Submission, "asyncio.Future[Outcome]"]


class Intake:
    """A component; `submit` returns after COMMIT."""

    name = "intake"

    def __init__(self, store: Store[Connection], effects: Effects, *, batch: int = BATCH) -> None:
        self._store = store
        self._effects = effects
        self._batch = batch
        self._waiting: list[_Waiting] = []
        self._arrived = asyncio.Event()

    def problem(self) -> str | None:
        return None

    async def submit(self, submission: Submission) -> Outcome:
        """The outcome of a submission: the answer to give, or the refusal.

        Raises `ServiceUnavailable` when the database takes too long: then the submission was taken back, or its
        outcome is not known yet and the same key will find it.
        """
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((submission, future))
        self._arrived.set()
        done, _ = await asyncio.wait((future,), timeout=PATIENCE_SECONDS)
        if not done:
            self._waiting = [each for each in self._waiting if each[1] is not future]
            future.cancel()
            raise ServiceUnavailable
        return future.result()

    async def run(self, stopping: asyncio.Event) -> None:
        # HTTP drains before components stop, so nobody is left waiting here.
        stopped = asyncio.create_task(stopping.wait())
        try:
            while not stopping.is_set() or self._waiting:
                self._arrived.clear()
                if not self._waiting:
                    arrived = asyncio.create_task(self._arrived.wait())
                    await asyncio.wait((stopped, arrived), return_when=asyncio.FIRST_COMPLETED)
                    arrived.cancel()
                    continue
                batch, self._waiting = self._waiting[: self._batch], self._waiting[self._batch :]
                await self._commit(batch)
        finally:
            stopped.cancel()
            for _, future in self._waiting:
                future.cancel()

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        try:
            async with self._store.transaction() as transaction:
                outcomes = await submit_applications(transaction, [s for s, _ in batch], effects=self._effects)
                reach(FaultPoint.INTAKE_BEFORE_COMMIT)
        except Exception as error:  # noqa: BLE001 - every failure is handed to whoever waits for this outcome
            if len(batch) > 1 and not self._store.is_transient(error):
                log.warning("intake_batch_failed", size=len(batch), error=type(error).__name__)
                for each in batch:
                    await self._commit([each])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        reach(FaultPoint.INTAKE_AFTER_COMMIT)
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if not future.done():
                future.set_result(outcome)
