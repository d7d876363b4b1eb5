"""What a resident may say about a handling (``data/questionnaire.toml``), and within what time (``data/terms.toml``).

Levels go by name: the national interface counts 5 for the best and GB/T 39046 counts 1, so a bare number says nothing.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any


class Level(StrEnum):
    VERY_SATISFIED = "VERY_SATISFIED"
    SATISFIED = "SATISFIED"
    FAIRLY_SATISFIED = "FAIRLY_SATISFIED"
    DISSATISFIED = "DISSATISFIED"
    VERY_DISSATISFIED = "VERY_DISSATISFIED"

    @property
    def is_bad(self) -> bool:
        """差评: the last two of the five."""
        return self in (Level.DISSATISFIED, Level.VERY_DISSATISFIED)


class TouchPoint(StrEnum):
    SUBMISSION = "SUBMISSION"
    MATERIAL_REVIEW = "MATERIAL_REVIEW"
    RESULT = "RESULT"


class Dimension(StrEnum):
    CONVENIENCE = "CONVENIENCE"
    TRANSPARENCY = "TRANSPARENCY"
    RESPONSIVENESS = "RESPONSIVENESS"


class Channel(StrEnum):
    """Where a review is given."""

    PC = "PC"
    MOBILE = "MOBILE"
    QR_CODE = "QR_CODE"
    HALL_TABLET = "HALL_TABLET"
    HALL_TERMINAL = "HALL_TERMINAL"
    PHONE = "PHONE"
    SMS = "SMS"


@dataclass(frozen=True, slots=True)
class LevelEntry:
    """A level's Chinese name, its number at the national interface and in GB/T 39046, and its standard statements."""

    name: str
    national: int
    gbt39046: int
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Checked:
    """Codes of the statements that the records can be held against."""

    late: frozenset[str]
    in_time: frozenset[str]
    not_online: frozenset[str]
    visits: frozenset[str]


@dataclass(frozen=True, slots=True)
class Questionnaire:
    version: int
    source: str
    effective_from: str
    longest_comment: int
    most_options: int
    levels: Mapping[Level, LevelEntry]
    touch_points: Mapping[TouchPoint, str]
    dimensions: Mapping[Dimension, str]
    channels: Mapping[Channel, int]
    checked: Checked

    def text_of(self, option: str) -> str:
        """The statement behind a code."""
        return next(entry.options[option] for entry in self.levels.values() if option in entry.options)


@dataclass(frozen=True, slots=True)
class Terms:
    """Periods in working days; `most_rounds` counts the first rectification and the one after a reopening."""

    version: int
    source: str
    effective_from: str
    review: int
    verification: int
    feedback: int
    supervision_after: int
    call_back: int
    most_rounds: int


def read_table(name: str) -> dict[str, Any]:
    """A data file of this service."""
    return tomllib.loads(files(__package__).joinpath(f"data/{name}.toml").read_text(encoding="utf-8"))


@cache
def questionnaire() -> Questionnaire:
    table = read_table("questionnaire")
    return Questionnaire(
        version=table["version"],
        source=table["source"],
        effective_from=table["effective_from"],
        longest_comment=table["longest_comment"],
        most_options=table["most_options"],
        levels={level: LevelEntry(**table["level"][level]) for level in Level},
        touch_points={point: table["touch_point"][point] for point in TouchPoint},
        dimensions={dimension: table["dimension"][dimension] for dimension in Dimension},
        channels={channel: table["channel"][channel] for channel in Channel},
        checked=Checked(**{name: frozenset(codes) for name, codes in table["checked"].items()}),
    )


@cache
def terms() -> Terms:
    return Terms(**read_table("terms"))
