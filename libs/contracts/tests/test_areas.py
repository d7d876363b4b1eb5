"""Area codes as the scope of officials and as places of a form; region 99 exists only where it is allowed."""

import pytest
from yijian_contracts.areas import AreaLevel, area_contains, area_level, areas, is_area_code, significant_prefix


@pytest.mark.parametrize(
    ("code", "level", "prefix"),
    [
        ("440000000000", AreaLevel.PROVINCE, "44"),
        ("990100000000", AreaLevel.CITY, "9901"),
        ("990110000000", AreaLevel.COUNTY, "990110"),
        ("990101001000", AreaLevel.STREET, "990101001"),
        ("990101001001", AreaLevel.COMMUNITY, "990101001001"),
    ],
)
def test_trailing_zeros_tell_the_level(code: str, level: AreaLevel, prefix: str) -> None:
    assert area_level(code) is level
    assert significant_prefix(code) == prefix


def test_an_area_contains_itself_and_what_lies_below_but_no_neighbour() -> None:
    assert area_contains("990101000000", "990101001001")
    assert area_contains("990101000000", "990101000000")
    assert not area_contains("990101000000", "990102001001")
    assert not area_contains("990101001001", "990101001000")


@pytest.mark.parametrize("nonsense", ["", "99", "000000000000", "99010100100x", "9901010010011"])
def test_nonsense_is_nowhere_and_contains_nothing(nonsense: str) -> None:
    assert not area_contains(nonsense, "990101001001")
    assert not area_contains("990101000000", nonsense)
    with pytest.raises(ValueError, match="12 digits"):
        area_level(nonsense)


def test_region_99_exists_only_where_fictitious_areas_are_allowed() -> None:
    assert not is_area_code("990101001001")
    assert is_area_code("990101001001", allow_fictitious=True)
    assert is_area_code("440103001001")
    assert not is_area_code("980101001001", allow_fictitious=True)
    assert not any(code.startswith("99") for code in areas())
    assert {area.fictitious for code, area in areas(allow_fictitious=True).items() if code.startswith("99")} == {True}


def test_the_fictitious_city_has_at_least_36_counties_and_the_table_holds_34_provinces() -> None:
    table = areas(allow_fictitious=True)
    assert sum(area_level(code) is AreaLevel.COUNTY and code.startswith("9901") for code in table) >= 36
    assert sum(area_level(code) is AreaLevel.PROVINCE for code in areas()) == 34
    assert all(area.source and area.effective_from for area in table.values())
