"""What a run comes to: what was asked of the platform and how it answered, and where it fell short. Pure.

The checker judges what became of the data; here stands whether the platform was there, moved on, and came back in time.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from yijian_contracts.departments import departments

from yijian_chaos.availability import (
    Need,
    Share,
    Standstill,
    Window,
    accepted_share,
    accepting_standstills,
    between,
    completing_standstills,
    fault_windows,
    half_minutes,
    without,
)
from yijian_chaos.client import PREPARED_AHEAD_S
from yijian_chaos.history import Attempt, Kind, Phase
from yijian_chaos.matrix import API, BROKERS, BUREAU, POSTGRES, RELAYS, WORKERS, FaultKind
from yijian_chaos.profiles import EVERY_FAMILY, Profile
from yijian_chaos.schedule import Planned
from yijian_chaos.topology import DOUBLED

LEAST_ACCEPTED_SHARE = 0.99
# Of fewer operations one would be more than a hundredth, and the share would say nothing.
ENOUGH_FOR_A_SHARE = 100
# The other parent's word, signed by identity: its clients fetch it before their moment comes.
WORDS = "the other parent's word"
EXPECTED_REFUSALS = frozenset({"/problems/authorisation-refused"})
# What a machine that is busy with something else may break too; all other rules hold on any.
OF_TIME = frozenset({"accepted", "progress", "late"})
NEVER_TESTED = (
    "loss of power of the host, which may take what Kafka and the page cache hold",
    "more than one host, and whatever a real network and a container platform add",
    "a second version of the programs beside the first",
    "wrong bits: on disk, in memory, on the wire",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Where a run fell short, in a sentence, with the figures."""

    rule: str
    what: str
    where: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was seen from outside. Unix seconds; `rested_s` is None when the platform never came to rest.

    `completed` are samples of how many applications had ended.
    """

    profile: Profile
    attempts: Sequence[Attempt]
    plan: Sequence[Planned]
    timeline: Sequence[Mapping[str, Any]]
    skipped: Mapping[int, str]
    completed: Sequence[tuple[float, int]]
    load: tuple[float, float]
    undecided: int
    rested_s: float | None
    waiting: Mapping[str, str]
    failures: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Availability:
    """Acceptance outside fault windows, and progress in every half minute in which all that it takes was there."""

    accepted: Share
    standstills: Sequence[Standstill]
    half_minutes: Mapping[str, int]


def operations(attempts: Iterable[Attempt]) -> int:
    """What clients wanted: first attempts and deliberate repetitions, not what was asked again unanswered."""
    return sum(a.call.retry_of is None or (a.call.deliberate and a.phase is Phase.OK) for a in attempts)


def by_kind(attempts: Iterable[Attempt]) -> dict[str, dict[str, int]]:
    """Attempts by what was wanted and how they ended."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for attempt in attempts:
        counts[attempt.call.kind][attempt.phase] += 1
    return {kind.value: dict(counts[kind]) for kind in Kind if kind in counts}


def errors(attempts: Iterable[Attempt]) -> dict[str, int]:
    """What went wrong, by status and problem."""
    endings = [attempt.ending for attempt in attempts if attempt.ending and attempt.ending.error]
    return dict(Counter(f"{e.status or ''} {e.error}".strip() for e in endings).most_common())


def availability(facts: Facts) -> Availability:
    begin, end = facts.load
    until = facts.completed[-1][0] if facts.completed else end
    windows = [_as_felt(window) for window in fault_windows(facts.timeline, until=until)]
    hits = {planned.index: planned.takes | _spoils(planned.fault, planned.component) for planned in facts.plan}
    accepting = between(without(accepting_needs(), windows, hits), begin=begin, end=end)
    completing = between(without(completing_needs(facts.profile.brokers), windows, hits), begin=begin, end=end)
    submits = [a for a in facts.attempts if a.call.kind is Kind.SUBMIT and not a.call.deliberate]
    accepted_at = [a.ended for a in submits if a.phase is Phase.OK and a.ended is not None]
    during = [a for a in facts.attempts if begin <= a.began <= end]
    return Availability(
        accepted=accepted_share(during, windows),
        standstills=[
            *accepting_standstills(accepted_at, accepting),
            *completing_standstills(facts.completed, completing),
        ],
        half_minutes={"accepted": half_minutes(accepting), "completed": half_minutes(completing)},
    )


def _spoils(fault: str, component: str) -> frozenset[str]:
    """What else is as good as away: words that identity signed by a wrong clock are refused."""
    return frozenset({WORDS} if (fault, component) == (FaultKind.SKEW, "identity") else ())


def _as_felt(window: Window) -> Window:
    """Clients bring such words along for as long as they prepare ahead, however soon identity is healthy again."""
    felt_s = PREPARED_AHEAD_S if _spoils(window.fault, window.component) else 0.0
    return replace(window, end=window.end + felt_s)


