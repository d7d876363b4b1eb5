"""A task as a handler sees it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel

F = TypeVar("F", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Task(Generic[F]):
    """One matter to handle, with the fields that it declares parsed into the handler's model.

    `id` is the same however often the task is delivered: a bureau whose records live outside the SDK's store uses it
    as its idempotency key. `official` is the post of the person who has decided to approve at the desk; the handler
    then produces the outputs without its usual doubts. `happened` says that what a suspended task waited for is there.
    """

    id: UUID
    application_id: UUID
    matter: str
    child: int | None
    attempt: int
    requested_at: datetime
    due_at: datetime | None
    fields: F
    official: str | None = None
    happened: bool = False

    @property
    def approved_by_person(self) -> bool:
        return self.official is not None
