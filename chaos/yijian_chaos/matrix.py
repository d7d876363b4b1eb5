"""Which component is tried by which fault: the cells, in the order of their risk, with how soon each must be healthy.

A cell stands for one experiment. The first ones are those at which a pipeline of this kind is likeliest to lose or to
repeat something: between a commit and what is said of it, a sender that was paused, a cluster without a leader.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

from yijian_contracts.departments import departments
from yijian_messaging.faultpoints import FaultPoint

from yijian_chaos.topology import DOUBLED, MEMBERS, WIRES, readers


class Family(StrEnum):
    """The modules of `faults`; a profile names those that it draws from."""

    PROCESSES = "processes"
    NETWORK = "network"
    KAFKA = "kafka_faults"
    POSTGRES = "postgres_faults"
    DISK = "disk"
    RECORDS = "records"
    CLOCK = "clock"


class FaultKind(StrEnum):
    """What is done to a component. What a variant means stands in the fault's own module."""

    KILL = "kill"
    KILL_POINT = "kill-point"
    PAUSE = "pause"
    REFUSE = "refuse"
    HANG = "hang"
    SLOW = "slow"
    NARROW = "narrow"
    LOSSY = "lossy"
    BROKER_RESTART = "broker-restart"
    BROKER_KILL = "broker-kill"
    BROKER_PAUSE = "broker-pause"
    LEADERLESS = "leaderless"
    POSTGRES_RESTART = "postgres-restart"
    POSTGRES_KILL = "postgres-kill"
    POSTGRES_PAUSE = "postgres-pause"
    DISK_FULL = "disk-full"
    STORM = "storm"
    DUPLICATES = "duplicates"
    REORDER = "reorder"
    POISON = "poison"
    SKEW = "skew"


KAFKA: Final = "kafka"
POSTGRES: Final = "postgres"
BROKERS: Final = tuple(f"{KAFKA}-{number}" for number in (1, 2, 3))
API: Final = ("approval-api-1", "approval-api-2")
WORKERS: Final = ("approval-worker-1", "approval-worker-2")
RELAYS: Final = ("approval-relay-1", "approval-relay-2")
BUREAU: Final = (f"{DOUBLED}-1", f"{DOUBLED}-2")
BUREAUS: Final = (*BUREAU, *(code for code in departments() if code != DOUBLED))
OTHERS: Final = ("identity", "data-exchange", "rating", "witness")

PAIRS: Final = (API, WORKERS, RELAYS, BUREAU)
"""Of each of these one must be left, unless a fault takes both at once."""

WIRED: Final[Mapping[str, tuple[str, ...]]] = {
    wire: tuple(name for name, member in MEMBERS.items() if member.wire == wire) for wire in WIRES
}
"""Who shares a wire to Kafka, and one to Postgres."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One experiment: one of the components, and one of the variants, is drawn.

    Healed after `lasts_s`, None for as long as the profile pauses; then healthy within `limit_s`. A low `risk` is tried
    early.
    """

    family: Family
    fault: FaultKind
    components: tuple[str, ...]
    risk: int
    limit_s: float
    lasts_s: float | None
    variants: tuple[str, ...] = ("",)


def cells(brokers: int = 1) -> tuple[Cell, ...]:
    """Every cell of the matrix for a cluster of so many brokers."""
    return (*_process_cells(), *_network_cells(), *_server_cells(brokers), *_disk_cells(), *_record_cells(), *_clocks())


@cache
def takes(fault: FaultKind, component: str) -> frozenset[str]:
    """Who does not do its work, or not in time, while this lasts."""
    match fault:
        case FaultKind.DUPLICATES | FaultKind.REORDER | FaultKind.POISON:
            return frozenset()
        case FaultKind.STORM:
            return frozenset(_members(component))
        case FaultKind.REFUSE | FaultKind.HANG | FaultKind.SLOW | FaultKind.NARROW | FaultKind.LOSSY:
            return frozenset(WIRED[component.partition(">")[0]])
        case FaultKind.DISK_FULL | FaultKind.LEADERLESS:
            return frozenset({"stores": BUREAUS, KAFKA: BROKERS}.get(component, (POSTGRES,)))
        case _:
            return frozenset({component})


