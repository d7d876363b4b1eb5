"""The clients' plan: the same for a seed, open loop, and with something of everything."""

from collections import Counter
from itertools import pairwise

import pytest
from yijian_chaos.operations import SHARES, Operation, Story, Wish, plan_operations
from yijian_chaos.profiles import LONG, PROFILES, SMOKE, STANDARD, Profile


def submits(planned: tuple[Operation, ...]) -> list[Operation]:
    return [operation for operation in planned if operation.wish is Wish.SUBMIT]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=str)
def test_a_seed_gives_the_same_plan_again_and_another_seed_another(profile: Profile):
    assert plan_operations(profile, 7) == plan_operations(profile, 7)
    assert plan_operations(profile, 7) != plan_operations(profile, 8)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_operations_begin_throughout_the_load_at_the_rate_of_the_profile(profile: Profile):
    planned = submits(plan_operations(profile, 1))

    assert len(planned) == profile.submissions
    assert planned[0].at >= 0
    assert planned[-1].at <= profile.load_s
    # One in each slot of the rate: no burst, no hole.
    assert max(later.at - earlier.at for earlier, later in pairwise(planned)) <= 2 / profile.submits_per_s + 0.01


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_a_plan_has_enough_operations_and_each_family_applies_once(profile: Profile):
    planned = plan_operations(profile, 1)

    assert len(planned) >= profile.least_operations
    families = [operation.family for operation in submits(planned)]
    assert len(set(families)) == len(families)
    assert {operation.family for operation in planned} == set(families)
    assert max(families) < profile.first_probe
    assert profile.first_probe + profile.probe_families - 1 == profile.families


def test_nothing_is_wanted_of_an_application_before_it_is_handed_in():
    planned = plan_operations(STANDARD, 3)
    begun = {operation.family: operation.at for operation in submits(planned)}

    assert all(operation.at >= begun[operation.family] for operation in planned)
    assert [operation.at for operation in planned] == sorted(operation.at for operation in planned)


def test_a_standard_run_has_every_story_in_its_share_and_what_belongs_to_it():
    planned = plan_operations(STANDARD, 5)
    stories = Counter(operation.story for operation in submits(planned))
    wishes = {story: Counter(o.wish for o in planned if o.story is story) for story in Story}

    for story, share in SHARES.items():
        assert stories[story] / STANDARD.submissions == pytest.approx(share, abs=0.03)
        assert stories[story] > 0
    assert wishes[Story.CORRECTED][Wish.CORRECT] == stories[Story.CORRECTED]
    assert wishes[Story.WITHDRAWN][Wish.WITHDRAW] == stories[Story.WITHDRAWN]
    assert wishes[Story.HASTY][Wish.WITHDRAW] == stories[Story.HASTY]
    assert wishes[Story.UNCONSENTED][Wish.WITHDRAW_CONSENT] == stories[Story.UNCONSENTED]
    assert wishes[Story.UNCONSENTED][Wish.CORRECT] == stories[Story.UNCONSENTED]
    assert wishes[Story.PLAIN].keys() <= {Wish.SUBMIT, Wish.LOOK, Wish.REPEAT}
    repeated = sum(operation.wish is Wish.REPEAT for operation in planned)
    assert repeated / STANDARD.submissions == pytest.approx(0.05, abs=0.03)


def test_what_begins_with_a_mistake_comes_to_an_end_by_somebody():
    for operation in submits(plan_operations(LONG, 2)):
        if operation.story.mistaken:
            assert operation.story in (Story.CORRECTED, Story.WITHDRAWN, Story.UNCONSENTED)


def test_a_shorter_run_asks_for_less():
    short = SMOKE.lasting(35)

    assert (short.submissions, short.least_operations) == (SMOKE.submissions // 2, SMOKE.least_operations // 2)
    assert SMOKE.without_faults().faults == ()
    assert LONG.least_operations >= 36_000
    assert LONG.least_faults >= 120
