"""I1 and I2: what clients were told, and what became of it."""

from pathlib import Path

import pytest
from yijian_chaos.checker.snapshot import Withdrawal

from .breaking import Breaking, assert_found
from .checked_world import World


def first(world: World):
    """A birth that was granted."""
    return world.tables["applications"][0]


def corrected(world: World):
    return world.find("applications", form_revision=2)


def lose_an_application(world: World) -> None:
    world.drop("applications", first(world))


def forget_an_answer(world: World) -> None:
    world.tables["request_keys"].remove(first(world).id)


def lose_a_withdrawal(world: World) -> None:
    """It is accepted for an application that was granted all the same."""
    world.history += [
        {"op": 9001, "phase": "invoke", "kind": "withdraw", "key": None, "actor": "m", "application": first(world).id},
        {"op": 9001, "phase": "ok", "status": 200, "application": first(world).id},
    ]


def lose_a_correction(world: World) -> None:
    application = corrected(world)
    about = {"kind": "correct", "key": "another", "actor": "m", "application": application.id}
    world.history += [
        {"op": 9001, "phase": "invoke", **about},
        {"op": 9001, "phase": "ok", "status": 200, "application": application.id},
    ]


def forget_that_a_consent_was_withdrawn(world: World) -> None:
    world.tables["withdrawals"].clear()


def not_carry_a_withdrawn_consent_out(world: World) -> None:
    world.tables["withdrawals"].append(Withdrawal(first(world).id, "card-notice", "MOTHER"))


def answer_a_key_with_another_application(world: World) -> None:
    """The repetition of a submission is told of a neighbour's."""
    neighbour = world.tables["applications"][3].id
    first_key = next(line["key"] for line in world.history if line["phase"] == "invoke")
    world.history += [
        {"op": 9001, "phase": "invoke", "kind": "submit", "key": first_key, "actor": "m"},
        {"op": 9001, "phase": "ok", "status": 202, "application": neighbour},
    ]


def have_an_application_that_nobody_asked_for(world: World) -> None:
    world.history = [line for line in world.history if line["op"] != 0]


def leave_a_key_undecided(world: World) -> None:
    world.history += [
        {"op": 9001, "phase": "invoke", "kind": "submit", "key": "lost", "actor": "m"},
        {"op": 9001, "phase": "info", "status": None, "error": "TimeoutError"},
        {"op": 9002, "phase": "invoke", "kind": "submit", "key": "lost", "actor": "m", "retry_of": 9001},
        {"op": 9002, "phase": "fail", "status": 503, "error": "unavailable"},
    ]


def look(world: World, **heard: object) -> None:
    application = heard.pop("application", first(world).id)
    world.history += [
        {"op": 9001, "phase": "invoke", "kind": "query", "key": None, "actor": "m", "application": application},
        {"op": 9001, "phase": "ok", "status": 200, "application": application, **heard},
    ]


def show_an_earlier_version(world: World) -> None:
    look(world, version=2, state="COMPLETED")


def show_more_than_there_is(world: World) -> None:
    look(world, version=first(world).version + 1, state="COMPLETED")


def take_an_end_back(world: World) -> None:
    look(world, version=first(world).version, state="IN_PROGRESS")


def not_know_an_accepted_application(world: World) -> None:
    look(world, phase="fail", status=404)


def correct_more_often_than_asked(world: World) -> None:
    forget(world, "correct")


def forget(world: World, kind: str) -> None:
    """Nobody asked for anything of this kind."""
    asked = {line["op"] for line in world.history if line.get("kind") == kind}
    world.history = [line for line in world.history if line["op"] not in asked]


def withdraw_what_nobody_took_back(world: World) -> None:
    """Everything fits the end, but that nobody asked for it."""
    forget(world, "withdraw")


def end_a_consent_that_nobody_took_back(world: World) -> None:
    forget(world, "consent-withdraw")


BREAKINGS: tuple[Breaking, ...] = (
    Breaking("I1", lose_an_application, also=frozenset({"I4", "I7"})),
    Breaking("I1", forget_an_answer),
    Breaking("I1", lose_a_withdrawal),
    Breaking("I1", lose_a_correction),
    Breaking("I1", forget_that_a_consent_was_withdrawn),
    Breaking("I1", not_carry_a_withdrawn_consent_out),
    Breaking("I2", answer_a_key_with_another_application),
    Breaking("I2", have_an_application_that_nobody_asked_for),
    Breaking("I2", leave_a_key_undecided),
    Breaking("I2", show_an_earlier_version),
    Breaking("I2", show_more_than_there_is),
    Breaking("I2", take_an_end_back),
    Breaking("I2", not_know_an_accepted_application),
    Breaking("I2", correct_more_often_than_asked),
    Breaking("I2", withdraw_what_nobody_took_back),
    Breaking("I2", end_a_consent_that_nobody_took_back),
)


@pytest.mark.parametrize("breaking", BREAKINGS, ids=str)
def test_what_is_broken_is_found_by_its_name(breaking: Breaking, world: World, tmp_path: Path):
    assert_found(breaking, world, tmp_path)
