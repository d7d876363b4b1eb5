"""Proof that a token's person has an identity number, without the number in the token (docs/decisions).

identity and one audience share a pairwise key. identity puts `id_proof(key, number)` into the tokens for that audience;
the audience computes the same over the number written in a form and compares, in memory, with identity up or down.
"""

import hmac
from base64 import b64decode, urlsafe_b64encode
from pathlib import Path

from yijian_common.crypto import KEY_BYTES, KeyFileError, keyed_hash


def read_key(path: Path) -> bytes:
    """The 32-byte key of a pairwise key file (base64, one line). Raises `KeyFileError`."""
    try:
        key = b64decode(path.read_text(encoding="ascii").strip(), validate=True)
    except OSError as error:
        raise KeyFileError(f"the pairwise key file {path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise KeyFileError(f"the pairwise key file {path} is not base64") from None
    if len(key) != KEY_BYTES:
        raise KeyFileError(f"the pairwise key file {path} does not hold {KEY_BYTES} bytes")
    return key


def id_proof(key: bytes, id_no: str) -> str:
    """The claim `id_proof` for the person with this identity number (GB 11643, upper-case X)."""
    return urlsafe_b64encode(keyed_hash(key, "id_proof", id_no.upper())).rstrip(b"=").decode()


def proves(claim: str | None, *, key: bytes, id_no: str) -> bool:
    """Whether `claim` (a principal's `id_proof`) says that the person has this identity number."""
    return claim is not None and hmac.compare_digest(claim, id_proof(key, id_no))
