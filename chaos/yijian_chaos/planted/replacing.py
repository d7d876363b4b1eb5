"""Putting a careless version in the place of the careful one."""

from typing import Any


def replace(owner: Any, name: str, by: Any) -> Any:
    """Put `by` in the place of an attribute; returns what was there. One that is not there is an AttributeError.

    So a bug that no longer fits the code it is planted in fails at the start, instead of planting nothing.
    """
    original = getattr(owner, name)
    setattr(owner, name, by)
    return original
