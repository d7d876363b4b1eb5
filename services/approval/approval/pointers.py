"""JSON Pointer (RFC 6901): setting a value that is already there."""

from typing import Any


def replace_at(document: Any, pointer: str, value: Any) -> None:
    """Put `value` at `pointer`. A last step that an object lacks is added; a list is never made longer."""
    *path, last = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    place = document
    for step in path:
        place = place[int(step)] if isinstance(place, list) else place[step]
    if isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