def _members(group: str) -> tuple[str, ...]:
    """The processes that are members of this consumer group."""
    service, _, _ = group.removeprefix("department.").partition(".")
    return readers(service)


# --- processes of ours -----------------------------------------------------------------------------------------------

_SOON_S: Final = 6.0
"""How long a killed process is away before somebody starts it."""
_ARMED_S: Final = 12.0
"""How long a process has to reach the point at which it is killed."""

_POINTS: Final[tuple[tuple[tuple[str, ...], int, float, tuple[FaultPoint, ...]], ...]] = (
    (WORKERS, 0, 20, (FaultPoint.BATCH_BEFORE_COMMIT, FaultPoint.BATCH_AFTER_COMMIT)),
    (API, 0, 10, (FaultPoint.INTAKE_BEFORE_COMMIT, FaultPoint.INTAKE_AFTER_COMMIT)),
    (
        RELAYS,
        1,
        15,
        (
            FaultPoint.RELAY_BEFORE_SEND,
            FaultPoint.RELAY_BEFORE_ACKNOWLEDGED,
            FaultPoint.RELAY_AFTER_SEND,
            FaultPoint.RELAY_AFTER_MARK,
        ),
    ),
    (
        ("data-exchange",),
        0,
        15,
        (FaultPoint.SIGN_BEFORE, FaultPoint.SIGN_BEFORE_COMMIT, FaultPoint.SIGN_AFTER_COMMIT),
    ),
    (("data-exchange",), 2, 15, (FaultPoint.COSIGNATURE_BEFORE_COMMIT, FaultPoint.COSIGNATURE_AFTER_COMMIT)),
    (("witness",), 2, 15, (FaultPoint.WITNESS_BEFORE_COMMIT, FaultPoint.WITNESS_AFTER_COMMIT)),
    (WORKERS, 3, 20, (FaultPoint.OFFSET_BEFORE_COMMIT, FaultPoint.OFFSET_AFTER_COMMIT)),
)


def _process_cells() -> Iterator[Cell]:
    def cell(fault: FaultKind, components: tuple[str, ...], risk: int, limit_s: float) -> Cell:
        return Cell(Family.PROCESSES, fault, components, risk, limit_s, None if fault is FaultKind.PAUSE else _SOON_S)

    kinds = ((API, 10.0, 35.0), (WORKERS, 20.0, 20.0), (RELAYS, 15.0, 15.0), (BUREAUS, 20.0, 20.0))
    for components, killed, paused in kinds:
        yield cell(FaultKind.KILL, components, 1, killed)
        yield cell(FaultKind.PAUSE, components, 0 if components == RELAYS else 1, paused)
    for name in OTHERS:
        is_ledger = name in ("data-exchange", "witness")
        yield cell(FaultKind.KILL, (name,), 2, 15 if is_ledger else 20)
        yield cell(FaultKind.PAUSE, (name,), 0 if name == "data-exchange" else 2, 35)
    for components, risk, limit_s, points in _POINTS:
        yield from (_armed(components, risk, limit_s, (point,)) for point in points)
    anywhere = tuple(point for point in FaultPoint if point.startswith(("batch-", "relay-")))
    for components in (BUREAUS, ("rating",), ("identity",)):
        yield _armed(components, 3, 20, anywhere)


def _armed(components: tuple[str, ...], risk: int, limit_s: float, points: tuple[FaultPoint, ...]) -> Cell:
    return Cell(Family.PROCESSES, FaultKind.KILL_POINT, components, risk, limit_s, _ARMED_S, points)


# --- what lies between, and the servers ------------------------------------------------------------------------------


