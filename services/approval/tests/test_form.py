"""What a resident is told about a form: everything at once, in Chinese, at the place where it is to be put right."""

import json
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import approval
import pytest
from approval.form import MAX_ERRORS, FormError, check_form, normalise_form
from approval.life_event import load_life_event
from hypothesis import given
from hypothesis import strategies as st
from yijian_contracts.identifiers import make_citizen_id
from yijian_examples.family import Kind
from yijian_examples.forms import example, form_of
from yijian_examples.population import family

BIRTH = load_life_event(Path(approval.__file__).parent / "life_events" / "birth.yaml", allow_fictitious=True)
NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
TODAY = date(2026, 11, 21)
GONE = object()


def changed(form: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The form with the value at each pointer replaced, or taken out where it is GONE."""
    result = deepcopy(form)
    for pointer, value in changes.items():
        part: Any = result
        *way, last = [int(step) if step.isdigit() else step for step in pointer.split("/")[1:]]
        for step in way:
            part = part[step]
        if value is GONE:
            del part[last]
        else:
            part[last] = value
    return result


def born(year: int) -> dict[str, Any]:
    """The changes that make the mother a woman of this year."""
    return {"/mother/id_no": make_citizen_id("990101", date(year, 1, 1), 2), "/mother/birth_date": f"{year}-01-01"}


def told(form: Any, now: datetime = NOW) -> set[tuple[str, str]]:
    return {(error.rule, error.pointer) for error in check_form(BIRTH, form, now=now)}


STANDARD = example(Kind.STANDARD, today=TODAY)
TWINS = example(Kind.TWINS, today=TODAY)
UNMARRIED = example(Kind.UNMARRIED, today=TODAY)
ISSUED = example(Kind.CERTIFICATE_ISSUED, today=TODAY)
CHILD = "/newborns/0"
ONE = "C990000005"
WAIVED = {"reason": "WAIVED", "statement": "sig-00000001"}
MAN = family(50, today=TODAY).father
WOMAN = family(50, today=TODAY).mother


@pytest.mark.parametrize("kind", list(Kind))
def test_every_example_may_be_submitted(kind: Kind) -> None:
    assert check_form(BIRTH, example(kind, today=TODAY), now=NOW) == []


@pytest.mark.parametrize("n", [7, 20, 1234, 98_765, 1_000_000])
@pytest.mark.parametrize("kind", list(Kind))
def test_every_family_of_the_population_may_apply(kind: Kind, n: int) -> None:
    assert check_form(BIRTH, form_of(family(n, kind=kind, today=TODAY)), now=NOW) == []


@pytest.mark.parametrize(
    ("form", "changes", "rule", "pointer"),
    [
        # Citizen numbers, V1
        (STANDARD, {"/mother/id_no": "990101199001010010"}, "V1", "/mother/id_no"),
        (STANDARD, {"/mother/id_no": MAN.id_no, "/mother/birth_date": str(MAN.birth_date)}, "V1", "/mother/id_no"),
        (STANDARD, {"/mother/birth_date": "1990-01-02"}, "V1", "/mother/birth_date"),
        (STANDARD, {"/father/id_no": "99010119900101001"}, "V1", "/father/id_no"),
        (STANDARD, {"/father/id_no": WOMAN.id_no, "/father/birth_date": str(WOMAN.birth_date)}, "V1", "/father/id_no"),
        (STANDARD, {"/father/birth_date": "1980-01-01"}, "V1", "/father/birth_date"),
        (
            ISSUED,
            {"/already_done": ["B2", "B4"], f"{CHILD}/citizen_id_no": make_citizen_id("990105", date(2026, 1, 1), 2)},
            "V1",
            f"{CHILD}/citizen_id_no",
        ),
        (ISSUED, {"/already_done": ["B2", "B4"], f"{CHILD}/citizen_id_no": "1"}, "V1", f"{CHILD}/citizen_id_no"),
        # The age of the mother, V2
        (STANDARD, born(2013), "V2", "/mother/birth_date"),
        (STANDARD, born(1965), "V2", "/mother/birth_date"),
        # When the child was born, V3
        (STANDARD, {f"{CHILD}/birth_datetime": "2026-11-21T12:00:01+08:00"}, "V3", f"{CHILD}/birth_datetime"),
        (STANDARD, {f"{CHILD}/birth_datetime": "2008-11-01T08:00:00+08:00"}, "V3", f"{CHILD}/birth_datetime"),
        (STANDARD, {"/consents/signed_at": "2026-11-22T09:00:00+08:00"}, "V3", "/consents/signed_at"),
        (STANDARD, {"/consents/signed_at": "2026-08-01T09:00:00+08:00"}, "V3", "/consents/signed_at"),
        # Numbers of birth certificates, V4
        (ISSUED, {f"{CHILD}/birth_cert_no": "c990000005"}, "V4", f"{CHILD}/birth_cert_no"),
        (ISSUED, {f"{CHILD}/birth_cert_no": "C980000005"}, "V4", f"{CHILD}/birth_cert_no"),
        (
            TWINS,
            {"/already_done": ["B2"], f"{CHILD}/birth_cert_no": ONE, "/newborns/1/birth_cert_no": ONE},
            "V4",
            "/newborns",
        ),
        # The child's name, V6
        (STANDARD, {f"{CHILD}/surname": "欧"}, "V6", f"{CHILD}/surname"),
        (STANDARD, {f"{CHILD}/surname_source": "MOTHER"}, "V6", f"{CHILD}/surname"),
        (STANDARD, {f"{CHILD}/surname_source": "OTHER"}, "V6", f"{CHILD}/surname_reason"),
        (STANDARD, {f"{CHILD}/given_name": "安\u0000"}, "FORM", f"{CHILD}/given_name"),
        # The child's ethnicity, V7
        (STANDARD, {f"{CHILD}/ethnicity": "02"}, "V7", f"{CHILD}/ethnicity"),
        (STANDARD, {"/mother/ethnicity": "02"}, "V7", "/consents/ethnicity_choice"),
        # What the marriage check needs, V8
        (STANDARD, {"/marriage/cert_no": GONE}, "V8", "/marriage/cert_no"),
        (STANDARD, {"/marriage/cert_no": "J12-2020-1"}, "V8", "/marriage/cert_no"),
        (STANDARD, {"/father": GONE, "/father_absence": WAIVED}, "V8", "/father"),
        (UNMARRIED, {"/marriage/statement": GONE}, "V8", "/marriage/statement"),
        # More than one child, V13
        (STANDARD, {"/delivery/plurality": 2}, "V13", "/delivery/plurality"),
        (TWINS, {"/newborns/1/order": 1}, "V13", "/newborns"),
        (TWINS, {"/newborns/0/order": 2, "/newborns/1/order": 1}, "V13", "/newborns"),
        (TWINS, {"/newborns/1/birth_datetime": "2026-11-14T08:00:00+08:00"}, "V13", "/newborns"),
        # Consistency
        (UNMARRIED, {"/father": GONE}, "F1", "/father"),
        (STANDARD, {"/father_absence": WAIVED}, "F1", "/father"),
        (STANDARD, {"/father/id_no": STANDARD["mother"]["id_no"]}, "F2", "/father/id_no"),
        (UNMARRIED, {"/father": GONE, "/applicant/relation": "FATHER"}, "F3", "/applicant/relation"),
        (STANDARD, {"/applicant/delivery": {"mode": "POST"}}, "F4", "/applicant/delivery/address"),
        (STANDARD, {"/mother/ethnicity": GONE}, "F5", "/mother/ethnicity"),
        (STANDARD, {"/father/ethnicity": GONE}, "F5", "/father/ethnicity"),
        (STANDARD, {"/mother/hukou": {"type": "FAMILY"}}, "F6", "/mother/hukou"),
        (STANDARD, {"/father/hukou": {"type": "COLLECTIVE"}}, "F6", "/father/hukou"),
        (STANDARD, {"/mother/hukou": {"type": "NONE"}}, "F7", "/hukou/follow"),
        (STANDARD, {"/father/hukou": {"type": "NONE"}, "/hukou/follow": "FATHER"}, "F7", "/hukou/follow"),
        (STANDARD, {"/hukou/target_code12": "440103001001"}, "F8", "/hukou/target_code12"),
        (STANDARD, {"/hukou/other_side_not_registered": False}, "F9", "/hukou/other_side_not_registered"),
        (STANDARD, {"/delivery/inpatient_no": GONE}, "F10", "/delivery/institution_code"),
        (STANDARD, {"/delivery/place": "ABROAD"}, "F11", "/evidence"),
        (STANDARD, {"/insurance/pay_year": 2025}, "F12", "/insurance/pay_year"),
        (STANDARD, {"/insurance/pay_year": 2028}, "F12", "/insurance/pay_year"),
        (STANDARD, {"/benefit/bank_name": GONE}, "F13", "/benefit/bank_account_no"),
        (STANDARD, {"/already_done": ["B2"]}, "F15", "/newborns"),
        (ISSUED, {"/already_done": ["B4"]}, "F15", "/already_done"),
        (ISSUED, {"/already_done": ["B2", "B4"]}, "F15", "/newborns"),
        (ISSUED, {"/already_done": GONE}, "F16", f"{CHILD}/birth_cert_no"),
        (STANDARD, {f"{CHILD}/citizen_id_no": make_citizen_id("990101", date(2026, 11, 15), 2)}, "F16",
         f"{CHILD}/citizen_id_no"),
        *[
            (STANDARD, {"/consents/agreed": [b for b in STANDARD["consents"]["agreed"] if b != missing]}, "F17",
             "/consents/agreed")
            for missing in ("card-notice", "payment-account", "benefit-account", "parenting-guidance")
        ],
        (STANDARD, {"/applicant/relation": "FATHER", "/consents/agreed": ["card-notice"]}, "F17", "/consents/agreed"),
        (STANDARD, {"/consents/agreed": [*STANDARD["consents"]["agreed"], "card-guardian"]}, "F18", "/consents/agreed"),
        (STANDARD, {"/applicant/relation": "FATHER"}, "F18", "/consents/agreed"),
        # The form itself
        (STANDARD, {"/mother/nickname": "x"}, "FORM", "/mother/nickname"),
        (STANDARD, {"/mother/name": GONE}, "FORM", "/mother/name"),
        (STANDARD, {"/mother/name": "名" * 21}, "FORM", "/mother/name"),
        (STANDARD, {"/applicant/mobile": "12345"}, "FORM", "/applicant/mobile"),
        (STANDARD, {"/benefit/bank_account_no": "6222020000000000011"}, "FORM", "/benefit/bank_account_no"),
        (STANDARD, {"/hukou/target_code12": "980101001001"}, "FORM", "/hukou/target_code12"),
        (STANDARD, {"/mother/birth_date": "1990-02-30"}, "FORM", "/mother/birth_date"),
        (STANDARD, {f"{CHILD}/birth_datetime": "2026-11-15T08:00:00"}, "FORM", f"{CHILD}/birth_datetime"),
        (STANDARD, {f"{CHILD}/weight_g": 10**400}, "FORM", f"{CHILD}/weight_g"),
        (STANDARD, {f"{CHILD}/sex": 1}, "FORM", f"{CHILD}/sex"),
        (STANDARD, {"/newborns": []}, "FORM", "/newborns"),
        (STANDARD, {"/consents/agreed": ["card-notice", "card-notice"]}, "FORM", "/consents/agreed"),
        (STANDARD, {"/consents/agreed": ["birth-certificate"]}, "FORM", "/consents/agreed/0"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_where_it_is(form: dict[str, Any], changes: dict[str, Any], rule: str, pointer: str) -> None:
    assert (rule, pointer) in told(changed(form, changes))


def test_messages_are_chinese_and_repeat_no_value() -> None:
    form = changed(STANDARD, {"/mother/id_no": "990101199001010010", "/applicant/mobile": "12345678901"})
    messages = [error.message for error in check_form(BIRTH, form, now=NOW)]
    assert len(messages) == 2
    assert all(any("一" <= character <= "鿿" for character in message) for message in messages)
    assert not any("990101199001010010" in message or "12345678901" in message for message in messages)


def test_everything_wrong_is_told_at_once() -> None:
    form = changed(
        TWINS,
        {
            "/mother/id_no": "990101199001010010",
            "/father/birth_date": "1980-01-01",
            "/newborns/1/given_name": GONE,
            "/newborns/1/ethnicity": "05",
            "/delivery/plurality": 3,
            "/unknown": 1,
        },
    )
    assert told(form) == {
        ("V1", "/mother/id_no"),
        ("V1", "/father/birth_date"),
        ("FORM", "/newborns/1/given_name"),
        ("V7", "/newborns/1/ethnicity"),
        ("V13", "/delivery/plurality"),
        ("FORM", "/unknown"),
    }


def test_a_rule_says_nothing_about_what_could_not_be_read() -> None:
    assert told(changed(STANDARD, {"/mother/birth_date": 5})) == {("FORM", "/mother/birth_date")}


def test_a_lower_case_x_is_accepted_and_made_upper_case() -> None:
    women = (make_citizen_id("990101", date(1990, 1, 1), sequence) for sequence in range(0, 1000, 2))
    number = next(woman for woman in women if woman.endswith("X"))
    form = changed(STANDARD, {"/mother/id_no": number.lower(), "/mother/birth_date": "1990-01-01"})
    assert check_form(BIRTH, form, now=NOW) == []
    assert normalise_form(BIRTH, form)["mother"]["id_no"] == number
    assert form["mother"]["id_no"] == number.lower()
    assert normalise_form(BIRTH, STANDARD) is STANDARD


def test_a_passport_is_not_judged_as_a_citizen_number() -> None:
    foreign = {"/father/id_type": "PASSPORT", "/father/id_no": "E12345678", "/father/nationality": "FRA"}
    assert check_form(BIRTH, changed(STANDARD, foreign), now=NOW) == []


def test_region_99_is_no_place_where_fictitious_areas_are_not_allowed() -> None:
    production = load_life_event(Path(approval.__file__).parent / "life_events" / "birth.yaml")
    pointers = {error.pointer for error in check_form(production, ISSUED, now=NOW)}
    assert {"/mother/hukou/code12", "/hukou/target_code12", "/newborns/0/birth_cert_no"} <= pointers


def test_a_correction_is_judged_as_of_the_day_of_submitting() -> None:
    assert told(STANDARD, NOW + timedelta(days=120)) == {("V3", "/consents/signed_at")}
    assert told(STANDARD, NOW) == set()


@pytest.mark.parametrize("text", ["\ud800", "安\udfff"])
def test_half_a_surrogate_pair_is_refused(text: str) -> None:
    form = json.loads(json.dumps(changed(STANDARD, {f"{CHILD}/given_name": text})))
    assert [error.rule for error in check_form(BIRTH, form, now=NOW)] == ["FORM"]
    assert check_form(BIRTH, {text: 1}, now=NOW)


def test_a_thousand_unknown_fields_give_a_bounded_answer() -> None:
    errors = check_form(BIRTH, {**STANDARD, **{f"f{i}": i for i in range(1000)}, "x" * 5000: 1}, now=NOW)
    assert 0 < len(errors) <= MAX_ERRORS
    assert all(len(error.pointer) < 100 for error in errors)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_no_json_value_makes_the_check_raise(value: Any) -> None:
    errors = check_form(BIRTH, value, now=NOW)
    assert errors
    assert all(isinstance(error, FormError) for error in errors)
    normalise_form(BIRTH, value)


def _places(part: Any, pointer: str = "") -> list[str]:
    inner = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    return [place for key, value in inner for place in (f"{pointer}/{key}", *_places(value, f"{pointer}/{key}"))]


@given(st.sampled_from([STANDARD, TWINS, UNMARRIED, ISSUED]), st.data())
def test_no_field_however_wrong_makes_the_check_raise(form: dict[str, Any], data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(_places(form)))
    value = data.draw(JSON | st.just(GONE))
    for error in check_form(BIRTH, changed(form, {place: value}), now=NOW):
        assert error.message
