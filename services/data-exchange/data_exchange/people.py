"""How tables know a person."""

from yijian_common.crypto import Keyring
from yijian_common.tokens import Principal


def person_index(keyring: Keyring, ref: str) -> bytes:
    """The keyed hash of a person's reference, which is the `id_proof` of a token for this audience."""
    return keyring.blind_index("person", ref)


def find_person(keyring: Keyring, principal: Principal) -> bytes | None:
    """Who the caller is; None for an account that is tied to no identity number, which therefore nothing is about."""
    return person_index(keyring, principal.id_proof) if principal.id_proof else None
