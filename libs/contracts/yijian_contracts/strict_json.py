"""JSON as RFC 8259 means it: what Python would silently let pass is refused.

Duplicate names, NaN and Infinity, numbers beyond a double, invalid UTF-8, nesting beyond `MAX_DEPTH`, and characters
that no table can store (NUL, halves of surrogate pairs) raise `InvalidJsonError`, whose text never repeats the input.
"""

import json
import math
import re
from contextlib import suppress
from typing import Any, NoReturn

import msgspec

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


_quick_decoder = msgspec.json.Decoder()
_quick_encoder = msgspec.json.Encoder()
_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)


def parse(text: bytes) -> Any:
    """The value of `text`. Raises `InvalidJsonError`."""
    try:
        # The opening brackets bound the depth from above: only a suspicious text pays for the exact count.
        if text.count(b"[") + text.count(b"{") > MAX_DEPTH:
            _check_depth(text)
        # Most texts stand as our encoder writes them. That proves them right at a third of the price: written again,
        # nothing that we refuse looks as it did. Only escapes can bring in characters that cannot be stored.
        if b"\\u" not in text:
            with suppress(ValueError):
                value = _quick_decoder.decode(text)
                if _quick_encoder.encode(value) == text:
                    return value
        return _parse(text)
    except RecursionError:
        raise InvalidJsonError(f"nested deeper than {MAX_DEPTH}") from None


def _parse(text: bytes) -> Any:
    """The value of a text that is written in any way."""
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidJsonError("the text is not UTF-8") from None
    try:
        value = _decoder.decode(decoded)
    except json.JSONDecodeError as error:
        raise InvalidJsonError(f"{error.msg} at line {error.lineno} column {error.colno}") from None
    except InvalidJsonError:
        raise
    except ValueError:
        raise InvalidJsonError("a number has too many digits") from None
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


_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_BRACKETS_ALIKE = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _check_depth(text: bytes) -> None:
    """Take pairs of brackets away from the inside out: as often as they are nested, unless the text is no JSON."""
    outside = b"".join(text.split(b'"')[::2]) if b"\\" not in text else _STRING.sub(b"", text)
    brackets = outside.translate(_BRACKETS_ALIKE, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        left = brackets.replace(b"[]", b"")
        if len(left) == len(brackets):
            return
        brackets = left
    if brackets:
        raise InvalidJsonError(f"nested deeper than {MAX_DEPTH}")
