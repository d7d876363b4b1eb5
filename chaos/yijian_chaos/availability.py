"""Was it there when it had to be: arithmetic over the history, the samples and the fault windows of a run. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from yijian_chaos.history import Attempt, Kind, Phase

PROGRESS_WITHIN_S = 30.0
LEAST_ACCEPTED_PER_S = 1.0


@dataclass(frozen=True, slots=True)
class Window:
    """A fault from its beginning until what it hit was healthy again (Unix seconds)."""

    planned: int
    fault: str
    component: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Need:
    """Of these processes `least` have to be there."""

    members: frozenset[str]
    least: int = 1


@dataclass(frozen=True, slots=True)
class Share:
    """Of `asked` operations, so many went well."""

    asked: int
    well: int

    @property
    def value(self) -> float:
        return self.well / self.asked if self.asked else 1.0


@dataclass(frozen=True, slots=True)
class Standstill:
    """Half a minute in which everything needed was there and too little went on. `what` of accepted, completed."""

    what: str
    begin: float
    end: float
    count: int


def fault_windows(timeline: Iterable[Mapping[str, Any]], *, until: float) -> list[Window]:
    """Every fault that was injected; one that never became healthy lasts `until` the end."""
    begun: dict[int, Mapping[str, Any]] = {}
    ended: dict[int, float] = {}
    for event in timeline:
        match event["event"]:
            case "inject":
                begun[event["planned"]] = event
            case "recovered":
                ended[event["planned"]] = event["at"]
            case _:
                pass
    return [
        Window(planned, event["fault"], event["component"], event["at"], ended.get(planned, until))
        for planned, event in begun.items()
    ]


def accepted_share(attempts: Sequence[Attempt], windows: Sequence[Window]) -> Share:
    """Of the applications handed in outside every fault window, how many were accepted at the first answer.

    A connection that nobody takes is no answer: the client goes to the other address.
    """
    first_answers: dict[int, Phase] = {}
    begun: list[Attempt] = []
    for attempt in attempts:
        if attempt.call.kind is not Kind.SUBMIT or attempt.call.deliberate:
            continue
        origin = attempt.op if attempt.call.retry_of is None else attempt.call.retry_of
        if origin == attempt.op:
            begun.append(attempt)
        refused = attempt.ending is not None and attempt.ending.error == "connection-refused"
        if not refused:
            first_answers.setdefault(origin, attempt.phase)
    outside = [attempt for attempt in begun if not any(w.begin <= attempt.began <= w.end for w in windows)]
    return Share(len(outside), sum(first_answers.get(attempt.op) is Phase.OK for attempt in outside))


def without(
    needs: Sequence[Need], windows: Sequence[Window], hits: Mapping[int, frozenset[str]]
) -> list[tuple[float, float]]:
    """The times in which something that is needed was missing. `hits` says which processes a fault took away."""
    missing: list[tuple[float, float]] = []
    moments = sorted({moment for window in windows for moment in (window.begin, window.end)})
    for begin, end in pairwise(moments):
        away = {name for w in windows if w.begin <= begin and end <= w.end for name in hits.get(w.planned, ())}
        if any(len(need.members - away) < need.least for need in needs):
            missing.append((begin, end))
    return merged(missing)


def merged(intervals: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The same times with overlapping and touching intervals joined."""
    joined: list[tuple[float, float]] = []
    for begin, end in sorted(intervals):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined


def between(missing: Sequence[tuple[float, float]], *, begin: float, end: float) -> list[tuple[float, float]]:
    """What is left of a time when these are taken out."""
    left: list[tuple[float, float]] = []
    at = begin
    for gone, back in merged(missing):
        if gone > at:
            left.append((at, min(gone, end)))
        at = max(at, back)
    return [(a, b) for a, b in [*left, (at, end)] if b > a]


def accepting_standstills(accepted_at: Sequence[float], times: Sequence[tuple[float, float]]) -> list[Standstill]:
    """Every half minute within `times` with less than one acceptance a second; the first one of each stretch."""
    moments = sorted(accepted_at)
    least = PROGRESS_WITHIN_S * LEAST_ACCEPTED_PER_S
    found: list[Standstill] = []
    for begin, end in times:
        at = begin
        while at + PROGRESS_WITHIN_S <= end:
            count = bisect_right(moments, at + PROGRESS_WITHIN_S) - bisect_left(moments, at)
            if count < least:
                found.append(Standstill("accepted", at, at + PROGRESS_WITHIN_S, count))
                at += PROGRESS_WITHIN_S
            else:
                at += 1.0
    return found


def completing_standstills(
    completed: Sequence[tuple[float, int]], times: Sequence[tuple[float, float]]
) -> list[Standstill]:
    """Every half minute within `times` in which no application ended. `completed` are samples of how many had ended."""
    found: list[Standstill] = []
    for begin, end in times:
        inside = [(at, count) for at, count in completed if begin <= at <= end]
        place = 0
        for later in range(1, len(inside)):
            if inside[later][1] > inside[place][1]:
                place = later
            elif inside[later][0] - inside[place][0] >= PROGRESS_WITHIN_S:
                found.append(Standstill("completed", inside[place][0], inside[later][0], 0))
                place = later
    return found


def half_minutes(times: Sequence[tuple[float, float]]) -> int:
    """How many whole half minutes there were to look at."""
    return sum(int((end - begin) // PROGRESS_WITHIN_S) for begin, end in times)
