"""One text for one JSON value, so that a hash of it means something: RFC 8785 for the values that are allowed here.

Allowed are texts, whole numbers below 2^53, true, false, null, lists, and objects whose names are texts. Names stand in
the order of their code points (for the plain names used here the order of RFC 8785), nothing is escaped that need not
be, and there is no white space.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import msgspec

MOST = 2**53 - 1

_PLAIN = frozenset((str, int, bool, type(None)))

_encoder = msgspec.json.Encoder(order="deterministic")


class NotCanonicalError(ValueError):
    """The value holds something that has no one text, such as a fraction."""


@dataclass(frozen=True, slots=True)
class Written:
    """A value with its one text, for who hashes or stores the same value more than once. It is not to be changed."""

    value: Mapping[str, Any]
    text: bytes

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Self:
        """Raises `NotCanonicalError`."""
        return cls(value, canonical_json(value))


def canonical_json(value: Any) -> bytes:
    """The bytes of `value`. Raises `NotCanonicalError`."""
    _check(value)
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        raise NotCanonicalError("a text holds half of a surrogate pair") from None


def _check(value: Any) -> None:
    """By exact types: what merely derives from them may be written in another way."""
    kind = type(value)
    if kind is dict:
        if any(type(name) is not str for name in value):
            raise NotCanonicalError("a name is not a text")
        members: Iterable[Any] = value.values()
    elif kind is list or kind is tuple:
        members = value
    elif kind in _PLAIN and (kind is not int or abs(value) <= MOST):
        return
    else:
        raise NotCanonicalError("a number is too large" if kind is int else f"a {kind.__name__} has no one text")
    for member in members:
        if type(member) is not str:
            _check(member)
