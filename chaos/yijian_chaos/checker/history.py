"""What was written down while the run went on: the clients' history, the faults, and samples of the processes.

history.jsonl   two lines an attempt. `invoke` is on disk before the request leaves. `ok`: done; `fail`: definitely not
                done; `info`: nobody knows.
timeline.jsonl  one line for what happened to a fault.
samples.jsonl   a line for each process, and for Postgres, every few seconds.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SUBMIT: Final = "submit"
WITHDRAW: Final = "withdraw"
CORRECT: Final = "correct"
CONSENT_WITHDRAW: Final = "consent-withdraw"
QUERY: Final = "query"
WRITES: Final = frozenset({SUBMIT, WITHDRAW, CORRECT, CONSENT_WITHDRAW})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request. `began` and `ended` are numbers of lines: what ended on a line before another began, was before it.
    `ended_at` is when, in Unix seconds.

    `phase` is empty when the client died before it heard anything. `application` is the one that it was about, or else
    the one that its answer named.
    """

    op: int
    kind: str
    key: str | None
    actor: str
    began: int
    ended: int
    ended_at: float
    phase: str
    status: int | None
    application: str | None
    version: int | None
    state: str | None
    error: str


@dataclass(frozen=True, slots=True)
class Sample:
    """How large a process was."""

    at: float
    process: str
    pid: int
    rss: int
    fds: int
    threads: int


@dataclass(frozen=True, slots=True)
class PostgresSample:
    """How many sessions the database had."""

    at: float
    backends: int
    idle_in_transaction: int


@dataclass(frozen=True, slots=True)
class Fault:
    """What happened to a fault; `detail` is its own."""

    at: float
    fault: str
    component: str
    event: str
    planned: int | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class History:
    """A run's folder, read."""

    attempts: tuple[Attempt, ...]
    faults: tuple[Fault, ...]
    samples: tuple[Sample, ...]
    postgres: tuple[PostgresSample, ...]

    @property
    def by_key(self) -> Mapping[str, list[Attempt]]:
        """The attempts of each key of a submission, in the order in which they began."""
        found: dict[str, list[Attempt]] = defaultdict(list)
        for attempt in self.attempts:
            if attempt.kind == SUBMIT and attempt.key is not None:
                found[attempt.key].append(attempt)
        return found

    def wanted(self, kind: str) -> frozenset[str]:
        """The applications for which somebody asked for this, and was not told for certain that it was not done."""
        return frozenset(
            attempt.application
            for attempt in self.attempts
            if attempt.kind == kind and attempt.phase != "fail" and attempt.application
        )

    @property
    def injected(self) -> Mapping[tuple[str, int, int], str]:
        """Records that a fault itself put on a topic, by place: `poison`, or `duplicate`."""
        return {
            (record["topic"], record["partition"], record["offset"]): record["kind"]
            for fault in self.faults
            for record in fault.detail.get("records", ())
        }


def read_history(folder: Path) -> History:
    """What a run's folder says; files that are not there say nothing."""
    samples, postgres = _samples(folder / "samples.jsonl")
    return History(
        attempts=_attempts(folder / "history.jsonl"),
        faults=tuple(_fault(line) for _, line in _lines(folder / "timeline.jsonl")),
        samples=samples,
        postgres=postgres,
    )


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines with their numbers; the last one may have been cut off by whatever ended the run."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if not line.endswith(b"\n"):
                return
            if line.strip():
                yield number, json.loads(line)


def _attempts(path: Path) -> tuple[Attempt, ...]:
    invoked: dict[int, tuple[int, dict[str, Any]]] = {}
    ended: dict[int, tuple[int, dict[str, Any]]] = {}
    last = 0
    for last, line in _lines(path):
        (invoked if line["phase"] == "invoke" else ended)[line["op"]] = (last, line)
    found = []
    for op, (began, asked) in invoked.items():
        until, heard = ended.get(op, (last + 1, {}))
        found.append(
            Attempt(
                op=op,
                kind=asked["kind"],
                key=asked.get("key"),
                actor=asked.get("actor") or "",
                began=began,
                ended=until,
                ended_at=heard.get("at", 0.0),
                phase=heard.get("phase", ""),
                status=heard.get("status"),
                application=asked.get("application") or heard.get("application"),
                version=heard.get("version"),
                state=heard.get("state"),
                error=heard.get("error") or "",
            )
        )
    return tuple(found)


def _fault(line: Mapping[str, Any]) -> Fault:
    return Fault(
        at=line.get("at", 0.0),
        fault=line.get("fault", ""),
        component=line.get("component", ""),
        event=line.get("event", ""),
        planned=line.get("planned"),
        detail=line.get("detail") or {},
    )


def _samples(path: Path) -> tuple[tuple[Sample, ...], tuple[PostgresSample, ...]]:
    processes, postgres = [], []
    for _, line in _lines(path):
        if "postgres" in line:
            told = line["postgres"]
            postgres.append(PostgresSample(line["at"], told["backends"], told["idle_in_transaction_over_30s"]))
        elif "process" in line:
            processes.append(
                Sample(line["at"], line["process"], line["pid"], line["rss"], line["fds"], line["threads"])
            )
    return tuple(processes), tuple(postgres)
