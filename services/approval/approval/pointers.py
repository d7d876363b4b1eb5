"""JSON Pointer (RFC 6901): putting a value into a document."""

from typing import Any


class NoSuchPlaceError(LookupError):
    """The document has no such place, and cannot have."""


def replace_at(document: Any, pointer: str, value: Any) -> None:
    """Put `value` at `pointer`. Objects on the way are made where they are missing; a list is never made longer.

    Raises `NoSuchPlaceError`.
    """
    *path, last = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    place = document
    for step in path:
        place = _inside(place, step)
    if isinstance(place, list):
        place[_index(place, last)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise NoSuchPlaceError(pointer)


def _inside(place: Any, step: str) -> Any:
    if isinstance(place, list):
        return place[_index(place, step)]
    if isinstance(place, dict):
        return place.setdefault(step, {})
    raise NoSuchPlaceError(step)


def _index(place: list[Any], step: str) -> int:
    if not step.isdecimal() or int(step) >= len(place):
        raise NoSuchPlaceError(step)
    return int(step)
