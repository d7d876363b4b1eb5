"""I8 to I12: offsets, what is left over, isolation, dead letters, privacy."""

from pathlib import Path

import pytest
from yijian_chaos.checker.snapshot import Incident, Leak, Letter, Stored

from .breaking import Breaking, assert_found
from .checked_world import MB, World


def not_read_to_the_end(world: World) -> None:
    row = max(world.every("stored", consumer="identity.wallet") + world.tables["stored"], key=lambda row: row.next)
    world.change("stored", row, next=row.next - 1)
    for committed in world.every("committed", group=row.consumer, topic=row.topic, partition=row.partition):
        world.change("committed", committed, next=row.next - 1)


def read_beyond_the_end(world: World) -> None:
    row = world.tables["stored"][0]
    world.change("stored", row, next=row.next + 1)


def commit_more_than_is_stored(world: World) -> None:
    row = world.tables["committed"][0]
    world.change("committed", row, next=row.next + 1)


def never_read_a_partition(world: World) -> None:
    row = max(world.tables["stored"], key=lambda row: row.next)
    world.drop("stored", row)


def store_offsets_for_nobody(world: World) -> None:
    world.tables["stored"].append(Stored("approval", "approval.strange", "approval.documents", 0, 0))


def leave_a_group(world: World) -> None:
    """Its twin reads on alone."""
    group = world.find("members", group="approval.results")
    world.change("members", group, expected=2)


def grow(world: World) -> None:
    for sample in world.samples[-20:]:
        if sample.get("process") == "approval-api-2":
            sample["rss"] = 200 * MB


def leak_files(world: World) -> None:
    for sample in world.samples[-20:]:
        if sample.get("process") == "health":
            sample["fds"] = 400


def sit_idle_in_a_transaction(world: World) -> None:
    world.samples[-1]["postgres"]["idle_in_transaction_over_30s"] = 1


def have_too_many_sessions(world: World) -> None:
    world.rest["backends"] = 101


def show_a_department_too_much(world: World) -> None:
    probe = world.tables["probes"][0]
    world.change("probes", probe, listed=(*probe.listed, "department.taxation.tasks"))


def let_a_department_read(world: World) -> None:
    probe = world.tables["probes"][0]
    world.change("probes", probe, read=("department.taxation.tasks",))


def not_refuse(world: World) -> None:
    probe = world.tables["probes"][0]
    world.change("probes", probe, refused=probe.refused[1:])


def write_no_refusal_down(world: World) -> None:
    world.rest["refusals_logged"] = 0


def bury_without_an_incident(world: World) -> None:
    world.tables["letters"].append(Letter("health", 5, "RECORD", "department.health.tasks", "x", 0, 0, "DEAD"))


def close_an_incident_too_early(world: World) -> None:
    bury_without_an_incident(world)
    world.tables["incidents"].append(Incident("health", "dead-letter", "5", open=False))


def bury_what_can_be_handled(world: World) -> None:
    """With an incident and all: only that the record is one of the platform's own gives it away."""
    record = world.find("records", topic="approval.applications")
    world.tables["letters"].append(Letter("rating", 5, "RECORD", "rating.events", *record.place, "DEAD"))
    world.tables["incidents"].append(Incident("rating", "dead-letter", "5", open=True))


def swallow_poison(world: World) -> None:
    """A record that a fault put on a topic is in nobody's dead letters."""
    again = world.repeat(world.find("records", topic="department.health.tasks"), event="", kind="unreadable")
    place = {"topic": again.topic, "partition": again.partition, "offset": again.offset, "kind": "poison"}
    world.faults.append({"at": 1.0, "fault": "poison", "event": "inject", "planned": 0, "detail": {"records": [place]}})


def name_somebody(world: World) -> None:
    world.tables["leaks"].append(Leak("approval.log", 3))


def search_for_nothing(world: World) -> None:
    world.rest["sound"] = 0


BREAKINGS: tuple[Breaking, ...] = (
    Breaking("I8", not_read_to_the_end),
    Breaking("I8", read_beyond_the_end),
    Breaking("I8", commit_more_than_is_stored),
    Breaking("I8", never_read_a_partition),
    Breaking("I8", store_offsets_for_nobody),
    Breaking("I8", leave_a_group),
    Breaking("I9", grow),
    Breaking("I9", leak_files),
    Breaking("I9", sit_idle_in_a_transaction),
    Breaking("I9", have_too_many_sessions),
    Breaking("I10", show_a_department_too_much),
    Breaking("I10", let_a_department_read),
    Breaking("I10", not_refuse),
    Breaking("I10", write_no_refusal_down),
    Breaking("I11", bury_without_an_incident),
    Breaking("I11", bury_what_can_be_handled),
    Breaking("I11", close_an_incident_too_early),
    Breaking("I11", swallow_poison),
    Breaking("I12", name_somebody),
    Breaking("I12", search_for_nothing),
)


@pytest.mark.parametrize("breaking", BREAKINGS, ids=str)
def test_what_is_broken_is_found_by_its_name(breaking: Breaking, world: World, tmp_path: Path):
    assert_found(breaking, world, tmp_path)
