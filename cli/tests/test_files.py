"""Files that the commands are given: forms and life events, right and wrong."""

import json
from datetime import date
from pathlib import Path

import pytest
from approval.life_events_registry import FOLDER
from typer.testing import CliRunner, Result
from yijian_cli import pace
from yijian_cli.applications import read_application
from yijian_cli.main import app
from yijian_cli.population import application_of, ensure_population, find_example, standard_families
from yijian_embedded.errors import PlatformError
from yijian_embedded.home import Home, write_private
from yijian_examples.forms import FOLDER as EXAMPLES
from yijian_examples.records import Population

BIRTH = FOLDER / "birth.yaml"


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_a_life_event_that_is_right_is_drawn():
    result = call("life-event", "check", str(BIRTH))

    assert result.exit_code == 0
    assert "longest path: C1 → B2 → B4 → B5 → B7 = 80 min" in result.stdout
    assert json.loads(call("life-event", "check", str(BIRTH), "--json").stdout)["right"]


def test_a_mistake_in_a_life_event_has_its_line_and_its_fix(tmp_path: Path):
    broken = tmp_path / "birth.yaml"
    broken.write_text(BIRTH.read_text(encoding="utf-8").replace("needs: [B5]", "needs: [B99]"), encoding="utf-8")
    line = next(n for n, text in enumerate(broken.read_text(encoding="utf-8").splitlines(), 1) if "[B99]" in text)

    result = call("life-event", "check", str(broken))

    assert result.exit_code == 1
    assert f"birth.yaml:{line}: B7 needs B99" in result.stdout
    assert "fix: did you mean B9?" in result.stdout


def test_a_life_event_that_is_not_there_is_said():
    result = call("life-event", "check", "nowhere.yaml")

    assert (result.exit_code, result.stderr) == (1, "nowhere.yaml cannot be read: No such file or directory.\n")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"There is no file .*form\.json\."),
        (b'{"a": 1,}', r"form\.json:1:\d+ is not JSON: "),
        (b"\xff", "is not UTF-8 text"),
        (b"[]", "holds no form: a form is a JSON object"),
    ],
)
def test_what_is_no_form_is_said_with_its_place(tmp_path: Path, content: bytes | None, said: str):
    file = tmp_path / "form.json"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(PlatformError, match=said):
        read_application(file, account=None)


def test_an_example_is_handed_in_by_its_own_family_with_the_dates_of_the_records():
    population = Population(date(2027, 3, 1), 200)

    filled = find_example(EXAMPLES / "twins.json", population)

    assert filled is not None
    assert filled.account == "mother-000002"
    assert filled.form["newborns"][0]["birth_datetime"].startswith("2027-02-")
    assert "2027-03-01" in filled.note


def test_a_file_of_ones_own_is_handed_in_as_it_is(tmp_path: Path):
    file = tmp_path / "standard.json"
    file.write_text('{"mother": {}}')

    assert find_example(file, Population(date(2027, 3, 1), 200)) is None
    assert read_application(file, account="father-000007").form == {"mother": {}}


def test_the_families_are_written_once_and_the_first_tells_the_example(tmp_path: Path):
    home = Home(tmp_path)
    population = ensure_population(home)
    before = (home.records / "identity.jsonl").stat().st_mtime_ns

    assert ensure_population(home) == population
    assert (home.records / "identity.jsonl").stat().st_mtime_ns == before
    assert standard_families(population)[:3] == [1, 7, 8]
    standard = json.loads((EXAMPLES / "standard.json").read_text(encoding="utf-8"))
    assert application_of(1, population).form["mother"] == standard["mother"]


def test_a_demo_slows_the_departments_down_and_undoes_it_even_when_it_was_killed(tmp_path: Path):
    script = Home(tmp_path).script_file("health")
    write_private(script, pace.SCRIPT)

    with pace.unhurried(Home(tmp_path)) as slowed:
        assert slowed
        assert script.read_text() == pace.SCRIPT
    assert not script.exists()


def test_a_demo_leaves_somebodys_own_script_alone(tmp_path: Path):
    script = Home(tmp_path).script_file("health")
    write_private(script, "[[rule]]\nmatter = 'B2'\n")

    with pace.unhurried(Home(tmp_path)) as slowed:
        assert not slowed
    assert script.read_text() == "[[rule]]\nmatter = 'B2'\n"
