"""Proof that a token's person has an identity number, without the number in the token.

identity and one audience share a pairwise key. identity puts `id_proof(key, number)` into the tokens for that audience;
the audience computes the same over the number written in a form and compares, in memory, with identity up or down.
Why so: docs/decisions/0001-identity-number-proof.md.
"""

import hmac
import json
from base64 import b64decode, urlsafe_b64encode
from pathlib import Path

from yijian_common.crypto import KEY_BYTES, KeyFileError, keyed_hash


def read_keys(path: Path) -> dict[str, bytes]:
    """The keys of a pairwise key file by audience: JSON `{"approval": "<base64, 32 bytes>"}`. Raises `KeyFileError`.

    identity's file holds every audience's key, an audience's file only its own.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        keys = {str(audience): b64decode(key, validate=True) for audience, key in document.items()}
    except OSError as error:
        raise KeyFileError(f"the pairwise key file {path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, AttributeError):
        raise KeyFileError(f"the pairwise key file {path} is not of the form that docs describe") from None
    if any(len(key) != KEY_BYTES for key in keys.values()):
        raise KeyFileError(f"the pairwise key file {path} holds a key that is not {KEY_BYTES} bytes")
    return keys


def read_key(path: Path) -> bytes:
    """The one key of an audience's pairwise key file. Raises `KeyFileError`."""
    keys = list(read_keys(path).values())
    if len(keys) != 1:
        raise KeyFileError(f"the pairwise key file {path} must hold one audience's key, not {len(keys)}")
    return keys[0]


def id_proof(key: bytes, id_no: str) -> str:
    """The claim `id_proof` for the person with this identity number (GB 11643, upper-case X)."""
    return urlsafe_b64encode(keyed_hash(key, "id_proof", id_no.upper())).rstrip(b"=").decode()


def proves(claim: str | None, *, key: bytes, id_no: str) -> bool:
    """Whether `claim` (a principal's `id_proof`) says that the person has this identity number."""
    return claim is not None and hmac.compare_digest(claim.encode(), id_proof(key, id_no).encode())
