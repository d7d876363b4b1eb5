"""Key material of each process: what personal data is encrypted and looked up with."""

import json
import secrets
from base64 import b64encode
from pathlib import Path

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


# Who holds the keys of which audiences (docs/decisions/0001): approval computes how data-exchange knows a person.
PAIRWISE_HOLDERS = {"identity": ("approval", "data-exchange"), "approval": ("approval", "data-exchange")}


def ensure_pairwise_keys(home: Home) -> None:
    """Make the keys that identity shares with audiences, unless they are there, and give each holder its own."""
    known = _read(home.pairwise_key_file("identity")) | _read(home.pairwise_key_file("approval"))
    for holder, audiences in PAIRWISE_HOLDERS.items():
        held = {audience: known.setdefault(audience, _random_key()) for audience in audiences}
        path = home.pairwise_key_file(holder)
        if _read(path) != held:
            write_private(path, json.dumps(held))


def _read(path: Path) -> dict[str, str]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _random_key() -> str:
    return b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")
