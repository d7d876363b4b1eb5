"""Whoever attacks, plants or judges names processes and wires: they are those of the stage."""

import pytest
from yijian_chaos.planted.bugs import BUGS
from yijian_chaos.stage import Stage
from yijian_chaos.topology import APIS, FURTHER_PROCESSES, MEMBERS, ROLES, WIRES, readers, wires_to_postgres
from yijian_embedded.shape import Shape
from yijian_embedded.topology import SERVICES, port_names


def test_there_are_two_of_each_of_approvals_roles_and_of_one_department():
    twice = [f"approval-{role}-{number}" for role in ROLES for number in (1, 2)]
    assert set(FURTHER_PROCESSES) == {*twice, "public-security-1", "public-security-2"}
    assert {MEMBERS[name].settings["YIJIAN_ROLES"] for name in APIS} == {"api"}
    others = {service.name for service in SERVICES} - {"approval", "public-security"}
    assert set(MEMBERS) == others | set(FURTHER_PROCESSES)


def test_who_reads_topics_is_every_worker_and_whoever_has_no_roles():
    assert {service: readers(service) for service in ("approval", "public-security", "health", "data-exchange")} == {
        "approval": ("approval-worker-1", "approval-worker-2"),
        "public-security": ("public-security-1", "public-security-2"),
        "health": ("health",),
        "data-exchange": ("data-exchange",),
    }


def test_whoever_dials_has_a_wire_and_each_worker_and_relay_its_own():
    assert {member.wire for member in MEMBERS.values()} - {None} == set(WIRES)
    assert [name for name, member in MEMBERS.items() if member.wire is None] == ["witness"]
    alone = [f"approval-{role}-{number}" for role in ("worker", "relay") for number in (1, 2)]
    assert all([name for name, member in MEMBERS.items() if member.wire == wire] == [wire] for wire in alone)
    assert set(WIRES) - set(wires_to_postgres()) == {"departments"}


@pytest.mark.parametrize("brokers", [1, 3])
def test_everything_that_listens_has_a_port_of_its_own(tmp_path, brokers: int):
    stage = Stage(tmp_path, families=1, brokers=brokers)
    names = port_names(stage.platform.shape)
    assert len(set(names)) == len(names)
    assert set(MEMBERS) <= set(names)
    assert [name for name in stage.processes if name.startswith("kafka")] == [f"kafka-{n + 1}" for n in range(brokers)]


def test_the_ordinary_shape_has_no_more_than_a_block_of_ports():
    assert len(port_names(Shape())) <= 20


def test_bugs_are_planted_in_processes_that_there_are():
    assert {name for bug in BUGS.values() for name in bug.planted_in} <= set(MEMBERS)
