"""What the loops need of a database: one behaviour, two implementations (PostgreSQL and SQLite)."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeVar

from yijian_messaging.record import Outgoing, Record

C_co = TypeVar("C_co", covariant=True)

SHARDS = 16

# The gate of what was taken back, which nobody opens.
TAKEN_BACK = "taken-back"


class Sealer(Protocol):
    """Encrypts personal values for as long as a store keeps them."""

    def seal(self, plain: bytes) -> bytes:
        """The sealed form of `plain`."""

    def open(self, sealed: bytes) -> bytes:
        """The plain form of what `seal` returned."""


class NoSealer:
    """For stores that hold no personal data, and for tests."""

    def seal(self, plain: bytes) -> bytes:
        return plain

    def open(self, sealed: bytes) -> bytes:
        return sealed


@dataclass(frozen=True, slots=True, order=True)
class Move:
    """A batch's claim on one partition: the stored offset must be `first` and becomes `until`."""

    topic: str
    partition: int
    first: int
    until: int


@dataclass(frozen=True, slots=True)
class Position:
    """The offset to read next, as stored beside the effects, and the cluster it counts in."""

    next_offset: int
    cluster_id: str


@dataclass(frozen=True, slots=True)
class Unsent:
    """An outbox row that waits for the relay."""

    row: int
    message: Outgoing


class LetterKind(StrEnum):
    """RECORD came in and could not be handled; UNSENDABLE was to go out and Kafka refuses it for good."""

    RECORD = "RECORD"
    UNSENDABLE = "UNSENDABLE"


class LetterState(StrEnum):
    DEAD = "DEAD"
    REPLAY = "REPLAY"
    REPLAYED = "REPLAYED"
    DISCARDED = "DISCARDED"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that waits for an operator. `error` names no personal value; `value` is opened only when shown."""

    id: int
    kind: LetterKind
    state: LetterState
    consumer: str
    record: Record
    error: str
    created_at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that a person has to look at; no personal data in it."""

    id: int
    kind: str
    subject: str
    summary: str
    opened_at: datetime
    closed_at: datetime | None
    resolution: str | None


class Transaction(Protocol[C_co]):
    """An open transaction: everything done through it becomes true together, or not at all."""

    @property
    def connection(self) -> C_co:
        """The database connection, for the caller's own statements."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Put messages into the outbox. The caller has locked what they are about."""

    async def cancel_unsent(self, event_ids: Sequence[str]) -> int:
        """Take messages back that were not sent yet; returns how many."""

    async def open_incident(self, kind: str, subject: str, summary: str) -> None:
        """Open an incident, once for each kind and subject while it is open."""

    async def close_incident(self, kind: str, subject: str, resolution: str) -> None:
        """Close the open incident of this kind and subject, if there is one."""

    async def advance(self, consumer: str, moves: Sequence[Move]) -> bool:
        """Move the offsets of a batch by compare-and-set; False when another process was quicker."""

    async def unseen(self, keys: Sequence[bytes]) -> set[bytes]:
        """Note inbox keys (see `inbox_key`); returns those that were not there before."""

    async def forget(self, keys: Sequence[bytes]) -> None:
        """Take keys out of the inbox again: what they stand for had no effect."""

    async def bury(self, consumer: str, records: Sequence[tuple[Record, str]]) -> None:
        """Put records with their errors into the dead letters and open an incident for each."""

    async def settle_letter(self, letter: int, state: LetterState, note: str) -> None:
        """Move a dead letter on: REPLAYED or DISCARDED closes its incident, DEAD keeps it with a new note."""


class Store(Protocol[C_co]):
    """A database with the tables of this library."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction[C_co]]:
        """COMMIT on leaving, ROLLBACK on an exception; after COMMIT the relay is woken if something was published."""

    async def ping(self) -> None:
        """Raise if the database cannot commit just now."""

    def is_transient(self, error: BaseException) -> bool:
        """Whether waiting will help: connection loss, shutdown, no space, 40001, 40P01, 55P03."""

    async def positions(
        self, consumer: str, starts: Mapping[tuple[str, int], int], cluster_id: str
    ) -> dict[tuple[str, int], Position]:
        """Stored positions of these partitions; those without one begin at their given start."""

    async def lease_shards(self, owner: str, ttl: float) -> list[int]:
        """Renew this owner's share of the outbox's shards and take free ones; returns those held."""

    async def release_shards(self, owner: str) -> None:
        """Give the shards back, on a graceful stop."""

    async def release_predecessors(self, family: str) -> None:
        """Free the shards of owners whose names begin with `family`: they are known to be dead."""

    async def unsent(self, shards: Sequence[int], limit: int, *, open_gates: Sequence[str] = ()) -> list[Unsent]:
        """The oldest unsent rows of these shards, opened; those behind another gate than `open_gates` are left out.

        So are the keys with an unsendable row.
        """

    async def mark_sent(self, owner: str, rows: Sequence[Unsent]) -> None:
        """Note that Kafka acknowledged these rows; a former owner's note counts for nothing."""

    async def park(self, row: Unsent, error: str) -> None:
        """Set a row aside that Kafka refuses for good, with its key, and open an incident."""

    async def backlog(self) -> tuple[int, float]:
        """Unsent rows, and the age of the oldest in seconds."""

    async def letters(self, *, state: LetterState | None = None, limit: int = 100) -> list[DeadLetter]:
        """Dead letters, oldest first."""

    async def letter(self, letter: int) -> DeadLetter | None:
        """One dead letter with its value opened."""

    async def request_replay(self, letter: int, *, note: str, value: bytes | None) -> bool:
        """Have the consumer handle a dead letter again, with `value` in place of its own if given."""

    async def discard(self, letter: int, *, note: str) -> bool:
        """Give a dead letter up for good."""

    async def replays(self, consumer: str, limit: int) -> list[int]:
        """The ids of this consumer's dead letters that an operator wants handled again."""

    async def incidents(self, *, open_only: bool = True, limit: int = 100) -> list[Incident]:
        """Incidents, newest first."""

    async def housekeep(self) -> None:
        """Make the outbox's partitions ahead and drop those whose rows were sent eight days ago."""

    async def purge(self) -> bool:
        """Delete some of what is past its time (`retention`), in short transactions; whether there may be more.

        Sent rows go after 8 days, inbox keys after 32, the records of settled dead letters after 90 (the letter itself
        stays, without it), settled letters and closed incidents after 400.
        """

    def on_publish(self, wake: "Waker") -> None:
        """Call `wake` after each commit that published something."""

    async def close(self) -> None:
        """Let go of the database."""


class Waker(Protocol):
    def __call__(self) -> None:
        """Something waits in the outbox."""
