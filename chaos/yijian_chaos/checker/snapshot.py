"""What the raw sources held when a run had come to rest, as plain rows: judged now, and again from a folder later.

Nothing here identifies anybody. Of numbers that departments issued there are fingerprints under a key that is forgotten
with the snapshot's making; instants are seconds since 1970.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Task:
    """A task as the application's state has it; `answers` is how many attempts were answered, by its own count."""

    key: str
    matter: str
    department: str
    child: int | None
    state: str
    attempt: int
    decision: str | None
    answers: int


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent as the application's state has it."""

    basis: str
    giver: str
    state: str


@dataclass(frozen=True, slots=True)
class Application:
    """A row of approval's applications. An erased one has its id and nothing that could be judged."""

    id: str
    life_event: str
    status: str
    outcome: str | None
    version: int
    state_version: int
    state_status: str
    form_revision: int
    tasks: tuple[Task, ...]
    consents: tuple[Consent, ...]
    erased: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a timeline."""

    application: str
    version: int
    kind: str
    task: str
    states: tuple[str, ...]
    giver: str
    bases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Disclosure:
    """A row of approval's disclosures."""

    task: str
    application: str
    department: str
    matter: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A row of an outbox. `store` is a service or a department."""

    store: str
    id: int
    event: str
    topic: str
    key: str
    kind: str
    gate: str
    at: float


@dataclass(frozen=True, slots=True)
class Unsent:
    """A row that still waited when everything had been read."""

    store: str
    id: int
    event: str
    age_s: float


@dataclass(frozen=True, slots=True)
class Parked:
    """A key that is set aside because of one of its rows."""

    store: str
    key: str
    row: int


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter. An unsendable one stands in no partition, and its offset is the outbox row's number."""

    store: str
    id: int
    kind: str
    consumer: str
    topic: str
    partition: int
    offset: int
    state: str

    @property
    def place(self) -> tuple[str, int, int]:
        return self.topic, self.partition, self.offset


@dataclass(frozen=True, slots=True)
class Incident:
    """What a person is shown to look at."""

    store: str
    kind: str
    subject: str
    open: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """A consumer's own offset, as it stands beside the effects."""

    store: str
    consumer: str
    topic: str
    partition: int
    next: int


@dataclass(frozen=True, slots=True)
class Committed:
    """What a consumer's group says to the broker."""

    group: str
    topic: str
    partition: int
    next: int


@dataclass(frozen=True, slots=True)
class Members:
    """How many processes the broker has in a group, and how many there should be."""

    group: str
    found: int
    expected: int


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition: its first offset, its end before the stored offsets were read, and its end after everything."""

    topic: str
    partition: int
    begin: int
    end: int
    later_end: int


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a topic. `event`, `kind`, `source` and `subject` are its CloudEvents headers.

    `task` is the task that the value speaks of; `said` what else of it is needed (see `event_values`); `content` a
    digest of the whole value, so that two events of one id can be told apart.
    """

    topic: str
    partition: int
    offset: int
    at: float
    key: str
    event: str
    kind: str
    source: str
    subject: str
    application: str
    task: str
    said: tuple[str, ...]
    content: int

    @property
    def place(self) -> tuple[str, int, int]:
        return self.topic, self.partition, self.offset


@dataclass(frozen=True, slots=True)
class DepartmentTask:
    """A row of a department's tasks; `answered` says whether it keeps its answer."""

    department: str
    task: str
    application: str
    matter: str
    state: str
    answered: bool


@dataclass(frozen=True, slots=True)
class Effect:
    """A row of a department's own tables, by the task it was made for or by the number in it."""

    department: str
    table: str
    task: str | None
    number: str | None


@dataclass(frozen=True, slots=True)
class Series:
    """A series of numbers and the last that was taken."""

    department: str
    name: str
    last: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf as its row has it: `data` in hexadecimal."""

    index: int
    id: str
    data: str


@dataclass(frozen=True, slots=True)
class Tile:
    """A full tile as its row has it, in hexadecimal."""

    level: int
    index: int
    hashes: str
    root: str


@dataclass(frozen=True, slots=True)
class Note:
    """A signed note about the tree at one size, and where it was found."""

    place: str
    size: int
    text: str


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A consent that was withdrawn, as data-exchange's register has it."""

    application: str
    basis: str
    giver: str


@dataclass(frozen=True, slots=True)
class Probe:
    """What the broker showed a principal: topics that it lists, and topics of which it gave out records."""

    principal: str
    listed: tuple[str, ...]
    read: tuple[str, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leak:
    """Where a text stands that identifies somebody: the file or table, and which canary it is."""

    place: str
    canary: int


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The rows of every source.

    `known_numbers` are fingerprints of numbers that departments had before, by table. `inbox` holds inbox keys in
    hexadecimal by store, `inbox_repeated` how many stand there more than once. `searched` says how many bytes were
    searched for canaries by kind of place, and `sound` in how many places they were found where they may stand.
    """

    collected_at: float
    topics_read_at: float
    applications: tuple[Application, ...] = ()
    timeline: tuple[Entry, ...] = ()
    disclosures: tuple[Disclosure, ...] = ()
    uncovered: tuple[str, ...] = ()
    request_keys: tuple[str, ...] = ()
    outbox: tuple[Outgoing, ...] = ()
    unsent: tuple[Unsent, ...] = ()
    parked: tuple[Parked, ...] = ()
    letters: tuple[Letter, ...] = ()
    incidents: tuple[Incident, ...] = ()
    stored: tuple[Stored, ...] = ()
    members: tuple[Members, ...] = ()
    committed: tuple[Committed, ...] = ()
    partitions: tuple[Partition, ...] = ()
    records: tuple[Record, ...] = ()
    inbox: Mapping[str, frozenset[str]] = field(default_factory=dict)
    inbox_repeated: Mapping[str, int] = field(default_factory=dict)
    tasks: tuple[DepartmentTask, ...] = ()
    effects: tuple[Effect, ...] = ()
    series: tuple[Series, ...] = ()
    known_numbers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    leaves: tuple[Leaf, ...] = ()
    tiles: tuple[Tile, ...] = ()
    notes: tuple[Note, ...] = ()
    cosignatures: tuple[Note, ...] = ()
    misdeeds: int = 0
    ledger_key: str = ""
    witness_key: str = ""
    kept_disclosures: frozenset[str] = frozenset()
    erased_disclosures: frozenset[str] = frozenset()
    withdrawals: tuple[Withdrawal, ...] = ()
    invitations: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    refusals_logged: int = 0
    backends: int = 0
    backends_allowed: int = 0
    idle_in_transaction: int = 0
    searched: Mapping[str, int] = field(default_factory=dict)
    sound: int = 0
    leaks: tuple[Leak, ...] = ()
