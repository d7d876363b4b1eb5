"""A mistake in a life event's file is told when it is loaded: the file, the line, what is wrong, and the fix."""

import re
from datetime import timedelta
from pathlib import Path

import approval
import pytest
from approval.drawing import draw
from approval.life_event import LifeEvent, load_life_event
from approval.life_event_checks import LifeEventError

from .mistakes import MISTAKES

FILE = Path(approval.__file__).parent / "life_events" / "birth.yaml"
TEXT = FILE.read_text(encoding="utf-8")

B4_TAKES_LONG = ("    per: child\n    promise_minutes: 40\n", "    per: child\n    promise_minutes: 100\n")


def loaded(folder: Path, text: str, **settings: str) -> LifeEvent:
    path = folder / "birth.yaml"
    path.write_text(text, encoding="utf-8")
    return load_life_event(path, settings_overrides=settings, allow_fictitious=True)


@pytest.mark.parametrize(("stands", "written", "line", "message", "fix"), MISTAKES)
def test_a_mistake_names_file_line_and_fix(
    tmp_path: Path, stands: str, written: str, line: str, message: str, fix: str
) -> None:
    assert stands in TEXT
    text = TEXT.replace(stands, written, 1)
    with pytest.raises(LifeEventError) as refused:
        loaded(tmp_path, text)
    told = [problem for problem in refused.value.problems if message in problem]
    assert told, refused.value.problems
    place = re.match(r"birth\.yaml:(\d+): .+; fix: (.+)", told[0])
    assert place
    assert fix in place[2]
    assert line in text.splitlines(keepends=True)[int(place[1]) - 1]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = TEXT.replace("department: taxation", "department: taxes").replace("basis: vaccination\n", "basis: none\n")
    with pytest.raises(LifeEventError) as refused:
        loaded(tmp_path, text)
    lines = [int(problem.split(":")[1]) for problem in refused.value.problems]
    assert len(lines) >= 2
    assert lines == sorted(lines)


def test_a_variant_that_is_switched_off_is_checked_too(tmp_path: Path) -> None:
    text = TEXT.replace(
        "{matter: B2, if: {med_insurance_key: BIRTH_CERT}}", "{matter: B1, if: {med_insurance_key: BIRTH_CERT}}"
    )
    with pytest.raises(LifeEventError, match=r"B5 reads B2\.birth_cert_no but does not need B2 with .*BIRTH_CERT"):
        loaded(tmp_path, text)


def test_a_setting_that_nobody_declares_or_permits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LifeEventError, match="there is no setting 'colour' to set"):
        loaded(tmp_path, TEXT, colour="red")
    with pytest.raises(LifeEventError, match="'CARD' is no value of med_insurance_key; fix: use ID, BIRTH_CERT"):
        loaded(tmp_path, TEXT, med_insurance_key="CARD")
    with pytest.raises(LifeEventError, match="'9901' is no value of city_area"):
        loaded(tmp_path, TEXT, city_area="9901")


@pytest.mark.parametrize("text", ["", "- 1\n", "just text", "a: !!python/object:os.system x\n"])
def test_what_is_no_life_event_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(LifeEventError, match=r"birth\.yaml:1: .+; fix: "):
        loaded(tmp_path, text)


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "birth.yaml"
    path.write_bytes(TEXT.encode("gb18030"))
    with pytest.raises(LifeEventError, match="not UTF-8"):
        load_life_event(path)


def test_the_longest_path_is_the_expected_time(tmp_path: Path) -> None:
    birth = load_life_event(FILE, allow_fictitious=True)
    assert (birth.expected, birth.longest) == (timedelta(minutes=80), ("C1", "B2", "B4", "B5", "B7"))
    assert birth.promise == timedelta(hours=2)
    with pytest.raises(LifeEventError, match="C1 → B2 → B4 → B5 → B7 takes 140 min"):
        loaded(tmp_path, TEXT.replace(*B4_TAKES_LONG))


def test_the_digest_follows_the_content_and_not_the_layout(tmp_path: Path) -> None:
    birth = loaded(tmp_path, TEXT)
    assert loaded(tmp_path, "# another comment\n" + TEXT).digest == birth.digest
    assert loaded(tmp_path, TEXT, med_insurance_key="BIRTH_CERT").digest != birth.digest
    assert loaded(tmp_path, TEXT.replace("promise_minutes: 40", "promise_minutes: 39")).digest != birth.digest
    assert load_life_event(FILE).digest != birth.digest


def test_a_stored_version_keeps_the_settings_it_was_loaded_with(tmp_path: Path) -> None:
    birth = loaded(tmp_path, TEXT, med_insurance_key="BIRTH_CERT")
    stored = LifeEvent.from_canonical(birth.canonical())
    assert stored == birth
    assert stored.settings["med_insurance_key"] == "BIRTH_CERT"
    assert "B5-rekey" in stored.matters


def test_nine_matters_of_seven_departments_and_the_marriage_check() -> None:
    birth = load_life_event(FILE)
    assert list(birth.matters) == ["C1", "B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9"]
    assert len({matter.department for matter in birth.matters.values()}) == 7
    documents = [document.code for matter in birth.matters.values() for document in matter.documents]
    assert len(documents) == 7
    assert all(matter.fields and matter.description for matter in birth.matters.values())
    assert birth.guide.materials
    assert birth.guide.who


def test_the_graph_is_drawn_level_by_level() -> None:
    drawing = draw(load_life_event(FILE, settings_overrides={"med_insurance_key": "BIRTH_CERT"}))
    levels = drawing.split("\n\n")
    assert re.search(r"^\* C1 +civil-affairs +5 min +once +starts at once", levels[1], re.MULTILINE)
    assert [re.findall(r"^[* ] ([A-Z]\S*) ", level, re.MULTILINE) for level in levels[1:5]] == [
        ["C1"],
        ["B1", "B2"],
        ["B3", "B4", "B5", "B8", "B9"],
        ["B5-rekey", "B6", "B7"],
    ]
    assert "longest path: C1 → B2 → B4 → B6 = 75 min" in drawing
    assert "promise: 120 min" in drawing
