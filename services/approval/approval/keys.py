"""The keys by which approval knows people without storing who they are."""

from dataclasses import dataclass

from yijian_common.crypto import Keyring


@dataclass(frozen=True, slots=True)
class Keys:
    """What hashes and proves identity numbers: the service's keyring, and keys shared with identity.

    `exchange` is that of the audience data-exchange, which gets to know people by what it makes of their numbers.
    """

    keyring: Keyring
    pairwise: bytes
    exchange: bytes

    def party(self, id_proof: str) -> bytes:
        """How a person is known here: a keyed hash of identity's proof."""
        return self.keyring.blind_index("party", id_proof)
