"""I9: nothing was left over: no session, no transaction that sits there, no process that grew and stayed large.

Sessions: at the end no more than the pools may hold, and none idle in a transaction for more than 30 s, nor in any
sample taken while no fault was at work (a process that is stopped for 30 s cannot end its transaction).

Processes: what each holds at the end is held against what its kind held once warm: the most of the samples from before
the first fault, or of the first minute. Kinds are names without the replica's number, so that a process that was
started anew is compared with its sisters. Too much is what is more than 10 % above, and more than one burst may leave:

    memory  48 MB   CPython and its extensions give back arenas only when they are empty; a batch of 500 records with
                    their forms is 20 MB. Kafka's JVM and Postgres map files as they are written, which counts as
                    theirs: 384 MB
    files   24      a pool that grew to its size, and Kafka's connections to a broker that came back
    threads 12      `asyncio.to_thread` starts up to CPUs + 4, the broker's handlers a few more
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from yijian_chaos.checker.evidence import Evidence
from yijian_chaos.checker.history import Fault, Sample
from yijian_chaos.checker.verdict import Judgement

SHARE: Final = 1.10
WARM_S: Final = 60.0
AFTER_A_FAULT_S: Final = 40.0
LAST: Final = 3
MB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Floor:
    """What a kind of process may have more than its share."""

    rss: int
    fds: int
    threads: int


_OURS: Final = Floor(48 * MB, 24, 12)
_SERVERS: Final = Floor(384 * MB, 64, 24)
_SERVER_KINDS: Final = frozenset({"kafka", "postgres"})


def kind_of(process: str) -> str:
    """`approval-worker-2` is an `approval-worker`."""
    name, _, number = process.rpartition("-")
    return name if name and number.isdecimal() else process


def judge(evidence: Evidence, judgement: Judgement) -> None:
    _sessions(evidence, judgement)
    _processes(evidence, judgement)


def _sessions(evidence: Evidence, judgement: Judgement) -> None:
    snapshot = evidence.snapshot
    judgement.looked("I9", "sessions", snapshot.backends)
    if snapshot.backends > snapshot.backends_allowed:
        what = "the database has more sessions than the pools may hold"
        judgement.broken("I9", what, sessions=snapshot.backends, allowed=snapshot.backends_allowed)
    if snapshot.idle_in_transaction:
        judgement.broken("I9", "sessions sit idle in a transaction", sessions=snapshot.idle_in_transaction)
    windows = _windows(evidence.history.faults)
    for sample in evidence.history.postgres:
        if any(begin <= sample.at <= end for begin, end in windows):
            continue
        judgement.looked("I9", "samples of the database")
        if sample.idle_in_transaction:
            what = "sessions sat idle in a transaction while no fault was at work"
            judgement.broken("I9", what, at=sample.at, sessions=sample.idle_in_transaction)


def _windows(faults: Sequence[Fault]) -> list[tuple[float, float]]:
    """From each fault's injection until what it held up must have been let go of."""
    begun: dict[int | None, float] = {}
    windows = []
    for fault in faults:
        if fault.event == "inject":
            begun[fault.planned] = fault.at
        elif fault.event == "heal" and fault.planned in begun:
            windows.append((begun.pop(fault.planned), fault.at + AFTER_A_FAULT_S))
    # What is never healed, a kill for one, is over when it has begun.
    return windows + [(at, at + AFTER_A_FAULT_S) for at in begun.values()]


def _processes(evidence: Evidence, judgement: Judgement) -> None:
    samples = evidence.history.samples
    if not samples:
        return
    start = min(sample.at for sample in samples)
    first_fault = min((fault.at for fault in evidence.history.faults if fault.event == "inject"), default=start)
    warm = max(first_fault, start + WARM_S)
    baselines: dict[str, list[Sample]] = defaultdict(list)
    latest: dict[str, list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda each: each.at):
        if sample.at <= warm:
            baselines[kind_of(sample.process)].append(sample)
        latest[sample.process].append(sample)
    for process, taken in latest.items():
        baseline = baselines.get(kind_of(process))
        if not baseline:
            judgement.note("processes without a baseline", 1)
            continue
        judgement.looked("I9", "processes")
        _compare(process, baseline, [s for s in taken[-LAST:] if s.pid == taken[-1].pid], judgement)


def _compare(process: str, baseline: Iterable[Sample], last: Sequence[Sample], judgement: Judgement) -> None:
    floor = _SERVERS if kind_of(process) in _SERVER_KINDS else _OURS
    for what in ("rss", "fds", "threads"):
        was = max(getattr(sample, what) for sample in baseline)
        is_now = int(median(getattr(sample, what) for sample in last))
        if is_now > max(was * SHARE, was + getattr(floor, what)):
            judgement.broken("I9", "a process has grown", process=process, of=what, baseline=was, at_the_end=is_now)
