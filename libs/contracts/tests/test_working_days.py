"""Working days as the State Council noticed them, and what holds of any period counted in them."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yijian_contracts.working_days import (
    CITY_ZONE,
    CalendarStatus,
    UnknownYearError,
    add_working_days,
    calendar_years,
    day_start,
    end_of_working_days,
    get_year,
    is_working_day,
    local_date,
    working_days_between,
)

MOMENT = timedelta(microseconds=1)
INSTANTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 9, 1)).map(lambda at: at.replace(tzinfo=CITY_ZONE))  # noqa: DTZ001 - the zone comes with map


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=CITY_ZONE)


def last_day(day: date, count: int) -> date:
    """The last day of a period that begins at noon of `day`."""
    return local_date(add_working_days(noon(day), count) - MOMENT)


def test_each_year_says_where_it_comes_from():
    assert {year.year: year.status for year in calendar_years().values()} == {
        2026: CalendarStatus.CONFIRMED,
        2027: CalendarStatus.PROVISIONAL,
    }
    for year in calendar_years().values():
        assert year.source
        assert year.effective_from == f"{year.year}-01-01"
        assert year.version >= 1


def test_2026_has_248_working_days():
    assert len(get_year(2026).days) == 248


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("01-01", "01-03"),
        ("02-15", "02-23"),
        ("04-04", "04-06"),
        ("05-01", "05-05"),
        ("06-19", "06-21"),
        ("09-25", "09-27"),
        ("10-01", "10-07"),
    ],
)
def test_nobody_works_in_a_holiday_but_on_the_days_around_it(first: str, last: str):
    start, end = (date.fromisoformat(f"2026-{day}") for day in (first, last))
    assert not any(is_working_day(start + timedelta(days=n)) for n in range((end - start).days + 1))
    assert is_working_day(end + timedelta(days=1))


@pytest.mark.parametrize("day", ["2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"])
def test_a_swapped_weekend_is_worked(day: str):
    swapped = date.fromisoformat(day)
    assert swapped.weekday() >= 5
    assert is_working_day(swapped)


@pytest.mark.parametrize(
    ("begin", "count", "last"),
    [
        ("2026-02-10", 5, "2026-02-24"),
        ("2026-02-13", 3, "2026-02-25"),
        ("2026-02-14", 1, "2026-02-24"),
        ("2026-04-30", 5, "2026-05-11"),
        ("2026-06-18", 1, "2026-06-22"),
        ("2026-09-18", 3, "2026-09-22"),
        ("2026-09-24", 5, "2026-10-09"),
        ("2026-09-30", 3, "2026-10-10"),
        ("2026-10-09", 2, "2026-10-12"),
        ("2026-11-20", 15, "2026-12-11"),
        ("2026-11-21", 1, "2026-11-23"),
        ("2026-12-01", 20, "2026-12-29"),
        ("2026-01-01", 1, "2026-01-04"),
        ("2026-01-05", 45, "2026-03-13"),
    ],
)
def test_known_periods(begin: str, count: int, last: str):
    first = date.fromisoformat(begin)
    assert last_day(first, count) == date.fromisoformat(last)
    end = add_working_days(noon(first), count)
    assert working_days_between(noon(first), end - MOMENT) == count


def test_a_day_begins_at_midnight_in_shanghai_wherever_the_clock_stands():
    before, after = datetime(2026, 11, 19, 15, 59, 59, tzinfo=UTC), datetime(2026, 11, 19, 16, tzinfo=UTC)
    assert (local_date(before), local_date(after)) == (date(2026, 11, 19), date(2026, 11, 20))
    assert add_working_days(before, 1) == datetime(2026, 11, 20, 16, tzinfo=UTC)
    assert add_working_days(after, 1) == datetime(2026, 11, 23, 16, tzinfo=UTC)
    elsewhere = after.astimezone(timezone(timedelta(hours=-8)))
    assert add_working_days(elsewhere, 1) == add_working_days(after, 1)


def test_what_reaches_into_a_provisional_year_says_so():
    assert not end_of_working_days(noon(date(2026, 12, 24)), 5).provisional
    ending = end_of_working_days(noon(date(2026, 12, 31)), 1)
    assert ending.provisional
    assert local_date(ending.at - MOMENT) == date(2027, 1, 4)


def test_what_no_calendar_covers_is_refused():
    with pytest.raises(UnknownYearError, match="2028"):
        add_working_days(noon(date(2027, 12, 31)), 1)
    with pytest.raises(UnknownYearError, match="2025"):
        working_days_between(noon(date(2025, 12, 31)), noon(date(2026, 1, 4)))
    with pytest.raises(ValueError, match="at least one"):
        add_working_days(noon(date(2026, 3, 2)), 0)
    with pytest.raises(ValueError, match="zone"):
        local_date(datetime(2026, 3, 2))  # noqa: DTZ001 - that is what is refused


@given(INSTANTS, st.integers(1, 60))
def test_a_period_ends_with_a_working_day_and_holds_as_many_as_it_says(instant: datetime, count: int):
    end = add_working_days(instant, count)
    assert end > instant
    assert is_working_day(local_date(end - MOMENT))
    assert end == day_start(local_date(end))
    assert working_days_between(instant, end - MOMENT) == count


@given(INSTANTS, st.integers(1, 30), st.integers(1, 30))
def test_periods_add_up(instant: datetime, one: int, other: int):
    between = add_working_days(instant, one) - MOMENT
    assert add_working_days(between, other) == add_working_days(instant, one + other)


@given(INSTANTS, INSTANTS, st.integers(1, 30))
def test_who_begins_later_never_ends_earlier(one: datetime, other: datetime, count: int):
    first, second = sorted((one, other))
    assert add_working_days(first, count) <= add_working_days(second, count)
    assert working_days_between(second, first) == 0


@given(INSTANTS, st.integers(0, 86_399))
def test_the_hour_of_the_beginning_does_not_matter(instant: datetime, seconds: int):
    same_day = day_start(local_date(instant)) + timedelta(seconds=seconds)
    assert add_working_days(instant, 3) == add_working_days(same_day, 3)