def _network_cells() -> Iterator[Cell]:
    limits = {
        "approval-api": 10.0,
        "approval-worker": 20.0,
        "approval-relay": 60.0,
        "departments": 20.0,
        "others": 20.0,
    }
    for group, limit_s in limits.items():
        wires = [name for name in WIRED if name.startswith(group)]
        # The bureaus keep their own files, and the API needs Kafka for nothing that it promises.
        for server in (KAFKA, POSTGRES):
            if (group, server) in (("departments", POSTGRES), ("approval-api", KAFKA)):
                continue
            ways = tuple(f"{wire}>{server}" for wire in wires)
            yield Cell(Family.NETWORK, FaultKind.HANG, ways, 2, limit_s, 60)
            yield Cell(Family.NETWORK, FaultKind.REFUSE, ways, 3, limit_s, 60)
        ways = tuple(f"{wire}>{POSTGRES if group == 'approval-api' else KAFKA}" for wire in wires)
        yield Cell(Family.NETWORK, FaultKind.SLOW, ways, 3, limit_s, 30)
        yield Cell(Family.NETWORK, FaultKind.NARROW, ways, 4, limit_s, 30)
        yield Cell(Family.NETWORK, FaultKind.LOSSY, ways, 4, limit_s, 30)


def _server_cells(brokers: int) -> Iterator[Cell]:
    nodes = BROKERS[:brokers]
    yield Cell(Family.KAFKA, FaultKind.LEADERLESS, (KAFKA,), 0, 60, 90)
    yield Cell(Family.KAFKA, FaultKind.BROKER_KILL, nodes, 1, 60, 5)
    yield Cell(Family.KAFKA, FaultKind.BROKER_RESTART, nodes, 2, 60, 3)
    yield Cell(Family.KAFKA, FaultKind.BROKER_PAUSE, nodes, 2, 60, None)
    yield Cell(Family.POSTGRES, FaultKind.POSTGRES_KILL, (POSTGRES,), 0, 30, 3)
    yield Cell(Family.POSTGRES, FaultKind.POSTGRES_RESTART, (POSTGRES,), 1, 20, 1)
    yield Cell(Family.POSTGRES, FaultKind.POSTGRES_PAUSE, (POSTGRES,), 2, 35, None)


def _disk_cells() -> Iterator[Cell]:
    for component, risk, limit_s in (("pg_wal", 0, 60.0), (KAFKA, 1, 120.0), (POSTGRES, 1, 20.0), ("stores", 1, 20.0)):
        yield Cell(Family.DISK, FaultKind.DISK_FULL, (component,), risk, limit_s, 15)


def _record_cells() -> Iterator[Cell]:
    groups = ("approval.results", *(f"{entry.principal}.tasks" for entry in departments().values()))
    tasks = tuple(entry.tasks_topic for entry in departments().values())
    results = tuple(entry.results_topic for entry in departments().values())
    yield Cell(Family.RECORDS, FaultKind.STORM, groups[:1], 0, 20, 60)
    yield Cell(Family.RECORDS, FaultKind.STORM, groups[1:], 1, 20, 60)
    for topics in (results, tasks):
        yield Cell(Family.RECORDS, FaultKind.DUPLICATES, topics, 1, 20, 10)
        yield Cell(Family.RECORDS, FaultKind.REORDER, topics, 1, 20, 10)
        yield Cell(Family.RECORDS, FaultKind.POISON, topics, 1, 30, 10)


def _clocks() -> Iterator[Cell]:
    for components, risk in ((WORKERS, 1), (API, 2), (RELAYS, 2), (BUREAUS, 2), (("data-exchange",), 1)):
        yield Cell(Family.CLOCK, FaultKind.SKEW, components, risk, 35, 20, ("+300", "-300", "+86400"))
    for name in ("identity", "rating", "witness"):
        yield Cell(Family.CLOCK, FaultKind.SKEW, (name,), 3, 35, 20, ("+300", "-300", "+86400"))
