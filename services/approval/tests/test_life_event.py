"""A mistake in a life event's file is told when it is loaded: the file, the line, what is wrong, and the fix."""

import re
from datetime import timedelta
from pathlib import Path

import approval
import pytest
from approval.drawing import draw
from approval.life_event import LifeEvent, load_life_event
from approval.life_event_checks import LifeEventError

FILE = Path(approval.__file__).parent / "life_events" / "birth.yaml"
TEXT = FILE.read_text(encoding="utf-8")

B4_TAKES_LONG = ("    per: child\n    promise_minutes: 40\n", "    per: child\n    promise_minutes: 100\n")


def loaded(folder: Path, text: str, **settings: str) -> LifeEvent:
    path = folder / "birth.yaml"
    path.write_text(text, encoding="utf-8")
    return load_life_event(path, settings_overrides=settings, allow_fictitious=True)


MISTAKES = [
    # (what stands in the file, what is written instead, the text on the line that is named, what is said, the fix)
    (
        "department: taxation",
        "department: taxtion",
        "department: taxtion",
        "unknown department 'taxtion'",
        "did you mean taxation?",
    ),
    ("    needs: [B5]\n", "    needs: [B55]\n", "[B55]", "B7 needs B55, which does not exist", "did you mean B5?"),
    (
        "    needs: [C1]\n    not_needed",
        "    needs: [C1, B4]\n    not_needed",
        "[C1, B4]",
        "matters wait for each other",
        "remove one of these needs",
    ),
    (
        "mother_birth_date: /mother/birth_date",
        "mother_birth_date: /mother/birthdate",
        "/mother/birthdate",
        "the form has no field /mother/birthdate",
        "did you mean /mother/birth_date?",
    ),
    (
        "plurality: /delivery/plurality\n          marriage_verified",
        "plurality: /newborns/*/order\n          marriage_verified",
        "/newborns/*/order",
        "is a field of one child",
        "per: child",
    ),
    (
        "contribution-collection\n        fields:\n          med_insurance_no: B5.med_insurance_no",
        "contribution-collection\n        fields:\n          med_insurance_no: B5.number",
        "B5.number",
        "B5 returns no number",
        "use one of med_insurance_no",
    ),
    (
        "          birth_cert_nos: B2.birth_cert_no",
        "          birth_cert_nos: B4.citizen_id_no",
        "B4.citizen_id_no",
        "B8 reads B4.citizen_id_no but does not need B4",
        "add B4 to the needs of B8",
    ),
    (
        "{when: delivery_place == 'HOME',",
        "{when: delivery_plase == 'HOME',",
        "delivery_plase",
        "the rule reads delivery_plase, which the matter does not receive",
        "did you mean delivery_place?",
    ),
    (
        "{when: delivery_place == 'HOME',",
        "{when: marriage_verified == false,",
        "marriage_verified == false",
        "not known before C1.marriage_verified is answered",
        "decide by fields of the form",
    ),
    (
        "check: form.hukou.other_side_not_registered",
        "check: form.hukou.other_side",
        "form.hukou.other_side",
        "the rule reads /hukou/other_side, which the form does not have",
        "did you mean /hukou/other_side_not_registered?",
    ),
    (
        "check: child.weight_g >= 300 && child.weight_g <= 8000",
        "check: child.weight_g >= 300 && child.weight_g <= limit",
        "<= limit",
        "the rule reads limit, which it may not",
        "read form.…, child.…",
    ),
    (
        "check: days_between(child.birth_datetime, form.consents.signed_at) <= 365",
        "check: days_between(child.birth_datetime, now) <= 365",
        "now) <= 365",
        "the rule reads now, which it may not",
        "read form.…, child.…",
    ),
    (
        "check: child.weight_g >= 300 && child.weight_g <= 8000",
        "check: child.weight_g >= 300 && && child.weight_g <= 8000",
        "&& &&",
        "the rule cannot be read: not CEL",
        "correct the rule",
    ),
    (
        "permitted_name(child",
        "allowed_name(child",
        "allowed_name",
        "there is no function allowed_name(…); use one of age_at",
        "correct the rule",
    ),
    (
        "settings.city_area, mother",
        "settings.town, mother",
        "settings.town,",
        "there is no setting 'town'",
        "correct the rule",
    ),
    (
        "promise: {value: 2, unit: HOUR}",
        "promise: {value: 1, unit: HOUR}",
        "promise: {value: 1",
        "longer than the promise",
        "80 min",
    ),
    (
        "  - code: B9\n",
        "  - code: B3\n",
        "  - code: B3\n",
        "the matter code B3 is used twice",
        "give each its own code",
    ),
    (
        "code: vaccination-record",
        "code: birth-certificate",
        "{code: birth-certificate",
        "is used twice",
        "its own code",
    ),
    (
        "licence_type: 11990100MB0000035A001, ",
        "",
        "{code: household-page",
        "'licence_type' is missing",
        "add licence_type: …",
    ),
    (
        "11990100MB0000035A001",
        "11990100MB0000035B001",
        "0000035B001",
        "household-page has no valid licence type",
        "three digits",
    ),
    (
        "{matter: B4, if: {med_insurance_key: ID}}",
        "{matter: B4, if: {med_key: ID}}",
        "med_key",
        "there is no setting 'med_key'",
        "",
    ),
    (
        "if: {med_insurance_key: ID}\n",
        "if: {med_insurance_key: NO}\n",
        "NO}",
        "'NO' is no value of med_insurance_key",
        "BIRTH_CERT",
    ),
    (
        "    default: ID\n",
        "    default: CARD\n",
        "med_insurance_key",
        "the default of med_insurance_key is not permitted",
        "ID",
    ),
    (
        "basis: vaccination\n",
        "basis: vacination\n",
        "vacination",
        "there is no basis 'vacination'",
        "did you mean vaccination?",
    ),
    (
        "enum: [card-notice, card-guardian, payment-account, benefit-account, parenting-guidance]",
        "enum: [card-notice, card-guardian, benefit-account, parenting-guidance]",
        "payment-account:",
        "nobody can agree to payment-account in the form",
        "add payment-account to the enum",
    ),
    (
        "enum: [card-notice, card-guardian, payment-account, benefit-account, parenting-guidance]",
        "enum: [card-notice, card-guardian, payment-account, benefit-account, parenting-guidance, vaccination]",
        "consents: /consents/agreed",
        "/consents/agreed offers vaccination, which is no consent",
        "card-notice",
    ),
    (
        "  consents: /consents/agreed\n",
        "",
        "form:",
        "the form has no place to agree to card-notice",
        "form.consents",
    ),
    (
        "  consents: /consents/agreed\n",
        "  consents: /consents/agred\n",
        "/consents/agred",
        "the form has no list /consents/agred",
        "array of text",
    ),
    (
        "givers: [FATHER]",
        "givers: [FATHR]",
        "givers: [FATHR]",
        "there is no role 'FATHR' that could agree",
        "did you mean FATHER?",
    ),
    ("givers: [FATHER]", "givers: [FATHER, FATHER]", "givers: [FATHER", "FATHER is asked twice", "once"),
    ("givers: [FATHER]", "givers: []", "givers: []", "should have at least 1 item", "what is expected"),
    ("    givers: [FATHER]\n", "", "card-guardian:", "'givers' is missing", "add givers"),
    (
        "    term: {value: 365, unit: NATURAL_DAY}\n    givers: [FATHER]",
        "    term: {value: 12, unit: MONTH}\n    givers: [FATHER]",
        "unit: MONTH",
        "the term of card-guardian counts MONTH",
        "NATURAL_DAY",
    ),
    (
        "  marriage-records:\n    kind: LAW\n",
        "  marriage-records:\n    kind: LAW\n    version: 2\n",
        "version: 2",
        "'version' is not part of a life event",
        "remove it",
    ),
    (
        "  marriage-records:\n    kind: LAW\n",
        "  marriage-records:\n    kind: CONSENT\n",
        "marriage-records:",
        "'text' is missing",
        "add text",
    ),
    (
        "  marriage-records:\n    kind: LAW\n",
        "  marriage-records:\n    kind: CUSTOM\n",
        "marriage-records:",
        "'marriage-records'",
        "what is expected",
    ),
    (
        "titles: {MOTHER: 母亲, FATHER: 父亲}",
        "titles: {MOTHER: 母亲}",
        "titles: {",
        "FATHER has no title",
        "add FATHER",
    ),
    (
        "titles: {MOTHER: 母亲, FATHER: 父亲}",
        "titles: {MOTHER: 母亲, FATHER: 父亲, UNCLE: 舅舅}",
        "UNCLE",
        "there is no role UNCLE",
        "FATHER",
    ),
    (
        (
            "      - basis: card-guardian\n        fields:\n          father_name: /father/name\n"
            "          father_id_no: /father/id_no\n"
        ),
        "",
        "card-guardian:",
        "no field rests on the basis card-guardian",
        "remove it",
    ),
    (
        "format: mobile}\n          delivery",
        "format: phone}\n          delivery",
        "format: phone",
        "the format 'phone' is unknown",
        "mobile",
    ),
    (
        ", type: string, enum: [MOTHER, FATHER]}",
        ", type: string}",
        "relation: {title",
        "the text relation has no bound",
        "maxLength",
    ),
    (
        "    title: 出生联办申请表\n    type: object\n    additionalProperties: false\n",
        "    title: 出生联办申请表\n    type: object\n",
        "  schema:",
        "schema lets unknown fields pass",
        "additionalProperties: false",
    ),
    (
        "type: integer, minimum: 2000",
        "type: whole, minimum: 2000",
        "pay_year",
        "not a JSON Schema",
        "correct the schema",
    ),
    (
        "    relation: citizen_id_no\n",
        "    relation: citizen_no\n",
        "relation: citizen_no",
        "B4 returns no citizen_no",
        "did you mean citizen_id_no?",
    ),
    (
        "    MOTHER: /mother/id_no",
        "    MOTHER: /mother/id",
        "parties",
        "which the form does not have",
        "did you mean /mother/id_no?",
    ),
    (
        "    /mother: [MOTHER]",
        "    /mather: [MOTHER]",
        "/mather",
        "the form has no part /mather",
        "did you mean /mother?",
    ),
    (
        "    /father: [FATHER]",
        "    /father: [FARTHER]",
        "[FARTHER]",
        "/father concerns FARTHER, which is no role",
        "did you mean FATHER?",
    ),
    (
        "    /father: [FATHER]",
        "    /father: []",
        "/father: []",
        "should have at least 1 item",
        "what is expected",
    ),
    (
        "    /father: [FATHER]\n",
        "",
        "concerns:",
        "the number of FATHER at /father/id_no is not about FATHER alone",
        "[FATHER]",
    ),
    (
        "  - code: B9\n",
        "  - code: RECTIFICATION\n",
        "code: RECTIFICATION",
        "stands for bad reviews",
        "another code",
    ),
    (
        "  guardians: [MOTHER, FATHER]",
        "  guardians: [MOTHER, UNCLE]",
        "UNCLE",
        "the guardian UNCLE has no number",
        "MOTHER",
    ),
    (
        "  guardians: [MOTHER, FATHER]\n",
        "",
        "parties:",
        "nobody may see what is about a child",
        "parties.guardians",
    ),
    (
        "{title: 胎数, type: integer",
        "{type: integer",
        "plurality: /delivery/plurality",
        "/delivery/plurality has no title to tell people by",
        "give it a title",
    ),
    (
        'household_no: {title: 户号, type: string, pattern: "^[0-9A-Z]{6,20}$", maxLength: 20}\n      hukou_address',
        'household_no: {type: string, pattern: "^[0-9A-Z]{6,20}$", maxLength: 20}\n      hukou_address',
        "household_no: {type",
        "household_no has no title to tell people by",
        "give it a title",
    ),
    (
        "name: 出生医学证明, licence_type",
        "name: 出生医学证明, valid_for: {value: 0, unit: YEAR}, licence_type",
        "{code: birth-certificate",
        "greater than or equal to 1",
        "what is expected",
    ),
    (
        "    answer: B2.birth_cert_no",
        "    answer: B2.cert_no",
        "answer: B2.cert_no",
        "no matter returns B2.cert_no",
        "B2.birth_cert_no",
    ),
    (
        "    matters: [B1, B2, B4]",
        "    matters: [B1, B2, B44]",
        "[B1, B2, B44]",
        "V2 concerns B44, which does not exist",
        "did you mean B4?",
    ),
    (
        "    per: application\n    promise_minutes: 5\n",
        "    per: family\n    promise_minutes: 5\n",
        "per: family",
        "'per'",
        "what is expected",
    ),
    (
        "    promise_minutes: 5\n    description: 向",
        "    promise_minuts: 5\n    description: 向",
        "promise_minuts",
        "not part of a life event",
        "correct its name",
    ),
    (
        "      living_code12: /hukou/target_code12\n    needs_person",
        "      living_code12: /hukou/follow\n    needs_person",
        "living_code12: /hukou",
        "here and",
        "different names",
    ),
    ("name: 出生一件事\n", "name: 出生一件事\nname: 出生\n", "name: 出生\n", "'name' is written twice", "YAML"),
    ("guide:\n", "guide: [\n", "", "expected", "YAML"),
]


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
