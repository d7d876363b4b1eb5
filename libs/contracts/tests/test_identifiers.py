"""The numbers printed in the standards and the fictitious ones of region 99; every wrong digit is noticed."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yijian_contracts import identifiers as ids
from yijian_contracts.departments import departments
from yijian_contracts.identifiers import InvalidIdentifierError, Sex

STANDARD_CITIZEN_IDS = ["11010519491231002X", "440524188001010014"]
FICTITIOUS_CITIZEN_IDS = {
    "990101199001010019": Sex.MALE,
    "990101199202290029": Sex.FEMALE,
    "990102202611150036": Sex.MALE,
    "990102202611150044": Sex.FEMALE,
    "990101202611150216": Sex.MALE,
    "990103195803150130": Sex.MALE,
    "99010119880808003X": Sex.MALE,
}
BAD_CITIZEN_IDS = ["990101199001010010", "990101199002300012", "99010119900101001"]
GOOD_USCC = [
    "91350100M000100Y43",
    "91990100MA0000015X",
    "11990100MB0000027F",
    "92990100MA0000031G",
    "52990100MJ00000429",
    "12990100MB0000051W",
]
LICENCE_IDENTIFIERS = [
    "1.2.156.3005.2.11990100MB0000027F001.11990100MB0000027F.20261121000001.001.E",
    "1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.001.U",
    "1.2.156.3005.2.11100000MB03271699022.340100.000000016.001.9",
]


@pytest.mark.parametrize("number", STANDARD_CITIZEN_IDS)
def test_the_examples_printed_in_the_standard_hold(number: str) -> None:
    assert ids.is_citizen_id(number)


@pytest.mark.parametrize(("number", "sex"), FICTITIOUS_CITIZEN_IDS.items())
def test_a_fictitious_citizen_number_tells_birth_date_and_sex(number: str, sex: Sex) -> None:
    citizen = ids.parse_citizen_id(number)
    assert (citizen.sex, f"{citizen.birth_date:%Y%m%d}", citizen.area6) == (sex, number[6:14], number[:6])


@pytest.mark.parametrize("number", BAD_CITIZEN_IDS)
def test_a_bad_citizen_number_is_refused_without_being_repeated(number: str) -> None:
    with pytest.raises(InvalidIdentifierError) as refused:
        ids.parse_citizen_id(number)
    assert number not in str(refused.value)


def test_a_lower_case_x_is_normalised() -> None:
    assert ids.normalise_citizen_id("99010119880808003x") == "99010119880808003X"


def test_a_birth_date_after_today_is_refused() -> None:
    with pytest.raises(InvalidIdentifierError, match="future"):
        ids.parse_citizen_id("990102202611150036", today=date(2026, 11, 14))
    assert ids.parse_citizen_id("990102202611150036", today=date(2026, 11, 15))


def test_digits_of_other_scripts_are_no_digits() -> None:
    assert not ids.is_citizen_id("99010119900101001９")
    assert not ids.is_mobile("1380013８000")


@given(
    area=st.integers(100000, 999999),
    day=st.dates(date(1880, 1, 1), date(2099, 12, 31)),
    sequence=st.integers(0, 999),
    place=st.integers(0, 17),
    other=st.sampled_from("0123456789"),
)
def test_a_made_citizen_number_is_valid_and_one_changed_digit_is_noticed(
    area: int, day: date, sequence: int, place: int, other: str
) -> None:
    number = ids.make_citizen_id(str(area), day, sequence)
    citizen = ids.parse_citizen_id(number)
    assert (citizen.area6, citizen.birth_date, citizen.sequence) == (str(area), day, sequence)
    changed = number[:place] + other + number[place + 1 :]
    assert changed == number or not ids.is_citizen_id(changed)


@given(st.text(max_size=40))
def test_no_text_makes_a_check_raise(text: str) -> None:
    for check in (
        ids.is_citizen_id,
        ids.is_birth_certificate_no,
        ids.is_marriage_certificate_no,
        ids.is_uscc,
        ids.is_mobile,
        ids.is_bank_card,
    ):
        assert check(text) in (True, False)


@pytest.mark.parametrize("code", GOOD_USCC)
def test_known_unified_social_credit_codes_hold(code: str) -> None:
    assert ids.is_uscc(code)
    assert ids.make_uscc(code[:8], code[8:16]) == code


@pytest.mark.parametrize(
    "code", ["91350100M000100Y44", "91350100M000100Z43", "11990100MB0000026F", "1199010MB0000027F"]
)
def test_a_wrong_unified_social_credit_code_is_refused(code: str) -> None:
    assert not ids.is_uscc(code)


def test_every_department_has_a_valid_code_of_its_own() -> None:
    codes = [department.uscc for department in departments().values()]
    assert all(ids.is_uscc(code) for code in codes)
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("identifier", LICENCE_IDENTIFIERS)
def test_public_licence_identifiers_hold_and_a_changed_version_does_not(identifier: str) -> None:
    assert ids.parse_licence_identifier(identifier).version == 1
    head, _, check = identifier.rpartition(".001.")
    with pytest.raises(InvalidIdentifierError):
        ids.parse_licence_identifier(f"{head}.002.{check}")


def test_a_made_licence_identifier_is_the_printed_one() -> None:
    made = ids.make_licence_identifier("11990100MB0000027F001", "11990100MB0000027F", "20261121000001")
    assert made == LICENCE_IDENTIFIERS[0]


def test_an_area_code_is_read_as_issuer_but_never_written() -> None:
    with pytest.raises(InvalidIdentifierError):
        ids.make_licence_identifier("11100000MB03271699022", "340100", "000000016")
    for serial in ("", "A" * 33, "a1", "一"):
        with pytest.raises(ids.InvalidIdentifierError):
            ids.make_licence_identifier("11990100MB0000027F001", "11990100MB0000027F", serial)


def test_a_birth_certificate_needs_an_existing_province() -> None:
    assert ids.is_birth_certificate_no("X320101001")
    assert not ids.is_birth_certificate_no("X990000001")
    assert ids.is_birth_certificate_no("Z990000001", allow_fictitious=True)
    assert not ids.is_birth_certificate_no("Z980000001", allow_fictitious=True)
    assert ids.make_birth_certificate_no("Z", "99", 2) == "Z990000002"


@pytest.mark.parametrize(
    ("number", "fits"),
    [("J110101-2020-000123", True), ("L990101-2019-000001", True), ("K110101-2020-000123", False), ("J110101", False)],
)
def test_marriage_certificate_numbers(number: str, *, fits: bool) -> None:
    assert ids.is_marriage_certificate_no(number) is fits


@pytest.mark.parametrize(("number", "fits"), [("13800138000", True), ("12800138000", False), ("1380013800", False)])
def test_mobile_numbers(number: str, *, fits: bool) -> None:
    assert ids.is_mobile(number) is fits


def test_a_bank_card_carries_a_luhn_digit() -> None:
    assert ids.is_bank_card("4539578763621486")
    assert not ids.is_bank_card("4539578763621487")
    assert not ids.is_bank_card("18")
    assert ids.luhn_check("7992739871") == "3"
