"""What a bureau's developer writes: a department, and a typed function for each of its matters."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, overload
from uuid import UUID

from pydantic import BaseModel
from yijian_contracts.events import TaskAnswered, TaskMode

from yijian_department import process
from yijian_department.answers import Answer
from yijian_department.matters import Definition, Matter, R, fields_model
from yijian_department.office import Office
from yijian_department.records import Records
from yijian_department.rectification import rectification_matter
from yijian_department.script import Script
from yijian_department.task import Task

F = TypeVar("F", bound=BaseModel)
Handler = Callable[[Task[F], R], Answer | Awaitable[Answer]]


class Department(Generic[R]):
    """A department of the catalogue at work.

    A handler runs inside the SDK's open transaction: its records, its answer and the place in the topic are committed
    together. It is called once for each task that it answers; an exception undoes what it wrote and has it called
    again later, at most `tries` times. So does an async handler's silence for `asking.HANDLER_SECONDS`: nothing else of
    the department happens meanwhile, so what takes long is left with `waiting(…)` and answered by `answer`.
    """

    @overload
    def __init__(self: "Department[Records]", code: str, *, tries: int = 5, script: Script = ...) -> None: ...

    @overload
    def __init__(self, code: str, records: type[R], *, tries: int = 5, script: Script = ...) -> None: ...

    def __init__(
        self, code: str, records: type[Records] = Records, *, tries: int = 5, script: Script | None = None
    ) -> None:
        """`code` is that of the catalogue; `script` is what happens in demos when no file says otherwise."""
        self.definition: Definition[R] = Definition(code, records, tries, script or Script())  # type: ignore[arg-type]
        self.definition.add(rectification_matter())
        self._office: Office[R] | None = None

    def matter(self, code: str, *, area: str | None = None) -> Callable[[Handler[F, R]], Handler[F, R]]:
        """Register the handler that decides matter `code`; `area` names the field with the area code it concerns."""
        return self._register(code, TaskMode.DECIDE, area)

    def proof(self, code: str, *, area: str | None = None) -> Callable[[Handler[F, R]], Handler[F, R]]:
        """Register the handler that says whether what matter `code` would give exists already."""
        return self._register(code, TaskMode.PROVE, area)

    def _register(self, code: str, mode: TaskMode, area: str | None) -> Callable[[Handler[F, R]], Handler[F, R]]:
        def register(handler: Handler[F, R]) -> Handler[F, R]:
            model = fields_model(handler)
            if area is not None and area not in model.model_fields:
                raise ValueError(f"{model.__name__} has no field {area!r} to take the area from")
            self.definition.add(Matter(code, mode, model, handler, area))
            return handler

        return register

    def run(self) -> None:
        """Run as a process with settings from `YIJIAN_*` variables, until SIGTERM."""
        process.run(self.definition, at_work=self.at_work)

    def at_work(self, office: Office[R]) -> None:
        """Told by the process that the store is open."""
        self._office = office

    async def answer(self, task_id: UUID, answer: Answer) -> TaskAnswered | None:
        """Answer a task that was left waiting or with a person. Raises like `Office.answer`."""
        return await self._working.answer(task_id, answer)

    async def happened(self, task_id: UUID) -> None:
        """Say that what a suspended task waits for is there; its handler is asked again. Raises like `Office`."""
        await self._working.happened(task_id)

    @property
    def _working(self) -> Office[R]:
        if self._office is None:
            raise RuntimeError("the department is not running")
        return self._office
