"""A department's figures of a day: counts, folded from facts; and the rates that a formula makes of counts.

Pure: the same facts always give the same counts, in whatever order they came. A review and everything that follows from
it count on the day on which the review was given, so that no rate compares one day's work with another's.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cache
from uuid import UUID

from rating.questionnaire import Level, read_table


class FactKind(StrEnum):
    """What is counted. INVITED and DEFAULTED are about handlings, the ORDER_… ones about orders, others about reviews.

    EXCLUDED takes a review out that two officials found to be in error or malicious; SUPERSEDED one that gave way to
    the same person's second review. Both count on the first review's day.
    """

    INVITED = "INVITED"
    DEFAULTED = "DEFAULTED"
    REVIEWED = "REVIEWED"
    FLAGGED = "FLAGGED"
    EXCLUDED = "EXCLUDED"
    SUPERSEDED = "SUPERSEDED"
    ORDER_OPENED = "ORDER_OPENED"
    ORDER_INVALID = "ORDER_INVALID"
    ORDER_ANSWERED_IN_TIME = "ORDER_ANSWERED_IN_TIME"
    ORDER_RECTIFIED_IN_TIME = "ORDER_RECTIFIED_IN_TIME"
    ORDER_CALLED_BACK = "ORDER_CALLED_BACK"
    ORDER_CONTENT = "ORDER_CONTENT"
    ORDER_ESCALATED = "ORDER_ESCALATED"


_OF_ACTIVE_REVIEWS = {FactKind.REVIEWED: 1, FactKind.EXCLUDED: -1, FactKind.SUPERSEDED: -1}


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened, or `times` things that happened together. `cause` is a number that leads to nobody."""

    cause: UUID
    kind: FactKind
    department: str
    day: date
    level: Level | None = None
    times: int = 1


@dataclass(slots=True)
class Counts:
    """How often each kind of fact happened, and how many reviews of each level count."""

    facts: dict[FactKind, int] = field(default_factory=lambda: dict.fromkeys(FactKind, 0))
    levels: dict[Level, int] = field(default_factory=lambda: dict.fromkeys(Level, 0))

    def add(self, kind: FactKind, level: Level | None, times: int = 1) -> None:
        self.facts[kind] += times
        if level is not None:
            self.levels[level] += _OF_ACTIVE_REVIEWS.get(kind, 0) * times

    def merge(self, other: "Counts") -> None:
        for kind, count in other.facts.items():
            self.facts[kind] += count
        for level, count in other.levels.items():
            self.levels[level] += count

    @property
    def active(self) -> int:
        """Reviews that count: given, and neither excluded nor superseded. Defaults are none."""
        return sum(self.levels.values())


def fold(facts: Iterable[Fact]) -> dict[tuple[str, date], Counts]:
    """The counts of each department and day that these facts are about."""
    counts: dict[tuple[str, date], Counts] = defaultdict(Counts)
    for fact in facts:
        counts[fact.department, fact.day].add(fact.kind, fact.level, fact.times)
    return dict(counts)


@dataclass(frozen=True, slots=True)
class Formula:
    """How rates are made of counts. `version` travels with every result."""

    version: int
    source: str
    effective_from: str
    good: frozenset[Level]
    bad: frozenset[Level]
    weights: Mapping[Level, int]
    least_shown: int


@cache
def formula() -> Formula:
    table = read_table("formula")
    return Formula(
        version=table["version"],
        source=table["source"],
        effective_from=table["effective_from"],
        good=frozenset(Level(level) for level in table["good"]),
        bad=frozenset(Level(level) for level in table["bad"]),
        weights={level: table["weight"][level] for level in Level},
        least_shown=table["least_shown"],
    )


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares between 0 and 1, and a score between 0 and 100; None where there is nothing to divide by."""

    review: float | None
    satisfaction: float | None
    bad: float | None
    answered_in_time: float | None
    rectified_in_time: float | None
    called_back: float | None
    score: float | None


def rates(counts: Counts, by: Formula) -> Rates:
    """评价率, 满意率, 差评率, 按时反馈率, 差评整改率, 回访率 and the score of these counts."""
    facts, active = counts.facts, counts.active
    orders = facts[FactKind.ORDER_OPENED] - facts[FactKind.ORDER_INVALID]
    return Rates(
        review=_share(active, facts[FactKind.INVITED]),
        satisfaction=_share(sum(counts.levels[level] for level in by.good), active),
        bad=_share(sum(counts.levels[level] for level in by.bad), active),
        answered_in_time=_share(facts[FactKind.ORDER_ANSWERED_IN_TIME], orders),
        rectified_in_time=_share(facts[FactKind.ORDER_RECTIFIED_IN_TIME], orders),
        called_back=_share(facts[FactKind.ORDER_CALLED_BACK], orders),
        score=_share(sum(by.weights[level] * count for level, count in counts.levels.items()), active),
    )


def _share(part: int, whole: int) -> float | None:
    return None if whole == 0 else round(part / whole, 4)
