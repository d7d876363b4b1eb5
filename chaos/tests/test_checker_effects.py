"""I4: once in effect, whatever was delivered how often."""

from pathlib import Path

import pytest
from yijian_chaos.checker import facts
from yijian_chaos.checker.effects import inbox_key
from yijian_chaos.checker.snapshot import DepartmentTask, Effect

from .breaking import Breaking, assert_found
from .checked_world import World


def first(world: World):
    """A birth that was granted."""
    return world.tables["applications"][0]


def answer_of(world: World, matter: str):
    return next(record for record in world.every("records", kind=facts.TASK_ANSWERED) if record.said[0] == matter)


def answer_in_two_ways(world: World) -> None:
    world.repeat(answer_of(world, "B3"), content=2)


def take_no_effect(world: World) -> None:
    world.drop("effects", world.find("effects", table="registration"))


def take_effect_twice(world: World) -> None:
    world.tables["effects"].append(world.find("effects", table="registration"))


def take_effect_twice_by_number(world: World) -> None:
    world.tables["effects"].append(world.find("effects", table="card"))


def take_effect_for_nobody(world: World) -> None:
    world.tables["effects"].append(Effect("taxation", "contribution", "11111111-1111-5111-8111-111111111111", None))


def take_effect_under_another_number(world: World) -> None:
    world.change("effects", world.find("effects", table="enrolment"), number="somebody else's")


def take_a_number_for_nobody(world: World) -> None:
    series = world.find("series", name="enrolment")
    world.change("series", series, last=series.last + 1)


def give_a_number_twice(world: World) -> None:
    one, other, *_ = (record for record in world.every("records", kind=facts.TASK_ANSWERED) if record.said[0] == "B7")
    world.change("records", other, said=one.said)


def have_a_task_that_nobody_asked_for(world: World) -> None:
    strange = DepartmentTask(
        "health", "22222222-2222-5222-8222-222222222222", first(world).id, "B2", "CANCELLED", False
    )
    world.tables["tasks"].append(strange)


def lose_a_task(world: World) -> None:
    world.drop("tasks", world.find("tasks", matter="C1"))


def leave_a_task_open(world: World) -> None:
    world.change("tasks", world.find("tasks", matter="C1"), state="IN_REVIEW")


def cancel_what_nobody_cancelled(world: World) -> None:
    world.change("tasks", world.find("tasks", matter="C1"), state="CANCELLED")


def take_another_decision_over(world: World) -> None:
    record = answer_of(world, "C1")
    world.change("records", record, said=("C1", "REJECTED", ""))


def note_twice(world: World) -> None:
    world.rest["inbox_repeated"] = {"taxation": 1}


def pass_a_request_over(world: World) -> None:
    """A department has not noted one of its records."""
    consumer = next(each for each in facts.CONSUMERS if each.store == "taxation")
    record = world.find("records", topic="department.taxation.tasks")
    world.inbox["taxation"].discard(inbox_key(consumer, record))


def pass_a_disclosure_over(world: World) -> None:
    consumer = next(each for each in facts.CONSUMERS if each.group == "data-exchange.disclosures")
    record = world.find("records", topic="approval.disclosures")
    world.inbox["data-exchange"].discard(inbox_key(consumer, record))


def invite_twice(world: World) -> None:
    world.tables["invitations"].append(first(world).id)


def invite_nobody(world: World) -> None:
    world.tables["invitations"].remove(first(world).id)


BREAKINGS: tuple[Breaking, ...] = (
    Breaking("I4", answer_in_two_ways),
    Breaking("I4", take_no_effect),
    Breaking("I4", take_effect_twice),
    Breaking("I4", take_effect_twice_by_number),
    Breaking("I4", take_effect_for_nobody),
    Breaking("I4", take_effect_under_another_number),
    Breaking("I4", take_a_number_for_nobody),
    Breaking("I4", give_a_number_twice),
    Breaking("I4", have_a_task_that_nobody_asked_for),
    Breaking("I4", lose_a_task),
    Breaking("I4", leave_a_task_open),
    Breaking("I4", cancel_what_nobody_cancelled),
    Breaking("I4", take_another_decision_over),
    Breaking("I4", note_twice),
    Breaking("I4", pass_a_request_over),
    Breaking("I4", pass_a_disclosure_over),
    Breaking("I4", invite_twice),
    Breaking("I4", invite_nobody),
)


@pytest.mark.parametrize("breaking", BREAKINGS, ids=str)
def test_what_is_broken_is_found_by_its_name(breaking: Breaking, world: World, tmp_path: Path):
    assert_found(breaking, world, tmp_path)
