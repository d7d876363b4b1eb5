"""Details in portions, each of which can be shown, kept back or destroyed alone while its leaf goes on verifying.

    details   what everyone concerned may see, and under "portions" a digest for each portion, hex
    digest    SM3(salt ‖ canonical JSON of the portion), every portion under a salt of its own

The leaf commits to the details, and so to the digests. Whoever is given the details, their salt, and some portions
with theirs, can check all they were given, and learns of the others only how many there are. A portion whose content
and salt are destroyed is a digest that nobody can open any more.
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from yijian_ledger.canonical import Written
from yijian_ledger.leaf import SALT_BYTES, LeafContent, commit, new_salt, opens

PORTIONS: Final = "portions"


@dataclass(frozen=True, slots=True)
class Portion:
    """A piece of the details that some may see and others may not."""

    content: Written
    salt: bytes

    @property
    def digest(self) -> str:
        return commit(self.content.text, salt=self.salt).hex()


def in_portions(head: Mapping[str, Any], contents: Iterable[Written]) -> tuple[Written, tuple[Portion, ...]]:
    """The details to commit to, and the portions that they stand for. Raises `NotCanonicalError`."""
    portions = tuple(Portion(content, new_salt()) for content in contents)
    return Written.of({**head, PORTIONS: [portion.digest for portion in portions]}), portions


def opens_with(content: LeafContent, details: Mapping[str, Any], *, salt: bytes, portions: Sequence[Portion]) -> bool:
    """Whether the leaf was made of these details, and each of these portions is one of them."""
    if not opens(content, dict(details), salt=salt):
        return False
    digests = details.get(PORTIONS, [])
    return all(
        len(portion.salt) == SALT_BYTES and any(hmac.compare_digest(portion.digest, digest) for digest in digests)
        for portion in portions
    )
