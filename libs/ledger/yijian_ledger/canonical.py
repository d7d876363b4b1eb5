"""One text for one JSON value, so that a hash of it means something: RFC 8785 for the values that are allowed here.

Allowed are texts, whole numbers below 2^53, true, false, null, lists, and objects whose names are texts. Names stand in
the order of their code points (for the plain names used here the order of RFC 8785), nothing is escaped that need not
be, and there is no white space.
"""

import json
from typing import Any

MOST = 2**53 - 1


class NotCanonicalError(ValueError):
    """The value holds something that has no one text, such as a fraction."""


def canonical_json(value: Any) -> bytes:
    """The bytes of `value`. Raises `NotCanonicalError`."""
    _check(value)
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:
        raise NotCanonicalError("a text holds half of a surrogate pair") from None


def _check(value: Any) -> None:
    match value:
        case None | bool() | str():
            return
        case int():
            if abs(value) > MOST:
                raise NotCanonicalError("a number is too large")
        case list() | tuple():
            for item in value:
                _check(item)
        case dict():
            for name, member in value.items():
                if not isinstance(name, str):
                    raise NotCanonicalError("a name is not a text")
                _check(member)
        case _:
            raise NotCanonicalError(f"a {type(value).__name__} has no one text")
