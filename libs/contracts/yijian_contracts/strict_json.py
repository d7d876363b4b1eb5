"""JSON as RFC 8259 means it: what Python would silently let pass is refused.

Duplicate names, NaN and Infinity, numbers beyond a double, invalid UTF-8, nesting beyond `MAX_DEPTH`, and characters
that no table can store (NUL, halves of surrogate pairs) raise `InvalidJsonError`, whose text never repeats the input.
"""

import json
import math
import re
from typing import Any, NoReturn

MAX_DEPTH = 64


class InvalidJsonError(ValueError):
    """The text is not JSON that we accept; the message says why without repeating it."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidJsonError("an object has the same name twice")
    return members


def _constant(_: str) -> NoReturn:
    raise InvalidJsonError("NaN and Infinity are not JSON")


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise InvalidJsonError("a number is too large")
    return number


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)


def parse(text: bytes) -> Any:
    """The value of `text`. Raises `InvalidJsonError`."""
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidJsonError("the text is not UTF-8") from None
    try:
        # The opening brackets bound the depth from above: only a suspicious text pays for the exact count.
        if decoded.count("[") + decoded.count("{") > MAX_DEPTH:
            _check_depth(decoded)
        value = _decoder.decode(decoded)
    except RecursionError:
        raise InvalidJsonError(f"nested deeper than {MAX_DEPTH}") from None
    except json.JSONDecodeError as error:
        raise InvalidJsonError(f"{error.msg} at line {error.lineno} column {error.colno}") from None
    except InvalidJsonError:
        raise
    except ValueError:
        raise InvalidJsonError("a number has too many digits") from None
    # Only escapes can bring such characters in.
    if "\\u" in decoded and not _is_storable(value):
        raise InvalidJsonError("a text has characters that cannot be stored")
    return value


def _is_storable(value: Any) -> bool:
    match value:
        case str():
            return "\x00" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
        case dict():
            return all(_is_storable(name) and _is_storable(member) for name, member in value.items())
        case list():
            return all(_is_storable(item) for item in value)
        case _:
            return True


_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NO_BRACKET = re.compile(r"[^\[\]{}]+")


def _check_depth(text: str) -> None:
    depth = 0
    for bracket in _NO_BRACKET.sub("", _STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise InvalidJsonError(f"nested deeper than {MAX_DEPTH}")
