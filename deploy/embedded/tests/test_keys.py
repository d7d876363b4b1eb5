import json
from base64 import b64decode
from pathlib import Path

import pytest
from yijian_embedded.home import Home
from yijian_embedded.keys import ensure_key_file, ensure_ledger_keys
from yijian_ledger.keys import KeyKind, read_private_key, read_public_key


def test_a_key_file_is_made_once_and_never_replaced(tmp_path: Path):
    home = Home(tmp_path)
    ensure_key_file(home, "approval")
    first = home.key_file("approval").read_text()
    ensure_key_file(home, "approval")
    ensure_key_file(home, "identity")

    material = json.loads(first)

    assert home.key_file("approval").read_text() == first != home.key_file("identity").read_text()
    assert list(material["keys"]) == [material["active"]]
    assert {len(b64decode(key)) for key in (*material["keys"].values(), material["index"])} == {32}


def test_ledger_and_witness_get_a_pair_each_and_keep_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    home = Home(tmp_path)
    ensure_ledger_keys(home)
    first = home.ledger_key.read_text()
    home.ledger_public_key.unlink()
    monkeypatch.setenv("YIJIAN_LEDGER_ALGORITHM", "sm2")
    ensure_ledger_keys(home)

    assert home.ledger_key.read_text() == first, "what signs a ledger never changes"
    assert read_public_key(home.ledger_public_key) == read_private_key(home.ledger_key).public
    assert read_private_key(home.ledger_key).public.kind is KeyKind.ED25519
    assert read_public_key(home.witness_public_key).kind is KeyKind.COSIGNATURE
    assert {path.stat().st_mode & 0o777 for path in (home.ledger_key, home.witness_key)} == {0o600}


def test_a_new_ledger_may_sign_with_sm2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("YIJIAN_LEDGER_ALGORITHM", "sm2")
    ensure_ledger_keys(Home(tmp_path))
    assert read_public_key(Home(tmp_path).ledger_public_key).kind is KeyKind.SM2
