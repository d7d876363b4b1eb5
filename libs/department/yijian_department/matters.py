"""The matters a department handles: a typed function for each, read once when it is registered."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BaseModel, JsonValue, ValidationError
from yijian_contracts.departments import Department as CatalogueEntry
from yijian_contracts.departments import get_department
from yijian_contracts.events import TaskMode

from yijian_department.answers import Answer
from yijian_department.records import Records
from yijian_department.script import Script
from yijian_department.task import Task

R = TypeVar("R", bound=Records)

NAMED_PLACES = 5


class UnfitFieldsError(ValueError):
    """A task's fields do not fit the handler's model. The message names fields and rules, never a value."""


@dataclass(frozen=True, slots=True)
class Matter(Generic[R]):
    """One matter in one mode. `area_field` names the field whose area code says which officials may decide."""

    code: str
    mode: TaskMode
    fields: type[BaseModel]
    handle: Callable[[Task[Any], R], Answer | Awaitable[Answer]]
    area_field: str | None

    def parse(self, fields: Mapping[str, JsonValue]) -> BaseModel:
        """The handler's model of `fields`. Raises `UnfitFieldsError`."""
        try:
            return self.fields.model_validate(fields)
        except ValidationError as error:
            problems = error.errors(include_input=False, include_url=False, include_context=False)
            # Only the first step is a name of ours; below it may stand the sender's own words.
            places = "; ".join(f"{_place(problem['loc'])}: {problem['type']}" for problem in problems[:NAMED_PLACES])
            raise UnfitFieldsError(f"the fields do not fit {self.fields.__name__}: {places}") from None

    def area(self, fields: Mapping[str, JsonValue]) -> str | None:
        """The area code that the task concerns, where the matter names a field for it."""
        area = fields.get(self.area_field) if self.area_field else None
        return area if isinstance(area, str) else None


def _place(location: tuple[int | str, ...]) -> str:
    return str(location[0]) if location else "together"


@dataclass(frozen=True)
class Definition(Generic[R]):
    """A department as its developer wrote it: everything that a process or a test needs to run it."""

    code: str
    records: type[R]
    tries: int = 5
    script: Script = field(default_factory=Script)
    matters: dict[tuple[str, TaskMode], Matter[R]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        get_department(self.code)  # an unknown code is told at once

    @property
    def entry(self) -> CatalogueEntry:
        """The department's entry in the catalogue: its topics and principal."""
        return get_department(self.code)

    def add(self, matter: Matter[R]) -> None:
        """Register a matter; the same matter twice is a mistake in the program."""
        place = (matter.code, matter.mode)
        if place in self.matters:
            raise ValueError(f"matter {matter.code} has two handlers for mode {matter.mode}")
        self.matters[place] = matter

    def find(self, code: str, mode: TaskMode) -> Matter[R] | None:
        return self.matters.get((code, mode))


def fields_model(function: Callable[..., Any]) -> type[BaseModel]:
    """The pydantic model in a handler's first annotation, ``task: Task[Model]``."""
    parameters = list(inspect.signature(function).parameters)
    hint = get_type_hints(function).get(parameters[0]) if parameters else None
    if len(parameters) != 2 or get_origin(hint) is not Task:
        raise TypeError(f"{function.__qualname__} must be written (task: Task[Fields], records: Records) -> Answer")
    (model,) = get_args(hint)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise TypeError(f"{function.__qualname__}: {model!r} is no pydantic model")
    return model
