"""The city's working days, with China's swapped weekends: files ``data/calendar/CN-<year>.toml``.

The day of the beginning is not counted, whatever the hour; a period of n working days ends with the n-th working day,
at midnight in Asia/Shanghai (行政许可法 第八十二条; the end of the day, as for what is done online). Ends are exclusive
instants in UTC: the last moment of the period lies before them.
"""

import tomllib
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

CITY_ZONE = ZoneInfo("Asia/Shanghai")

_DAY = timedelta(days=1)


class CalendarStatus(StrEnum):
    """CONFIRMED follows a notice of the State Council; PROVISIONAL knows the law only, no swapped weekends."""

    CONFIRMED = "CONFIRMED"
    PROVISIONAL = "PROVISIONAL"


class UnknownYearError(ValueError):
    """No calendar covers this year."""


@dataclass(frozen=True, slots=True)
class CalendarYear:
    """The working days of a year in order. `source` and `effective_from` say where they come from and since when."""

    year: int
    version: int
    status: CalendarStatus
    source: str
    effective_from: str
    days: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class WorkingDayEnd:
    """When a period ends. Into a provisional year its end may still move, and has to be marked so."""

    at: datetime
    provisional: bool


@cache
def calendar_years() -> dict[int, CalendarYear]:
    """Every year that is known."""
    folder = files(__package__).joinpath("data/calendar")
    read = [_read(entry.read_text(encoding="utf-8")) for entry in folder.iterdir() if entry.name.endswith(".toml")]
    return {year.year: year for year in read}


def _read(text: str) -> CalendarYear:
    table = tomllib.loads(text)
    year = table["year"]
    off = {day for holiday in table["holiday"] for day in _days(holiday["first"], holiday["last"])}
    swapped = set(table["working_weekends"])
    worked = (
        day
        for day in _days(date(year, 1, 1), date(year, 12, 31))
        if day in swapped or (day.weekday() < 5 and day not in off)
    )
    return CalendarYear(
        year=year,
        version=table["version"],
        status=CalendarStatus(table["status"]),
        source=table["source"],
        effective_from=table["effective_from"],
        days=tuple(worked),
    )


def _days(first: date, last: date) -> list[date]:
    return [first + n * _DAY for n in range((last - first).days + 1)]


def local_date(instant: datetime) -> date:
    """The day on the city's calendar at `instant`, which has a zone."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a zone")
    return instant.astimezone(CITY_ZONE).date()


def day_start(day: date) -> datetime:
    """The instant at which `day` begins in the city; it is the end of the day before."""
    return datetime.combine(day, time.min, CITY_ZONE).astimezone(UTC)


def get_year(year: int) -> CalendarYear:
    """The calendar of a year. Raises `UnknownYearError`."""
    try:
        return calendar_years()[year]
    except KeyError:
        known = ", ".join(str(known) for known in sorted(calendar_years()))
        raise UnknownYearError(f"no working-day calendar for {year}; known are {known}") from None


def is_working_day(day: date) -> bool:
    """Whether the city's offices work on `day`. Raises `UnknownYearError`."""
    days = get_year(day.year).days
    place = bisect_right(days, day)
    return place > 0 and days[place - 1] == day


def end_of_working_days(instant: datetime, count: int) -> WorkingDayEnd:
    """When a period of `count` ≥ 1 working days that begins at `instant` ends. Raises `UnknownYearError`."""
    if count < 1:
        raise ValueError("a period has at least one working day")
    first = local_date(instant)
    left, year = count, first.year
    provisional = False
    while True:
        calendar = get_year(year)
        provisional = provisional or calendar.status is CalendarStatus.PROVISIONAL
        ahead = calendar.days[bisect_right(calendar.days, first) :]
        if left <= len(ahead):
            return WorkingDayEnd(at=day_start(ahead[left - 1] + _DAY), provisional=provisional)
        left -= len(ahead)
        year += 1


def add_working_days(instant: datetime, count: int) -> datetime:
    """The end of a period of `count` ≥ 1 working days that begins at `instant`. Raises `UnknownYearError`."""
    return end_of_working_days(instant, count).at


def working_days_between(start: datetime, end: datetime) -> int:
    """How many working days follow the day of `start`, up to and with the day of `end`; 0 when it is no later day.

    For the end that `add_working_days` gives, which is the midnight after the last day, ask with a moment before it.
    """
    first, last = local_date(start), local_date(end)
    total = 0
    for year in range(first.year, last.year + 1):
        days = get_year(year).days
        total += max(0, bisect_right(days, last) - bisect_right(days, first))
    return total
