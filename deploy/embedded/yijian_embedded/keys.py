"""Key material of each process: what personal data is encrypted and looked up with."""

import json
import os
import secrets
from base64 import b64encode
from pathlib import Path

from yijian_ledger.keys import KeyKind, new_key, read_private_key

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


LEDGER_NAME = "yijian.example/ledger"
WITNESS_NAME = "yijian.example/witness"


def ensure_ledger_keys(home: Home) -> None:
    """Make the pairs of the ledger's signer and of its witness, who in a city is somebody else, unless they are there.

    `YIJIAN_LEDGER_ALGORITHM` chooses what a new ledger signs with: `ed25519` or `sm2`.
    """
    kind = KeyKind(os.environ.get("YIJIAN_LEDGER_ALGORITHM") or KeyKind.ED25519)
    _ensure_pair(home.ledger_key, home.ledger_public_key, LEDGER_NAME, kind)
    _ensure_pair(home.witness_key, home.witness_public_key, WITNESS_NAME, KeyKind.COSIGNATURE)


def _ensure_pair(private: Path, public: Path, name: str, kind: KeyKind) -> None:
    if not private.exists():
        write_private(private, new_key(name, kind).as_text())
    # The public half follows from the private one, so a run that was killed in between is made good.
    write_private(public, read_private_key(private).public.vkey + "\n")


def _read(path: Path) -> dict[str, str]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _random_key() -> str:
    return b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")
