"""When which fault is injected and healed: decided before a run begins, by a profile and a seed alone."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from yijian_chaos.matrix import BROKERS, PAIRS, POSTGRES, WIRED, Cell, FaultKind, cells, takes
from yijian_chaos.profiles import Profile

MOST_AT_ONCE: Final = 3
MOST_LONG_AT_ONCE: Final = 2
"""So that a short one always finds room beside them."""
LONG_S: Final = 25.0
SETTLES_S: Final = 10.0
"""After its end a fault still counts for so long as one that lasts: whoever was away is just coming back."""
PATIENCE_S: Final = 1.0
SHORTEST_S: Final = {FaultKind.LEADERLESS: 90.0, FaultKind.STORM: 20.0}
"""A fault that a profile's longest one would cut shorter than this is left out: it would be another fault."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault: from `at` to `until`, both in seconds after the load began; healthy `limit_s` later at the latest."""

    index: int
    at: float
    until: float
    family: str
    fault: FaultKind
    component: str
    variant: str
    limit_s: float

    @property
    def takes(self) -> frozenset[str]:
        """The processes and servers that are away meanwhile, or as good as away."""
        return takes(self.fault, self.component)

    @property
    def is_long(self) -> bool:
        return self.until - self.at >= LONG_S

    def as_json(self) -> dict[str, Any]:
        """For the run's folder."""
        return {
            "planned": self.index,
            "at": self.at,
            "until": self.until,
            "family": self.family,
            "fault": self.fault.value,
            "component": self.component,
            "variant": self.variant,
            "limit_s": self.limit_s,
        }


def plan(profile: Profile, seed: int, *, keep_quorum: bool = True) -> tuple[Planned, ...]:
    """The faults of a run in the order of their beginnings.

    Each cell of the profile comes once, the riskiest first, as far as the time allows; then they are drawn by lot. Two
    faults that together would take away what neither takes alone are kept apart, unless `keep_quorum` is off.
    """
    chance = random.Random(f"{profile.name} {seed}")
    every = [cell for cell in cells(profile.brokers) if cell.family in profile.faults and _is_whole(cell, profile)]
    untried = sorted(every, key=lambda cell: (cell.risk, chance.random()))
    planned: list[Planned] = []
    at = profile.quiet_s
    while every and at < profile.load_s - profile.quiet_s:
        chosen = _choose(untried, every, planned, profile, at=at, chance=chance, keep_quorum=keep_quorum)
        if chosen is None:
            at += PATIENCE_S
            continue
        cell, one = chosen
        planned.append(one)
        if cell in untried:
            untried.remove(cell)
        at += chance.uniform(*profile.every_s)
    return tuple(planned)


def _is_whole(cell: Cell, profile: Profile) -> bool:
    return min(cell.lasts_s or profile.pause_s, profile.longest_s) >= SHORTEST_S.get(cell.fault, 0.0)


def _choose(
    untried: Sequence[Cell],
    every: Sequence[Cell],
    planned: Sequence[Planned],
    profile: Profile,
    *,
    at: float,
    chance: random.Random,
    keep_quorum: bool,
) -> tuple[Cell, Planned] | None:
    """The first cell that fits here: of those not tried yet in their order, then of all by lot."""
    drawn = sorted(every, key=lambda _: chance.random())
    for cell in (*untried, *drawn):
        lasts = min(cell.lasts_s or profile.pause_s, profile.longest_s)
        if at + lasts > profile.load_s - profile.quiet_s:
            continue
        for component in chance.sample(cell.components, len(cell.components)):
            one = Planned(
                index=len(planned),
                at=round(at, 2),
                until=round(at + lasts, 2),
                family=cell.family.value,
                fault=cell.fault,
                component=component,
                variant=chance.choice(cell.variants),
                limit_s=cell.limit_s,
            )
            if fits(one, planned, brokers=profile.brokers, keep_quorum=keep_quorum):
                return cell, one
    return None


def fits(one: Planned, others: Sequence[Planned], *, brokers: int, keep_quorum: bool = True) -> bool:
    """Whether it may be under way beside those of the others that are, then or at any moment later."""
    beside = [other for other in others if one.at < other.until + SETTLES_S and other.at < one.until + SETTLES_S]
    if any(_touches(one, other) for other in beside):
        return False
    if len(beside) >= MOST_AT_ONCE or (one.is_long and sum(other.is_long for other in beside) >= MOST_LONG_AT_ONCE):
        return False
    return not keep_quorum or not any(
        takes_quorum(group, brokers=brokers)
        for size in range(1, len(beside) + 1)
        for group in ((one, *some) for some in combinations(beside, size))
    )


def takes_quorum(faults: Sequence[Planned], *, brokers: int) -> bool:
    """Whether these together take away something that none of them takes away alone."""
    together = frozenset[str]().union(*(fault.takes for fault in faults))
    return any(
        _is_lost(needed, spare, together) and not any(_is_lost(needed, spare, fault.takes) for fault in faults)
        for needed, spare in _needs(brokers)
    )


def _needs(brokers: int) -> tuple[tuple[frozenset[str], int], ...]:
    """What has to be there, and how many of it may be away."""
    pairs = ((frozenset(pair), len(pair) - 1) for pair in PAIRS)
    return ((frozenset(BROKERS[:brokers]), (brokers - 1) // 2), *pairs)


def _is_lost(needed: frozenset[str], spare: int, away: frozenset[str]) -> bool:
    return len(needed & away) > spare


def _touches(one: Planned, other: Planned) -> bool:
    """Whether they are done to the same thing, so that healing one would heal or spoil the other.

    Both servers away at once, or one twice, would say nothing about either.
    """
    if _server(one) and _server(other):
        return True
    if one.component == other.component:
        return True
    return bool(_handled(one) & _handled(other))


def _server(fault: Planned) -> bool:
    return not fault.takes.isdisjoint({POSTGRES, *BROKERS})


def _handled(fault: Planned) -> frozenset[str]:
    """The processes and wires that this fault stops, starts or switches."""
    if fault.fault is FaultKind.STORM:
        return frozenset()
    wire = fault.component.partition(">")[0]
    return frozenset(WIRED[wire]) if wire in WIRED and ">" in fault.component else fault.takes
