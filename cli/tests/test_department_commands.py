"""What somebody needs who writes a department's program."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner
from yijian_cli.main import app
from yijian_embedded.platform import Platform

CODE = "disease-control"


@pytest.fixture
def running(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """The commands speak of the platform that the tests share."""
    monkeypatch.setenv("YIJIAN_HOME", str(platform.home.folder))
    return platform


def test_a_shell_takes_over_what_a_department_is_told(running: Platform):
    printed = CliRunner().invoke(app, ["department", "env", CODE]).stdout
    told = dict(line.removeprefix("export ").split("=", 1) for line in printed.splitlines())

    assert {name: shlex.split(value) for name, value in told.items()} == {
        name: [value] for name, value in running.environment(CODE).items()
    }
    assert told["YIJIAN_KAFKA_USERNAME"] == f"department.{CODE}"
    assert json.loads(CliRunner().invoke(app, ["department", "env", CODE, "--json"]).stdout)[
        "YIJIAN_KAFKA_PASSWORD"
    ] == running.secrets.get("kafka", f"department.{CODE}")


def test_before_the_first_start_nobody_has_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("YIJIAN_HOME", str(tmp_path / "home"))
    for command in (["env", CODE], ["start", CODE]):
        result = CliRunner().invoke(app, ["department", *command])
        assert (result.exit_code, "run `yijian up` first" in result.stderr) == (1, True)


@pytest.mark.parametrize("command", ["env", "stop", "start"])
def test_an_unknown_department_is_told_who_there_is(running: Platform, command: str):
    assert running
    result = CliRunner().invoke(app, ["department", command, "fire-brigade"])
    assert result.exit_code == 1
    assert CODE in result.stderr


def test_what_is_stopped_may_be_stopped_again(running: Platform):
    assert running.process(CODE) is None
    result = CliRunner().invoke(app, ["department", "stop", CODE, "--json"])
    assert json.loads(result.stdout) == {"department": CODE, "stopped": False}


def test_a_java_file_runs_in_the_departments_place(running: Platform, tmp_path: Path):
    source = tmp_path / "Greeting.java"
    source.write_text(
        "import org.apache.kafka.clients.producer.KafkaProducer;\n"
        "public class Greeting {\n"
        "    public static void main(String[] arguments) {\n"
        '        System.out.println(KafkaProducer.class.getSimpleName() + " " + arguments[0]);\n'
        '        System.out.println(System.getenv("YIJIAN_KAFKA_USERNAME"));\n'
        "        System.exit(3);\n"
        "    }\n"
        "}\n",
        encoding="utf-8",
    )
    command = [str(Path(sys.executable).with_name("yijian")), "department", "java", CODE, str(source)]
    result = subprocess.run(  # noqa: S603 - our own words
        command, env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 3, result.stderr
    assert result.stdout.splitlines()[-2:] == [
        f"KafkaProducer {running.home.folder / 'java' / CODE}",
        f"department.{CODE}",
    ]


def test_what_does_not_compile_is_shown_as_the_compiler_has_it(running: Platform, tmp_path: Path):
    assert running
    source = tmp_path / "Wrong.java"
    source.write_text('class Wrong { int number = "text"; }', encoding="utf-8")
    result = CliRunner().invoke(app, ["department", "java", CODE, str(source)])
    assert result.exit_code == 1
    assert "Type mismatch: cannot convert from String to int" in result.stderr
