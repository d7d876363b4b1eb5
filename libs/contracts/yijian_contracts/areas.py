"""Places: 12-digit area codes and the tree they form, with the table itself in ``data/areas.toml``.

A code is province 2 + city 2 + county 2 (GB/T 2260) + street or town 3 + community or village 3 (statistical division
code). Region 99 is allocated to nobody: it is fictitious and exists only where the caller says `allow_fictitious`.
"""

import re
import tomllib
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from importlib.resources import files

_CODE = re.compile(r"[0-9]{12}")


class AreaLevel(IntEnum):
    """The level of a code; the value is the length of its significant prefix."""

    PROVINCE = 2
    CITY = 4
    COUNTY = 6
    STREET = 9
    COMMUNITY = 12


@dataclass(frozen=True)
class Area:
    """A place of the table. `source` and `effective_from` say where the entry comes from and since when it holds."""

    code: str
    name: str
    fictitious: bool
    source: str
    effective_from: str


def area_level(code: str) -> AreaLevel:
    """The level of a 12-digit code, told by its trailing zeros. A `ValueError` when it is not such a code."""
    if not _CODE.fullmatch(code) or code.startswith("00"):
        raise ValueError("an area code has 12 digits and begins with a province")
    return next(level for level in AreaLevel if not code[level:].strip("0"))


def significant_prefix(code: str) -> str:
    """The digits that every code inside this area begins with: 990101000000 → 990101."""
    return code[: area_level(code)]


def area_contains(outer: str, inner: str) -> bool:
    """Whether `inner` lies in `outer` or is it. A code of the wrong shape lies nowhere and contains nothing."""
    try:
        return bool(_CODE.fullmatch(inner)) and inner.startswith(significant_prefix(outer))
    except ValueError:
        return False


@cache
def areas(*, allow_fictitious: bool = False) -> dict[str, Area]:
    """Every place of the table by its 12-digit code."""
    table = tomllib.loads(files(__package__).joinpath("data/areas.toml").read_text(encoding="utf-8"))
    return {
        code.ljust(12, "0"): Area(
            code=code.ljust(12, "0"),
            name=name,
            fictitious=group["fictitious"],
            source=group["source"],
            effective_from=group["effective_from"],
        )
        for group in table["group"]
        if allow_fictitious or not group["fictitious"]
        for code, name in group["areas"].items()
    }


@cache
def _provinces(*, allow_fictitious: bool) -> frozenset[str]:
    return frozenset(code[:2] for code in areas(allow_fictitious=allow_fictitious) if not code[2:].strip("0"))


def province_exists(code2: str, *, allow_fictitious: bool = False) -> bool:
    """Whether GB/T 2260 has a province with these two digits (or the fictitious 99, where allowed)."""
    return code2 in _provinces(allow_fictitious=allow_fictitious)


def is_area_code(code: str, *, allow_fictitious: bool = False) -> bool:
    """A 12-digit code of an existing province. The table names few places below, so deeper levels are not looked up."""
    return bool(_CODE.fullmatch(code)) and province_exists(code[:2], allow_fictitious=allow_fictitious)
