"""What comes in from Kafka and what goes out to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")

_encoder = msgspec.json.Encoder()
_headers = msgspec.json.Decoder(dict[str, str])


def write_headers(headers: Mapping[str, str]) -> str:
    """A message's headers as an outbox keeps them."""
    return _encoder.encode(headers).decode()


def read_headers(text: str) -> dict[str, str]:
    """The headers that `write_headers` wrote."""
    return _headers.decode(text)


@dataclass(frozen=True, slots=True)
class Record:
    """A record as Kafka delivered it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Decoded(Generic[T]):
    """What a record means. `id` is the sender's id of the event, the same each time it is sent."""

    id: str
    content: T
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Message(Generic[T]):
    """A decoded record on its way into a handler. `traceparent` is the context of its processing."""

    id: str
    content: T
    record: Record
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that a handler cannot take as it is; an operator sees it, may edit it, and has it handled again."""

    message: Message[Any]
    error: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish under `key`; with `personal` its value is sealed for as long as the outbox keeps it.

    With a `gate` it waits while the relay finds that gate closed; messages without one do not wait for it.
    """

    id: str
    topic: str
    key: str
    headers: Mapping[str, str]
    value: bytes
    personal: bool = False
    gate: str | None = None
