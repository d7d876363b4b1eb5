"""Marks: how well one touch point did in one dimension, beside the level of the whole."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from rating.questionnaire import Dimension, Level, TouchPoint, questionnaire


@dataclass(frozen=True, slots=True)
class Mark:
    touch_point: TouchPoint
    dimension: Dimension
    level: Level


def dump_marks(marks: Iterable[Mark]) -> str:
    return json.dumps([[mark.touch_point, mark.dimension, mark.level] for mark in marks])


def load_marks(stored: str) -> tuple[Mark, ...]:
    return tuple(
        Mark(TouchPoint(point), Dimension(dimension), Level(level)) for point, dimension, level in json.loads(stored)
    )


def sentences(marks: Iterable[Mark]) -> tuple[str, ...]:
    """Each mark in words: 材料审核·响应速度：不满意."""
    texts = questionnaire()
    return tuple(
        f"{texts.touch_points[mark.touch_point]}·{texts.dimensions[mark.dimension]}：{texts.levels[mark.level].name}"
        for mark in marks
    )
