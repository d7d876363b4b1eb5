"""A database that was put back on purpose: what was chosen to be lost is explained, and nothing beside it."""

from pathlib import Path

import pytest
from yijian_chaos.checker import Verdict, check, facts
from yijian_chaos.checker.verdict import EXPLAINED

from .checked_world import World


def accepted(world: World) -> dict[str, float]:
    """When each application was accepted, the last one last."""
    submissions = {line["op"] for line in world.history if line.get("kind") == "submit"}
    answers = [line for line in world.history if line["op"] in submissions and "kind" not in line]
    return {line["application"]: line["at"] for line in answers}


@pytest.fixture
def lost(world: World) -> str:
    """The last application that was accepted: approval went back to before it, and has nothing of it."""
    application = list(accepted(world))[-1]
    for table, member in (("applications", "id"), ("timeline", "application"), ("disclosures", "application")):
        for row in world.every(table, **{member: application}):
            world.drop(table, row)
    world.tables["request_keys"].remove(application)
    for row in world.every("outbox", store="approval", key=application):
        world.drop("outbox", row)
    return application


def went_back(world: World, service: str, *, to: float, at: float) -> None:
    world.faults.append({"at": at, "event": "restored", "component": service, "detail": {"to": to}})


def judged(world: World, folder: Path) -> Verdict:
    return check(world.write(folder), world.snapshot(), may_be_empty=())


def test_without_a_word_of_a_restore_it_is_lost(world: World, lost: str, tmp_path: Path):
    verdict = judged(world, tmp_path)
    assert {"I1", "I4", "I5", "I7"} <= set(verdict.broken)
    assert lost in {violation.where.get("application") for violation in verdict.violations}


def test_what_was_accepted_after_the_moment_gone_back_to_may_be_gone(world: World, lost: str, tmp_path: Path):
    moment = accepted(world)[lost]
    went_back(world, "approval", to=moment - 1, at=moment + 1)
    verdict = judged(world, tmp_path)
    assert verdict.violations == ()
    assert verdict.notes[EXPLAINED + "an accepted application is not there"] == 1


def test_what_was_accepted_before_it_or_after_the_return_may_not(world: World, lost: str, tmp_path: Path):
    moment = accepted(world)[lost]
    for to, at in ((moment + 0.5, moment + 1), (moment - 1, moment - 0.5)):
        world.faults.clear()
        went_back(world, "approval", to=to, at=at)
        assert "I1" in judged(world, tmp_path).broken


def test_another_services_restore_explains_nothing_of_it(world: World, lost: str, tmp_path: Path):
    moment = accepted(world)[lost]
    went_back(world, "data-exchange", to=moment - 1, at=moment + 1)
    assert "I1" in judged(world, tmp_path).broken


def test_hints_said_in_between_may_have_no_row_and_documents_may_not(world: World, tmp_path: Path):
    hint = world.find("outbox", kind=facts.PROGRESSED)
    went_back(world, "approval", to=hint.at - 1, at=hint.at + 1)
    world.drop("outbox", hint)
    assert judged(world, tmp_path).violations == ()
    said = world.find("outbox", kind=facts.SUBMITTED)
    went_back(world, "approval", to=said.at - 1, at=said.at + 1)
    world.drop("outbox", said)
    assert judged(world, tmp_path).broken == ("I5",)


def test_what_is_broken_about_others_is_broken_as_ever(world: World, lost: str, tmp_path: Path):
    moment = accepted(world)[lost]
    went_back(world, "approval", to=moment - 1, at=moment + 1)
    other = world.find("applications", status="COMPLETED")
    world.change("applications", other, status="WITHDRAWN")
    assert "I3" in judged(world, tmp_path).broken
