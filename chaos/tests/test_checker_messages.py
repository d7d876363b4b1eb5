"""I5 and I6: what was committed was said, nothing else, in its order."""

from dataclasses import replace
from pathlib import Path

import pytest
from yijian_chaos.checker import facts
from yijian_chaos.checker.snapshot import Incident, Letter, Parked, Unsent

from .breaking import Breaking, assert_found
from .checked_world import PARTITIONS, READ_AT, World


def first(world: World):
    """A birth that was granted."""
    return world.tables["applications"][0]


def withdrawn(world: World):
    return world.find("applications", status="WITHDRAWN")


def leave_a_row_unsent(world: World) -> None:
    row = world.find("outbox", kind=facts.SUBMITTED)
    world.tables["unsent"].append(Unsent(row.store, row.id, row.event, age_s=60))


def set_a_key_aside(world: World) -> None:
    row = world.find("outbox", kind=facts.SUBMITTED)
    world.tables["parked"].append(Parked(row.store, row.key, row.id))
    world.tables["letters"].append(Letter(row.store, 2, "UNSENDABLE", "relay", row.topic, -1, row.id, "DEAD"))
    world.tables["incidents"].append(Incident(row.store, "dead-letter", "2", open=True))


def lose_a_record(world: World) -> None:
    """What was committed is not in its topic, and nobody saw it there."""
    world.drop("records", world.find("records", kind=facts.SUBMITTED))


def lose_a_checkpoint_row(world: World) -> None:
    world.drop("outbox", world.find("outbox", store="data-exchange"))


def say_what_was_never_committed(world: World) -> None:
    world.drop("outbox", world.find("outbox", kind=facts.WITHDRAWN))


def say_it_under_another_key(world: World) -> None:
    row = world.find("outbox", kind=facts.WITHDRAWN)
    world.change("outbox", row, key=first(world).id)


def speak_for_somebody_else(world: World) -> None:
    record = world.find("records", kind=facts.WITHDRAWN)
    world.change("records", record, source="/department.health")


def change_the_order(world: World) -> None:
    """Two rows of a key change places on their way."""
    application = withdrawn(world)
    one = world.find("records", kind=facts.SUBMITTED, key=application.id)
    other = world.find("records", kind=facts.WITHDRAWN, key=application.id)
    world.change("records", one, offset=other.offset)
    world.change("records", other, offset=one.offset)


def let_versions_go_back(world: World) -> None:
    hints = world.every("records", kind=facts.PROGRESSED, key=first(world).id)
    world.change("records", hints[3], said=(first(world).id, "1"))


def not_tell_the_last_version(world: World) -> None:
    hint = world.every("records", kind=facts.PROGRESSED, key=first(world).id)[-1]
    world.change("records", hint, said=(first(world).id, str(first(world).version - 1)))


def put_a_key_on_two_partitions(world: World) -> None:
    """Another partitioner wrote this one: each half is in order, and together they have none."""
    record = world.every("records", kind=facts.PROGRESSED, key=first(world).id)[-1]
    elsewhere = (record.partition + 1) % PARTITIONS
    world.repeat(replace(record, partition=elsewhere))


def say_nothing_under_a_clock_that_is_ahead(world: World) -> None:
    """A row of tomorrow is no row that came while the topics were read."""
    row = world.find("outbox", kind=facts.SUBMITTED)
    world.change("outbox", row, at=READ_AT + 86_400)
    world.drop("records", world.find("records", event=row.event))


BREAKINGS: tuple[Breaking, ...] = (
    Breaking("I5", leave_a_row_unsent),
    Breaking("I5", set_a_key_aside),
    Breaking("I5", lose_a_record),
    Breaking("I5", lose_a_checkpoint_row),
    Breaking("I5", say_what_was_never_committed),
    Breaking("I5", say_it_under_another_key),
    Breaking("I5", speak_for_somebody_else),
    Breaking("I5", say_nothing_under_a_clock_that_is_ahead),
    Breaking("I6", change_the_order),
    Breaking("I6", put_a_key_on_two_partitions),
    Breaking("I6", let_versions_go_back),
    Breaking("I6", not_tell_the_last_version),
)


@pytest.mark.parametrize("breaking", BREAKINGS, ids=str)
def test_what_is_broken_is_found_by_its_name(breaking: Breaking, world: World, tmp_path: Path):
    assert_found(breaking, world, tmp_path)
