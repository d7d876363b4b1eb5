"""Fault windows, the share that was accepted outside them, and half minutes without progress."""

from typing import Any

import pytest
from yijian_chaos.availability import (
    Need,
    Share,
    Window,
    accepted_share,
    accepting_standstills,
    between,
    completing_standstills,
    fault_windows,
    half_minutes,
    without,
)
from yijian_chaos.history import Attempt, Call, Ending, Kind, Phase

REFUSED = Ending(Phase.FAIL, error="connection-refused")
BUSY = Ending(Phase.FAIL, 503, error="/problems/service-unavailable")
LATE = Ending(Phase.INFO, error="TimeoutError")
ACCEPTED = Ending(Phase.OK, 202, application="a")


def submit(
    op: int, at: float, ending: Ending | None, *, retry_of: int | None = None, deliberate: bool = False
) -> Attempt:
    call = Call(Kind.SUBMIT, f"mother-{op}", "approval-api-1", key=f"k{op}", retry_of=retry_of, deliberate=deliberate)
    return Attempt(op, call, at, at + 0.1, ending)


def event(kind: str, planned: int, at: float, component: str = "approval-api-1") -> dict[str, Any]:
    return {"event": kind, "planned": planned, "at": at, "fault": "kill", "component": component}


def window(begin: float, end: float, planned: int = 0) -> Window:
    return Window(planned, "kill", "approval-api-1", begin, end)


# --- windows ---------------------------------------------------------------------------------------------------------


def test_a_fault_lasts_until_what_it_hit_was_healthy_not_only_until_its_heal():
    timeline = [event("inject", 0, 10), event("heal", 0, 20), event("recovered", 0, 24)]
    assert fault_windows(timeline, until=100) == [window(10, 24)]


def test_a_fault_after_which_nothing_became_healthy_lasts_to_the_end():
    assert fault_windows([event("inject", 3, 10), event("heal", 3, 20)], until=100) == [window(10, 100, 3)]


def test_what_was_skipped_is_no_window():
    assert fault_windows([event("skipped", 0, 10)], until=100) == []


# --- acceptance ------------------------------------------------------------------------------------------------------


def test_an_application_counts_by_its_first_answer():
    attempts = [
        submit(0, 1, ACCEPTED),
        submit(1, 2, BUSY),
        submit(2, 3, ACCEPTED, retry_of=1),
        submit(3, 4, LATE),
        submit(4, 5, ACCEPTED, retry_of=3),
    ]
    assert accepted_share(attempts, []) == Share(asked=3, well=1)


def test_the_other_address_makes_up_for_a_connection_that_nobody_takes():
    attempts = [submit(0, 1, REFUSED), submit(1, 1.2, ACCEPTED, retry_of=0)]
    assert accepted_share(attempts, []) == Share(asked=1, well=1)


def test_connections_refused_by_both_and_never_answered_count_as_not_accepted():
    attempts = [submit(0, 1, REFUSED), submit(1, 1.2, REFUSED, retry_of=0)]
    assert accepted_share(attempts, []) == Share(asked=1, well=0)


def test_what_began_within_a_fault_window_counts_neither_way():
    attempts = [submit(0, 1, ACCEPTED), submit(1, 15, LATE), submit(2, 25, ACCEPTED)]
    assert accepted_share(attempts, [window(10, 20)]) == Share(asked=2, well=2)


def test_deliberate_repetitions_and_looks_are_no_applications():
    look = Attempt(1, Call(Kind.QUERY, "mother-1", "approval-api-1"), 2, 2.1, LATE)
    attempts = [submit(0, 1, ACCEPTED), look, submit(2, 3, LATE, retry_of=0, deliberate=True)]
    assert accepted_share(attempts, []) == Share(asked=1, well=1)


def test_an_attempt_without_an_end_was_not_accepted():
    assert accepted_share([submit(0, 1, None)], []) == Share(asked=1, well=0)


# --- what was there --------------------------------------------------------------------------------------------------

PAIR = Need(frozenset({"api-1", "api-2"}))
ALONE = Need(frozenset({"postgres"}))
BROKERS = Need(frozenset({"kafka-1", "kafka-2", "kafka-3"}), least=2)


def test_one_of_a_pair_may_be_away_and_both_may_not():
    windows = [window(10, 30, 0), window(20, 40, 1)]
    hits = {0: frozenset({"api-1"}), 1: frozenset({"api-2"})}

    assert without([PAIR], windows[:1], hits) == []
    assert without([PAIR], windows, hits) == [(20, 30)]
    assert without([ALONE], windows, hits) == []


def test_two_brokers_of_three_are_a_quorum():
    windows = [window(10, 30, 0), window(20, 40, 1)]
    hits = {0: frozenset({"kafka-1"}), 1: frozenset({"kafka-3"})}

    assert without([BROKERS], windows[:1], hits) == []
    assert without([BROKERS], windows, hits) == [(20, 30)]


def test_times_with_everything_there_are_what_is_left():
    missing = without(
        [ALONE],
        [window(10, 20, 0), window(15, 30, 1), window(50, 60, 2)],
        dict.fromkeys(range(3), frozenset({"postgres"})),
    )
    assert missing == [(10, 30), (50, 60)]
    assert between(missing, begin=0, end=100) == [(0, 10), (30, 50), (60, 100)]
    assert between(missing, begin=12, end=55) == [(30, 50)]
    assert between([], begin=0, end=100) == [(0, 100)]
    assert half_minutes([(0, 10), (30, 95)]) == 2


# --- progress --------------------------------------------------------------------------------------------------------


def test_an_acceptance_a_second_is_progress_and_less_is_not():
    every_second = [float(second) for second in range(101)]
    assert accepting_standstills(every_second, [(0, 100)]) == []

    stills = accepting_standstills([*every_second[:20], *every_second[48:]], [(0, 100)])
    assert {still.what for still in stills} == {"accepted"}
    assert all(still.count < 30 and still.begin < 48 and still.end > 20 for still in stills)
    assert stills


def test_a_hole_while_something_needed_was_away_is_nobodys_fault():
    around = [*map(float, range(21)), *map(float, range(60, 101))]
    assert accepting_standstills(around, [(0, 100)])
    assert accepting_standstills(around, [(0, 20), (60, 100)]) == []


def test_half_a_minute_without_a_completed_application_is_a_standstill():
    growing = [(float(at), at) for at in range(0, 100, 5)]
    assert completing_standstills(growing, [(0, 100)]) == []

    stuck = [(at, count if at < 30 else 30) for at, count in growing]
    stills = completing_standstills(stuck, [(0, 100)])
    assert [still.what for still in stills] == ["completed", "completed"]
    assert stills[0].begin == pytest.approx(30, abs=5)
    assert completing_standstills(stuck, [(0, 55)]) == [], "not yet half a minute"
