"""The departments of the city that take part, from ``data/departments.toml``."""

import tomllib
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict


class Department(BaseModel):
    """One department: its code names its folder, topics, Kafka principal and consumer groups."""

    model_config = ConfigDict(frozen=True)

    code: str
    name: str
    uscc: str
    task_major: int

    @property
    def tasks_topic(self) -> str:
        return f"department.{self.code}.tasks"

    @property
    def results_topic(self) -> str:
        return f"department.{self.code}.results"

    @property
    def principal(self) -> str:
        return f"department.{self.code}"


@cache
def departments() -> dict[str, Department]:
    """Every department by its code."""
    catalogue = tomllib.loads(files(__package__).joinpath("data/departments.toml").read_text(encoding="utf-8"))
    return {code: Department(code=code, **entry) for code, entry in catalogue.items()}


def get_department(code: str) -> Department:
    """The department with this code; an unknown code is a `KeyError` that names the known ones."""
    try:
        return departments()[code]
    except KeyError:
        raise KeyError(f"unknown department {code!r}; known are {', '.join(departments())}") from None