def accepting_needs() -> tuple[Need, ...]:
    """Whoever accepts an application, and what the applicant has to bring."""
    return Need(frozenset(API)), Need(frozenset({POSTGRES})), Need(frozenset({WORDS}))


def completing_needs(brokers: int) -> tuple[Need, ...]:
    """Whoever has to be there for an application to be decided to the end."""
    alone = {code for code in departments() if code != DOUBLED} | {"data-exchange"}
    return (
        *accepting_needs(),
        *(Need(frozenset(pair)) for pair in (WORKERS, RELAYS, BUREAU)),
        *(Need(frozenset({name})) for name in sorted(alone)),
        Need(frozenset(BROKERS[:brokers]), brokers // 2 + 1),
    )


def findings(facts: Facts, seen: Availability) -> list[Finding]:
    """Every rule of a run that was not kept."""
    return [*_of_load(facts, seen), *_of_faults(facts), *_of_the_end(facts)]


def _of_load(facts: Facts, seen: Availability) -> Iterable[Finding]:
    if (wanted := operations(facts.attempts)) < facts.profile.least_operations:
        yield Finding("operations", f"{wanted} operations are fewer than {facts.profile.least_operations}")
    share = seen.accepted
    if share.asked >= ENOUGH_FOR_A_SHARE and share.value < LEAST_ACCEPTED_SHARE:
        yield Finding("accepted", f"{share.well} of {share.asked} were accepted at the first answer outside faults")
    for still in seen.standstills:
        figures = {"begin": still.begin, "end": still.end, "count": still.count}
        yield Finding("progress", f"{still.count} {still.what} in half a minute with everything there", figures)
    refused = [a for a in facts.attempts if a.call.kind is Kind.SUBMIT and a.ending and _is_refusal(a)]
    for attempt in refused:
        where = {"op": attempt.op, "actor": attempt.call.actor}
        yield Finding("refused", f"an application was refused: {attempt.ending and attempt.ending.error}", where)
    if facts.undecided:
        yield Finding("undecided", f"{facts.undecided} operations were never decided")
    for failure in facts.failures:
        yield Finding("harness", f"the run itself failed: {failure}")


def _is_refusal(attempt: Attempt) -> bool:
    """A family applies once, with a form that is right: nothing but a word that grew too old can be refused."""
    ending = attempt.ending
    if ending is None or ending.status is None or ending.status >= 500 or ending.phase is not Phase.FAIL:
        return False
    return ending.status not in (401, 408, 425, 429) and ending.error not in EXPECTED_REFUSALS


def _of_faults(facts: Facts) -> Iterable[Finding]:
    injected = [event for event in facts.timeline if event["event"] == "inject"]
    if len(injected) < facts.profile.least_faults:
        yield Finding("faults", f"{len(injected)} faults are fewer than {facts.profile.least_faults}")
    recovered = {event["planned"]: event for event in facts.timeline if event["event"] == "recovered"}
    for event in injected:
        name = f"{event['fault']} {event['component']}"
        back = recovered.get(event["planned"])
        if back is None:
            yield Finding("recovery", f"{name}: not healthy again", {"planned": event["planned"]})
        elif back["after_s"] > back["limit_s"]:
            late = f"{name}: healthy after {back['after_s']:.1f} s, not within {back['limit_s']:.0f}"
            yield Finding("late", late, {"planned": event["planned"]})


def _of_the_end(facts: Facts) -> Iterable[Finding]:
    if facts.rested_s is None:
        yield Finding("rest", f"not at rest {facts.profile.rest_within_s:.0f} s after the last heal", facts.waiting)


@dataclass(frozen=True, slots=True)
class CellResult:
    """All faults of one cell together."""

    fault: str
    component: str
    injected: int
    worst_s: float | None
    limit_s: float | None


def cells(timeline: Iterable[Mapping[str, Any]]) -> list[CellResult]:
    """What was tried how often, and the slowest recovery."""
    injected: Counter[tuple[str, str]] = Counter()
    back: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for event in timeline:
        if event["event"] == "inject":
            injected[event["fault"], event["component"]] += 1
        elif event["event"] == "recovered":
            back[event["fault"], event["component"]].append((event["after_s"], event["limit_s"]))
    return [
        CellResult(fault, component, count, *(max(back[fault, component], default=(None, None))))
        for (fault, component), count in sorted(injected.items())
    ]


def bound(violations: int, looked_at: int) -> str:
    """What so many clean cases say: the rule of three, at 95 %."""
    if not looked_at:
        return "nothing was looked at"
    if violations:
        return f"{violations} in {looked_at:,}"
    return f"0 in {looked_at:,}, which means less than {3 / looked_at:.1e} for each at 95 %"


def not_tested(profile: Profile, skipped: Mapping[int, str]) -> list[str]:
    """What nobody may conclude anything about from this run."""
    left_out = [f"faults of the family {family}" for family in EVERY_FAMILY if family not in profile.faults]
    could_not = [f"{count} × {why}" for why, count in Counter(skipped.values()).items()]
    return [*left_out, *could_not, *NEVER_TESTED]
