"""What every event has in common, and the words that several of them use.

Personal data stands in a part of its own (`personal`), so that everything else may be logged, counted and shown.
Times are UTC instants. Unknown fields are ignored and not stored; unknown types and majors are refused by `decode`.
"""

from abc import abstractmethod
from contextlib import suppress
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import msgspec
from pydantic import (
    BaseModel,
    ConfigDict,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from yijian_contracts import derived_ids

Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,63}$")]
Pointer = Annotated[str, StringConstraints(pattern=r"^(/([^~/]|~[01])*)+$", max_length=200)]
"""A JSON Pointer (RFC 6901) to a place within a document; the whole of it is none."""
Sentence = Annotated[str, StringConstraints(max_length=500)]
PersonRef = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
"""A person as data-exchange knows them: `yijian_common.pairwise.id_proof` under the key of that audience."""


_encoder = msgspec.json.Encoder()


def read_once(kind: Any) -> WrapValidator:
    """For a piece that thousands of events repeat word for word and that holds nothing of a person: it is read once.

    Equal pieces are then the same object.
    """
    adapter = TypeAdapter(kind)

    @lru_cache(maxsize=1024)
    def known(written: bytes) -> Any:
        return adapter.validate_json(written)

    def validate(given: Any, read: ValidatorFunctionWrapHandler) -> Any:
        # Whatever is odd about a piece is for the ordinary way to say.
        if isinstance(given, list | dict):
            with suppress(ValidationError, UnicodeEncodeError, OverflowError):
                return known(_encoder.encode(given))
        return read(given)

    return WrapValidator(validate)


class Part(BaseModel):
    """A piece of an event."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(Part):
    """A past-tense fact. `key` is also the subject, never an identity number."""

    TYPE: ClassVar[str]
    MAJOR: ClassVar[int] = 1
    TOPIC: ClassVar[str | None] = None
    """Where events of this type travel; None where each department has a topic of its own."""

    @property
    def topic(self) -> str:
        """Where this event travels."""
        if self.TOPIC is None:
            raise NotImplementedError
        return self.TOPIC

    @property
    @abstractmethod
    def key(self) -> str:
        """What this event is about: events of one key keep their order."""

    @property
    @abstractmethod
    def event_id(self) -> UUID:
        """Derived from what the event is about, so that saying it again is recognised."""

    @classmethod
    def full_type(cls) -> str:
        return f"{cls.TYPE}.v{cls.MAJOR}"

    @classmethod
    def derive_id(cls, subject: UUID | str, *discriminators: object) -> UUID:
        """The id of the one event of this type about `subject` (and what else tells it from its siblings)."""
        return derived_ids.event_id(cls.full_type(), subject, *discriminators)


class CaseEvent(Event):
    """An event about one case: an application, or a rectification order for the tasks that come of it."""

    application_id: UUID

    @property
    def key(self) -> str:
        return str(self.application_id)


class Basis(Part):
    """Why a field may be given to a department: a law with its clause, or the consent that covers it."""

    kind: Literal["LAW", "CONSENT"]
    reference: Sentence
