"""Pages in the order of time: where a page ended, as an opaque text."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import Query
from yijian_common.errors import FieldError, Unprocessable

PAGE: Final = 50
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_TIME_BYTES: Final = 8

Place = tuple[datetime, UUID]
"""Where an entry stands: when it happened, and its id among those of one instant."""

NEWEST: Final[Place] = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1))
"""Before everything: where the first page begins."""

Cursor = Annotated[str | None, Query(description="`next` of the page before", max_length=64)]
Limit = Annotated[int, Query(ge=1, le=PAGE)]


def write_cursor(place: Place) -> str:
    microseconds = (place[0] - _EPOCH) // _MICROSECOND
    return urlsafe_b64encode(microseconds.to_bytes(_TIME_BYTES, "big", signed=True) + place[1].bytes).decode()


def read_cursor(cursor: str | None) -> Place:
    """Where to go on. Raises `Unprocessable` for what no page ended with."""
    if cursor is None:
        return NEWEST
    place: Place | None
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii"))
        at = _EPOCH + int.from_bytes(raw[:_TIME_BYTES], "big", signed=True) * _MICROSECOND
        place = at, UUID(bytes=raw[_TIME_BYTES:])
    except (Base64Error, ValueError, OverflowError):
        place = None
    if place is None or write_cursor(place) != cursor:
        raise Unprocessable(errors=[FieldError("不是上一页给出的位置", parameter="cursor")])
    return place
