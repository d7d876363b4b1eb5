"""Mistakes in a department's program are told when it is loaded, in words that say what to do."""

from typing import Any

import pytest
from pydantic import BaseModel
from yijian_department import Answer, Department, Records, Task, approve, return_for_correction


class Fields(BaseModel):
    name: str


def grant(_: Task[Fields], __: Records) -> Answer:
    return approve()


def untyped(_: dict[str, str], __: Records) -> Answer:
    return approve()


def lonely(_: Task[Fields]) -> Answer:
    return approve()


def test_an_unknown_department_is_refused_with_the_known_ones():
    with pytest.raises(KeyError, match="known are health"):
        Department("fire-brigade")


@pytest.mark.parametrize("handler", [untyped, lonely])
def test_a_handler_of_another_shape_is_refused(handler: Any):
    with pytest.raises(TypeError, match=r"task: Task\[Fields\], records: Records"):
        Department("health").matter("B1")(handler)


def test_a_second_handler_for_a_matter_is_refused():
    department = Department("health")
    department.matter("B1")(grant)
    department.proof("B1")(grant)
    with pytest.raises(ValueError, match="two handlers"):
        department.matter("B1")(grant)


def test_an_area_is_taken_from_a_field_that_exists():
    with pytest.raises(ValueError, match="no field 'county'"):
        Department("health").matter("B1", area="county")(grant)


@pytest.mark.parametrize(
    "corrections",
    [
        [],
        [("", "请填写")],
        [("mother/name", "请填写")],
        [("/mother/~name", "请填写")],
        [("/mother/name", " ")],
        [("/mother/name", "请填写"), ("/mother/name", "请核对")],
        [(f"/children/{n}", "请填写") for n in range(51)],
    ],
)
def test_a_return_names_each_place_to_correct_once_and_says_why(corrections: list[tuple[str, str]]):
    with pytest.raises(ValueError, match=r"names|pattern|say why"):
        return_for_correction(corrections)
    assert return_for_correction([("/mother/name", "请填写"), ("/a~1b/~0", "请核对")]).corrections
