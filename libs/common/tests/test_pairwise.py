"""A token proves a number without holding it (docs/decisions/0001-identity-number-proof.md)."""

import json
import os
from base64 import b64encode
from pathlib import Path

import pytest
from yijian_common.crypto import KeyFileError
from yijian_common.pairwise import id_proof, proves, read_key, read_keys

KEY = os.urandom(32)
NUMBER = "99010119880808003X"


def test_it_proves_the_number_it_was_made_for() -> None:
    claim = id_proof(KEY, NUMBER)
    assert proves(claim, key=KEY, id_no=NUMBER)
    assert proves(claim, key=KEY, id_no=NUMBER.lower())
    assert NUMBER not in claim


def test_it_proves_nothing_else() -> None:
    claim = id_proof(KEY, NUMBER)
    assert not proves(claim, key=KEY, id_no="990101199001010019")
    assert not proves(claim, key=os.urandom(32), id_no=NUMBER), "two audiences cannot match their tokens"
    assert not proves(None, key=KEY, id_no=NUMBER)
    assert not proves("", key=KEY, id_no=NUMBER)
    assert not proves("é", key=KEY, id_no=NUMBER)


def test_a_key_file_names_audiences(tmp_path: Path) -> None:
    path = tmp_path / "pairwise.json"
    path.write_text(json.dumps({"approval": b64encode(KEY).decode()}))
    assert read_keys(path) == {"approval": KEY}
    assert read_key(path) == KEY


@pytest.mark.parametrize("text", ["", "[]", '{"approval": 1}', '{"approval": "AAAA"}', '{"approval": "%"}', "{}"])
def test_an_odd_key_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pairwise.json"
    path.write_text(text)
    with pytest.raises(KeyFileError, match="pairwise key file"):
        read_key(path)
