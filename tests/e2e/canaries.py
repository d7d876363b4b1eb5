"""What identifies the people of the stories, in the forms in which it could be found where it must not be."""

import json
from collections.abc import Iterable, Iterator

from yijian_examples.family import Family


def canaries(families: Iterable[Family], numbers: Iterable[str] = ()) -> set[bytes]:
    """Names, addresses, identity numbers, mobiles, bank accounts and the issued `numbers`, as bytes to look for."""
    texts = {text for family in families for text in _of(family)} | set(numbers)
    return {encoded for text in texts for encoded in _encodings(text)}


def _of(family: Family) -> Iterator[str]:
    for person in (family.mother, family.father):
        yield from (person.name, person.id_no, person.mobile)
    yield from (home.address for home in family.households)
    yield family.bank_account
    for child in family.delivery.newborns:
        yield child.surname + child.given_name
        if child.certificate_no is not None:
            yield child.certificate_no


def _encodings(text: str) -> Iterator[bytes]:
    """As it is, and as JSON writes it where it keeps to ASCII."""
    yield text.encode()
    yield json.dumps(text)[1:-1].encode()
