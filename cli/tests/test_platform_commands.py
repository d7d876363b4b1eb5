"""The commands that run the platform and look into it, as a person and as a machine calls them."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result
from yijian_cli.main import app
from yijian_embedded.home import Home
from yijian_embedded.platform import Platform
from yijian_embedded.ports import choose_ports
from yijian_embedded.topology import PORT_NAMES, SERVICES


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A data folder in which nothing ever ran."""
    monkeypatch.setenv("YIJIAN_HOME", str(tmp_path / "home"))
    return Home(tmp_path / "home")


@pytest.fixture
def running(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """The commands speak of the platform that the tests share."""
    monkeypatch.setenv("YIJIAN_HOME", str(platform.home.folder))
    return platform


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def call_json(*arguments: str) -> Any:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_status_before_the_first_start_shows_everything_stopped(empty_home: Home):
    statuses = call_json("status")

    assert [status["name"] for status in statuses] == ["kafka", "postgres", *(service.name for service in SERVICES)]
    assert {status["state"] for status in statuses} == {"stopped"}
    assert not empty_home.folder.exists()


def test_status_of_a_running_platform(running: Platform):
    states = {status["name"]: (status["state"], status["port"]) for status in call_json("status")}

    assert states["kafka"] == ("ready", running.ports["kafka"])
    assert states["postgres"] == ("ready", running.ports["postgres"])
    assert "ready" in call("status").stdout


def test_up_of_what_is_up_changes_nothing(running: Platform):
    before = running.process("kafka")

    answer = call_json("up", "--infra-only")

    assert running.process("kafka") == before
    assert {process["name"] for process in answer["processes"] if process["state"] == "ready"} >= {"kafka", "postgres"}


@pytest.mark.usefixtures("empty_home")
def test_down_and_clean_of_nothing_are_fine():
    assert call_json("down") == {"stopped": []}
    assert call("clean", "--yes").exit_code == 0


def test_clean_asks_before_it_removes_anything(empty_home: Home):
    empty_home.folder.mkdir()

    assert CliRunner().invoke(app, ["clean"], input="n\n").exit_code == 1
    assert empty_home.folder.exists()

    assert CliRunner().invoke(app, ["clean"], input="y\n").exit_code == 0
    assert not empty_home.folder.exists()


@pytest.mark.usefixtures("running")
def test_topics_shows_the_catalogue_and_what_the_broker_holds():
    topics = {topic["name"]: topic for topic in call_json("topics")}

    tasks = topics["department.health.tasks"]
    assert (tasks["writer"], tasks["readers"], tasks["partitions"]) == ("approval", ["department.health"], 12)
    assert tasks["messages"] >= 0
    assert "department.health.tasks" in call("topics").stdout


@pytest.mark.parametrize("command", ["topics", "provision"])
def test_before_the_first_start_a_command_says_to_start(empty_home: Home, command: str):
    result = call(command)

    assert result.exit_code == 1
    assert result.stderr == f"nothing was ever started in {empty_home.folder}: run `yijian up` first\n"


def test_a_command_that_cannot_go_on_says_one_sentence(empty_home: Home):
    choose_ports(empty_home, PORT_NAMES, occupied=frozenset())

    result = call("topics")

    assert result.exit_code == 1
    assert result.stderr == "Kafka does not answer: run `yijian up` first\n"


@pytest.mark.usefixtures("running")
def test_provision_makes_nothing_twice_and_knows_whom_it_rotates():
    assert call_json("provision")["changed_topics"] == []

    result = call("provision", "--rotate", "nobody")

    assert result.exit_code == 1
    assert "nobody is called 'nobody'" in result.stderr


@pytest.mark.usefixtures("empty_home")
def test_doctor_finds_nothing_wrong_here():
    checks = {check["name"]: check for check in call_json("doctor")}

    assert {"Python", "disk", "memory", "Java", "Kafka", "Postgres", "ports", "left-over processes"} == set(checks)
    assert not any(check["fix"] for check in checks.values())


def test_doctor_names_the_port_that_somebody_took(empty_home: Home):
    ports = choose_ports(empty_home, PORT_NAMES, occupied=frozenset())

    with socket.create_server(("127.0.0.1", ports["approval"])):
        result = call("doctor", "--json")

    (taken,) = [check for check in json.loads(result.stdout) if check["fix"]]
    assert result.exit_code == 1
    assert taken["found"] == f"taken by another program: {ports['approval']} (approval)"


def test_doctor_names_what_is_missing(empty_home: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("yijian_cli.doctor.LEAST_DISK_GB", 10**6)

    result = call("doctor", "--json")

    assert result.exit_code == 1
    assert "free some space" in result.stdout
    assert not empty_home.folder.exists()
