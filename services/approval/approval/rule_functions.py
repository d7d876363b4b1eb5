"""The functions that rules may call.

None ever raises: given nonsense it answers with a value that makes no rule pass by accident (the form's schema has then
already said what is wrong). Days are calendar days in Asia/Shanghai.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta, timezone
from importlib.resources import files
from typing import Any

from yijian_contracts.areas import area_contains
from yijian_contracts.identifiers import InvalidIdentifierError, parse_citizen_id

SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
"""China has had one zone without daylight saving since 1991."""


def valid_citizen_id(number: Any) -> bool:
    """GB 11643: shape, existing date, check character."""
    return birth_date_of(number) != ""


def birth_date_of(number: Any) -> str:
    """The birth date in a citizen number as YYYY-MM-DD; empty when the number is wrong."""
    try:
        return parse_citizen_id(number).birth_date.isoformat()
    except InvalidIdentifierError:
        return ""


def sex_of(number: Any) -> str:
    """ "1" for a man's citizen number, "2" for a woman's; empty when the number is wrong."""
    try:
        return parse_citizen_id(number).sex.value
    except InvalidIdentifierError:
        return ""


def age_at(birth_date: Any, day: Any) -> int:
    """Full years between two days; -1 when either is no date. Someone born on 29 February ages on 1 March."""
    born, on = _date(birth_date), _date(day)
    if born is None or on is None:
        return -1
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def days_between(earlier: Any, later: Any) -> int:
    """Whole calendar days in Asia/Shanghai from one day or instant to another; a million when either is nonsense."""
    start, end = _date(earlier), _date(later)
    return 1_000_000 if start is None or end is None else (end - start).days


def hours_between(instants: Any) -> float:
    """Hours between the first and the last of a list of instants; a million when one is nonsense."""
    moments = [_instant(text) for text in instants] if isinstance(instants, list) else [None]
    if None in moments:
        return 1_000_000.0
    known = [moment for moment in moments if moment is not None]
    return (max(known) - min(known)).total_seconds() / 3600 if known else 0.0


def in_order(instants: Any) -> bool:
    """Whether no instant of the list is earlier than the one before it."""
    moments = [_instant(text) for text in instants] if isinstance(instants, list) else [None]
    known = [moment for moment in moments if moment is not None]
    return len(known) == len(moments) and known == sorted(known)


def day_of(instant: Any) -> str:
    """The calendar day of an instant in Asia/Shanghai as YYYY-MM-DD; empty when it is no instant."""
    day = _date(instant)
    return day.isoformat() if day else ""


def year_of(instant: Any) -> int:
    """The calendar year of a day or instant in Asia/Shanghai; 0 when it is neither."""
    day = _date(instant)
    return day.year if day else 0


def length(value: Any) -> int:
    """Characters of a text or items of a list (CEL's own `size` counts the bytes of a text here)."""
    return len(value) if isinstance(value, (str, list, dict)) else -1


def distinct(values: Any) -> bool:
    """Whether no value of the list stands in it twice."""
    return isinstance(values, list) and len({repr(value) for value in values}) == len(values)


def numbered(orders: Any) -> bool:
    """Whether the list is 1, 2, … in that order."""
    return isinstance(orders, list) and orders == list(range(1, len(orders) + 1))


_HAN = "㐀-䶿一-鿿\U00020000-\U000323af"
_COMPOUND = frozenset(
    tomllib.loads(files(__package__).joinpath("data/names.toml").read_text(encoding="utf-8"))[
        "compound_surnames"
    ].split()
)
_NAME = re.compile(f"[{_HAN}]{{1,20}}")
_MINORITY_NAME = re.compile(f"[{_HAN}]{{1,18}}(?:·[{_HAN}]{{1,18}})+")


def permitted_name(surname: Any, given_name: Any) -> bool:
    """Whether a name is of the usual shape: surname of 1 or 2 Han characters (2 only when listed) and 1–4 given ones.

    Or, for a minority's name, Han characters with the interpunct U+00B7; at most 20 characters in all.
    """
    if not isinstance(surname, str) or not isinstance(given_name, str) or len(surname + given_name) > 20:
        return False
    if "·" in surname + given_name:
        return bool(_MINORITY_NAME.fullmatch(surname + given_name))
    usual_surname = bool(_NAME.fullmatch(surname)) and (len(surname) == 1 or surname in _COMPOUND)
    return usual_surname and bool(_NAME.fullmatch(given_name)) and len(given_name) <= 4


def same_county(code12: Any, other12: Any) -> bool:
    """Whether two area codes lie in the same county or district."""
    return isinstance(code12, str) and isinstance(other12, str) and code12[:6] == other12[:6]


def within(area: Any, code: Any) -> bool:
    """Whether an area (12 digits) contains a place given with 6 or 12 digits."""
    return isinstance(area, str) and isinstance(code, str) and area_contains(area, code.ljust(12, "0"))


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        valid_citizen_id,
        birth_date_of,
        sex_of,
        age_at,
        days_between,
        hours_between,
        in_order,
        day_of,
        year_of,
        length,
        distinct,
        numbered,
        permitted_name,
        same_county,
        within,
    )
}

_BUILT_IN = frozenset(
    {"timestamp", "duration", "string", "int", "double", "startsWith", "endsWith", "contains", "matches"}
)


def _instant(text: Any) -> datetime | None:
    if isinstance(text, datetime):
        return text
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None


def _date(text: Any) -> date | None:
    if isinstance(text, str) and len(text) == 10:
        try:
            return date.fromisoformat(text)
        except ValueError:
            return None
    moment = _instant(text)
    return moment.astimezone(SHANGHAI).date() if moment else None
