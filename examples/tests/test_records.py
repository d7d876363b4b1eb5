"""What bureaus hold on a family agrees with what its mother hands in; what is written can be loaded."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from yijian_contracts.areas import is_area_code
from yijian_contracts.departments import departments
from yijian_examples.__main__ import main
from yijian_examples.family import Kind
from yijian_examples.forms import EXAMPLES_TODAY, example, form_of, shifted
from yijian_examples.population import STORIES, family
from yijian_examples.records import FILES, Population, find_population, officials, records_of, write_records

TODAY = date(2027, 3, 2)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(("n", "kind"), [(1, Kind.STANDARD), *STORIES.items()])
def test_an_example_file_is_the_application_of_its_family(n: int, kind: Kind) -> None:
    assert example(kind, today=EXAMPLES_TODAY) == form_of(family(n, today=EXAMPLES_TODAY))
    assert example(kind, today=TODAY) == form_of(family(n, today=TODAY))


def test_shifting_leaves_the_given_form_alone() -> None:
    form = form_of(family(1, today=EXAMPLES_TODAY))
    before = json.dumps(form)
    assert shifted(form, today=TODAY)["consents"]["signed_at"] == "2027-03-02T09:00:00+08:00"
    assert json.dumps(form) == before


@pytest.mark.parametrize("kind", list(Kind))
def test_the_hospital_and_the_form_tell_the_same_birth(kind: Kind) -> None:
    subject = family(900, kind=kind, today=TODAY)
    form, deliveries = form_of(subject), [r for r in records_of(subject)["health"] if r["kind"] == "delivery"]
    if kind is Kind.HOME_BIRTH:
        assert deliveries == []
        return
    (delivery,) = deliveries
    told = [{key: child[key] for key in ("order", "sex", "birth_datetime")} for child in form["newborns"]]
    assert delivery["newborns"] == told
    assert delivery["mother_id_no"] == form["mother"]["id_no"]
    assert delivery["inpatient_no"] == form["delivery"]["inpatient_no"]


@pytest.mark.parametrize("kind", list(Kind))
def test_the_household_to_join_is_the_chosen_parents(kind: Kind) -> None:
    subject = family(901, kind=kind, today=TODAY)
    hukou = form_of(subject)["hukou"]
    (home,) = [h for h in records_of(subject)["public-security"] if h["household_no"] == hukou["target_household_no"]]
    parent = {"MOTHER": subject.mother, "FATHER": subject.father}[hukou["follow"]]
    assert parent.id_no in home["members"]
    assert (home["area"], home["type"]) == (hukou["target_code12"], "FAMILY")


def test_civil_affairs_knows_the_married_only() -> None:
    assert records_of(family(902, kind="unmarried", today=TODAY))["civil-affairs"] == []
    (marriage,) = records_of(family(902, today=TODAY))["civil-affairs"]
    assert marriage["cert_no"] == form_of(family(902, today=TODAY))["marriage"]["cert_no"]


def test_an_issued_certificate_is_known_to_health() -> None:
    subject = family(5, today=TODAY)
    (certificate,) = [r for r in records_of(subject)["health"] if r["kind"] == "birth-certificate"]
    assert certificate["number"] == form_of(subject)["newborns"][0]["birth_cert_no"]


def test_writing_gives_every_file_and_a_stamp(tmp_path: Path) -> None:
    assert find_population(tmp_path) is None
    written = write_records(tmp_path, 50, today=TODAY, kinds={30: Kind.TWINS})
    assert written == find_population(tmp_path) == Population(TODAY, 50)
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.jsonl" for name in FILES} | {"population.json"}
    twins = [r for r in _lines(tmp_path / "health.jsonl") if len(r.get("newborns", ())) == 2]
    assert [r["mother_id_no"] for r in twins] == [family(n, today=TODAY).mother.id_no for n in (2, 30)]
    accounts = [line["account"] for line in _lines(tmp_path / "identity.jsonl")]
    assert len(set(accounts)) == len(accounts) == 100 + len(officials())
    assert {"mother-000001", "mother-000050", "father-000050", "health-0001"} <= set(accounts)


def test_every_department_has_officials_of_the_city_and_of_a_district() -> None:
    posts = officials()
    assert {post["department"] for post in posts} == set(departments())
    assert all(is_area_code(post["area"], allow_fictitious=True) for post in posts)
    assert {post["area"] for post in posts if post["department"] == "health"} == {"990100000000", "990101000000"}


def test_the_command_line_writes_and_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["write", str(tmp_path), "--families", "3", "--today", "2026-11-21"]) == 0
    assert "3 families as of 2026-11-21" in capsys.readouterr().out
    assert main(["form", "2", "--today", "2026-11-21"]) == 0
    assert json.loads(capsys.readouterr().out) == form_of(family(2, today=EXAMPLES_TODAY))


def test_the_command_line_refuses_nonsense(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["write", str(tmp_path), "--families", "0"], ["form", "x"]):
        with pytest.raises(SystemExit):
            main(arguments)
    assert "between 1 and" in capsys.readouterr().err
