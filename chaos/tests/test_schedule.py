"""Schedules: decided by the seed alone, over before the end, and never worse than a platform may have to bear."""

from dataclasses import replace
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yijian_chaos.matrix import API, PAIRS, POSTGRES, WORKERS, Cell, FaultKind, cells, takes
from yijian_chaos.profiles import LONG, PROFILES, STANDARD, Profile
from yijian_chaos.schedule import MOST_AT_ONCE, Planned, fits, plan, takes_quorum

SEEDS = st.integers(min_value=0, max_value=2**32)
SHAPES = st.builds(
    lambda profile, brokers: replace(profile, brokers=brokers),
    st.sampled_from([PROFILES["smoke"], STANDARD]),
    st.sampled_from([1, 3]),
)
few = settings(max_examples=10, deadline=None)


def fault(kind: FaultKind, component: str, at: float = 0, until: float = 10) -> Planned:
    return Planned(0, at, until, "processes", kind, component, "", 20)


def cell_of(planned: Planned, brokers: int) -> Cell:
    (found,) = (
        cell
        for cell in cells(brokers)
        if cell.fault is planned.fault
        and planned.component in cell.components
        and planned.variant in cell.variants
        and cell.family == planned.family
    )
    return found


@few
@given(SHAPES, SEEDS)
def test_the_same_seed_is_the_same_plan(profile: Profile, seed: int):
    assert plan(profile, seed) == plan(profile, seed)


def test_another_seed_is_another_plan():
    assert plan(STANDARD, 1) != plan(STANDARD, 2)


@few
@given(SHAPES, SEEDS)
def test_every_fault_is_of_the_matrix_and_of_the_profile_and_healed_before_the_end(profile: Profile, seed: int):
    planned = plan(profile, seed)
    assert [one.index for one in planned] == list(range(len(planned)))
    assert [one.at for one in planned] == sorted(one.at for one in planned)
    for one in planned:
        cell = cell_of(one, profile.brokers)
        assert cell.family in profile.faults
        assert cell.limit_s == one.limit_s
        assert profile.quiet_s <= one.at < one.until <= profile.load_s - profile.quiet_s
        assert one.until - one.at <= profile.longest_s + 0.01


@few
@given(SHAPES, SEEDS)
def test_faults_come_no_closer_than_the_profile_says_and_rarely_much_later(profile: Profile, seed: int):
    planned = plan(profile, seed)
    gaps = [later.at - earlier.at for earlier, later in pairwise(planned)]
    assert min(gaps) >= profile.every_s[0] - 0.02
    assert sum(gaps) / len(gaps) <= profile.every_s[1]
    assert len(planned) >= profile.least_faults


@few
@given(SHAPES, SEEDS)
def test_no_two_together_take_away_what_neither_takes_alone(profile: Profile, seed: int):
    planned = plan(profile, seed)
    for one in planned:
        beside = [other for other in planned if other is not one and other.at < one.until and one.at < other.until]
        under_way = [other for other in beside if other.at <= one.at]
        assert len(under_way) < MOST_AT_ONCE
        for other in beside:
            assert not takes_quorum((one, other), brokers=profile.brokers)
        for pair in PAIRS:
            away = [other for other in under_way if set(pair) & other.takes and not set(pair) <= other.takes]
            assert len({name for other in (one, *away) for name in other.takes & set(pair)}) <= 1 or (
                set(pair) <= one.takes
            )


@few
@given(SHAPES, SEEDS)
def test_nothing_is_done_twice_to_the_same_at_once_and_the_servers_are_away_one_at_a_time(profile: Profile, seed: int):
    for one, other in combinations(plan(profile, seed), 2):
        if one.at < other.until and other.at < one.until:
            assert one.component != other.component
            servers = [POSTGRES in f.takes or any(name.startswith("kafka") for name in f.takes) for f in (one, other)]
            assert not all(servers)


@settings(max_examples=4, deadline=None)
@given(SEEDS, st.sampled_from([1, 3]))
def test_a_long_run_has_every_cell_and_the_riskiest_first(seed: int, brokers: int):
    planned = plan(replace(LONG, brokers=brokers), seed)
    tried = [cell_of(one, brokers) for one in planned]
    assert set(tried) == set(cells(brokers))
    riskiest = {cell for cell in cells(brokers) if cell.risk == 0}
    assert riskiest <= set(tried[: len(tried) // 3])


@pytest.mark.parametrize("family", ["disk", "clock", "records", "kafka_faults", "postgres_faults"])
def test_a_standard_run_has_every_family(family: str):
    for seed in range(5):
        planned = plan(STANDARD, seed)
        assert any(one.family == family for one in planned)
        assert {FaultKind.LEADERLESS, FaultKind.STORM} <= {one.fault for one in planned}


def test_a_profile_without_faults_has_none():
    assert plan(STANDARD.without_faults(), 1) == ()


def test_both_of_a_pair_are_only_away_together_if_one_fault_takes_both():
    first, second = (fault(FaultKind.KILL, name) for name in WORKERS)
    assert takes_quorum((first, second), brokers=1)
    assert not fits(second, [first], brokers=1)
    assert fits(second, [first], brokers=1, keep_quorum=False)
    assert fits(replace(second, at=100, until=110), [first], brokers=1)
    assert takes(FaultKind.HANG, "approval-api>postgres") == set(API)
    assert not takes_quorum((fault(FaultKind.HANG, "approval-api>postgres"), first), brokers=1)


def test_one_of_three_brokers_may_be_away_and_not_two():
    first, second = (fault(FaultKind.BROKER_PAUSE, f"kafka-{number}") for number in (1, 2))
    assert not takes_quorum((first,), brokers=3)
    assert takes_quorum((first, second), brokers=3)


def test_a_process_whose_wire_is_cut_is_not_killed_as_well():
    cut = fault(FaultKind.HANG, "approval-relay-1>kafka")
    assert not fits(fault(FaultKind.KILL, "approval-relay-1"), [cut], brokers=1)
    assert fits(fault(FaultKind.KILL, "identity"), [cut], brokers=1)
