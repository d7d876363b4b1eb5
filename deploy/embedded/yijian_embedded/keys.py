"""Key material of each process: what personal data is encrypted and looked up with."""

import json
import secrets
from base64 import b64encode

from yijian_embedded.home import Home, write_private

KEY_BYTES = 32


def ensure_key_file(home: Home, name: str) -> None:
    """Make the key file of a process unless it is there: losing it would lose what was encrypted with it.

    `active` names the key-encryption key for new data, `keys` holds every one still needed, `index` is the secret of
    the keyed hashes that find rows by an identity number.
    """
    path = home.key_file(name)
    if path.exists():
        return
    material = {"active": "k1", "keys": {"k1": _random_key()}, "index": _random_key()}
    write_private(path, json.dumps(material, indent=1))


def ensure_pairwise_key(home: Home) -> None:
    """Make the key that identity and approval share, unless it is there (docs/decisions/0001)."""
    if not home.pairwise_key_file.exists():
        write_private(home.pairwise_key_file, json.dumps({"approval": _random_key()}))


def _random_key() -> str:
    return b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")
