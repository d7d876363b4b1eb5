"""I3: one end for each application, by a path of the state machine."""

from dataclasses import replace
from pathlib import Path

import pytest
from yijian_chaos.checker import check

from .breaking import Breaking, assert_found
from .checked_world import World


def first(world: World):
    """A birth that was granted."""
    return world.tables["applications"][0]


def withdrawn(world: World):
    return world.find("applications", status="WITHDRAWN")


def leave_an_application_open(world: World) -> None:
    """Its last line and what it told are not there."""
    application = world.tables["applications"][4]
    changes = {"status": "IN_PROGRESS", "state_status": "IN_PROGRESS", "outcome": None}
    world.change("applications", application, **changes)
    world.history = [line for line in world.history if line.get("state") != "COMPLETED"]
    line = world.find("timeline", application=application.id, kind="COMPLETED")
    world.change("timeline", line, kind="TASK_RESENT")


def end_twice(world: World) -> None:
    line = world.find("timeline", application=withdrawn(world).id, kind="ANSWER_IGNORED")
    world.change("timeline", line, kind="COMPLETED")


def write_behind_the_end(world: World) -> None:
    line = world.find("timeline", application=withdrawn(world).id, kind="ANSWER_IGNORED")
    world.change("timeline", line, kind="TASK_RECEIVED")


def overwrite_an_end_by_a_late_result(world: World) -> None:
    """A withdrawn task is opened again and decided."""
    application = withdrawn(world)
    line = world.find("timeline", application=application.id, kind="ANSWER_IGNORED")
    states = ("ACCEPTED", "IN_REVIEW", "DECIDED_APPROVED", "CLOSED")
    world.change("timeline", line, kind="TASK_DECIDED", states=states)
    world.change_task(application, "B1", state="CLOSED", decision="APPROVED", answers=1)


def leave_a_gap_in_a_timeline(world: World) -> None:
    world.drop("timeline", world.find("timeline", application=withdrawn(world).id, kind="ANSWER_IGNORED"))


def take_a_step_that_there_is_not(world: World) -> None:
    line = world.find("timeline", application=first(world).id, task="C1", kind="TASK_DECIDED")
    world.change("timeline", line, states=("DECIDED_APPROVED", "CLOSED"))


def let_columns_and_state_disagree(world: World) -> None:
    world.change("applications", first(world), state_status="WITHDRAWN")


def promise_another_outcome(world: World) -> None:
    world.change("applications", first(world), outcome="PARTLY")


def let_a_task_stand_elsewhere(world: World) -> None:
    """A superuser's edit."""
    application = world.find("applications", outcome="PARTLY")
    world.change_task(application, "B3-1", state="NOT_NEEDED")


def ask_too_early(world: World) -> None:
    """B4 is requested in the line in which B1 was."""
    lines = world.every("timeline", application=first(world).id, kind="TASK_REQUESTED")
    (b1,) = (line for line in lines if line.task == "B1")
    (b4,) = (line for line in lines if line.task == "B4-1")
    world.change("timeline", b1, task=b4.task)
    world.change("timeline", b4, task=b1.task)
    decided = world.every("timeline", application=first(world).id, kind="TASK_DECIDED")
    (d1,) = (line for line in decided if line.task == "B1")
    (d4,) = (line for line in decided if line.task == "B4-1")
    world.change("timeline", d1, task=d4.task)
    world.change("timeline", d4, task=d1.task)


def have_more_tasks_than_a_birth(world: World) -> None:
    application = first(world)
    world.change("applications", application, tasks=(*application.tasks, replace(application.tasks[0], key="C1-2")))


BREAKINGS: tuple[Breaking, ...] = (
    Breaking("I3", leave_an_application_open),
    Breaking("I3", end_twice),
    Breaking("I3", write_behind_the_end),
    Breaking("I3", overwrite_an_end_by_a_late_result),
    Breaking("I3", leave_a_gap_in_a_timeline),
    Breaking("I3", take_a_step_that_there_is_not),
    Breaking("I3", let_columns_and_state_disagree),
    Breaking("I3", promise_another_outcome),
    Breaking("I3", let_a_task_stand_elsewhere),
    Breaking("I3", ask_too_early),
    Breaking("I3", have_more_tasks_than_a_birth),
)


@pytest.mark.parametrize("breaking", BREAKINGS, ids=str)
def test_what_is_broken_is_found_by_its_name(breaking: Breaking, world: World, tmp_path: Path):
    assert_found(breaking, world, tmp_path)


def test_where_nothing_stands_in_the_way_everything_is_granted(world: World, tmp_path: Path):
    """A birth that a department refused is a right end in a city, and none in a run in which all of them are fine."""
    refused = world.find("applications", outcome="PARTLY")
    folder, snapshot = world.write(tmp_path), world.snapshot()

    assert check(folder, snapshot, may_be_empty=()).ok
    verdict = check(folder, snapshot, may_be_empty=(), all_fine=True)
    assert {violation.where["application"] for violation in verdict.violations} == {refused.id}
