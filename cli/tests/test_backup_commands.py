"""What backup, restore and grow say when they cannot do what was asked: one sentence with what to do."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result
from yijian_cli.main import app
from yijian_cli.output import errors


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("YIJIAN_HOME", str(folder))
    monkeypatch.setattr(errors, "width", 200)
    return folder


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("backup", "start", "--to", "/nowhere"), "run `yijian up` first"),
        (("backup", "now"), "run `yijian up` first"),
        (("backup", "list"), "begin one with `backup start`"),
        (("backup", "verify", "--from", "/nowhere"), "there is no archive at /nowhere"),
        (("restore", "server"), "begin one with `backup start`"),
        (("restore", "database", "appproval", "--to", "2026-11-21T03:14:00"), "is no database: name approval"),
        (("restore", "department", "helth"), "is no department"),
        (("restore", "keys", "--from", "/nowhere"), "name the folder that `yijian backup keys` wrote"),
        (("restore", "kafka", "--reason", "a drill"), "run `yijian up` first"),
        (("restore", "forget", "approval@20261121T031502.000000Z"), "run `yijian up` first"),
        (("grow", "departments", "--to", "24"), "is no topic of the catalogue"),
        (("grow", "data-exchange.consents", "--to", "24"), "keeps its one partition"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(arguments: tuple[str, ...], says: str):
    result = call(*arguments)

    assert result.exit_code == 1
    assert says in result.output, result.output
    assert "Traceback" not in result.output


@pytest.mark.usefixtures("home")
def test_a_moment_that_is_none_is_refused():
    result = call("restore", "database", "approval", "--to", "yesterday")

    assert result.exit_code == 2
    assert "2026-11-21T03:14:00" in result.output


def test_a_server_is_not_made_anew_without_its_passwords(home: Path, tmp_path: Path):
    (tmp_path / "archive").mkdir()

    result = call("restore", "server", "--from", str(tmp_path / "archive"))

    assert result.exit_code == 1
    assert "`yijian restore keys` first" in result.output
    assert not (home / "postgres").exists()


def test_keys_are_copied_and_put_back(home: Path, tmp_path: Path):
    (home / "keys").mkdir(parents=True)
    (home / "keys" / "approval.json").write_text("{}")
    (home / "secrets.json").write_text("{}")

    copied = call("backup", "keys", "--to", str(tmp_path / "safe"), "--json")
    (home / "secrets.json").unlink()
    back = call("restore", "keys", "--from", str(tmp_path / "safe"), "--json")

    assert json.loads(copied.stdout)["files"] == ["approval.json", "secrets.json"]
    assert json.loads(back.stdout)["files"] == ["secrets.json"]
