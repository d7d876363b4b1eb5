"""What is kept of a disclosure is small, and can be read for as long as it is kept."""

import hashlib
import json
from pathlib import Path
from uuid import uuid4

from data_exchange.disclosures import of_data_disclosed, open_sealed, seal, write_out
from data_exchange.packing import WORDS, pack, unpack
from yijian_common.crypto import Keyring, new_key_file

from .disclosure_story import disclosed

# What was packed with a list cannot be read without exactly that list: add another one instead of changing it.
DIGESTS = {1: "27af1d8101b94b89d8162d26081b6fdb091928fc71a1d61e847d9d4008e3beec"}


def test_word_lists_are_what_they_always_were():
    assert {number: hashlib.sha256(words).hexdigest() for number, words in WORDS.items()} == DIGESTS


def test_what_was_packed_is_read_again():
    for text in (b"", b"{}", "没有人见过的文字".encode(), bytes(range(256)) * 50):
        assert unpack(pack(text)) == text


def test_a_text_that_many_share_costs_next_to_nothing():
    field = {"name": "mother_name", "source": "/mother/name", "title": "母亲信息：姓名"}
    text = json.dumps([field] * 3, ensure_ascii=False, separators=(",", ":")).encode()
    assert len(pack(text)) < len(text) / 4


def test_word_lists_know_nobody():
    """Neither an identity number nor a mobile: lists are written from forms, not from what people filled in."""
    for words in WORDS.values():
        digits = "".join(character if character.isdigit() else " " for character in words.decode())
        assert max(len(run) for run in digits.split()) <= 4


def test_what_was_sealed_as_one_text_is_read_like_what_is_sealed_in_pieces(tmp_path: Path):
    (tmp_path / "keys.json").write_text(new_key_file())
    data_key, identity = Keyring.load(tmp_path / "keys.json").new_data_key(), uuid4()
    opened = write_out(of_data_disclosed(disclosed(task_id=identity)))
    portions = [{"content": portion.content.value, "salt": portion.salt.hex()} for portion in opened.portions]
    text = {"details": opened.details.value, "portions": portions, "salt": opened.salt.hex()}
    packed = pack(json.dumps(text, ensure_ascii=False, separators=(",", ":")).encode())
    as_one_text = data_key.seal(packed, b"disclosure:" + identity.bytes)
    in_pieces = seal(opened, disclosure_id=identity, data_key=data_key)
    assert open_sealed(as_one_text, disclosure_id=identity, data_key=data_key) == opened
    assert open_sealed(in_pieces, disclosure_id=identity, data_key=data_key) == opened
    assert seal(opened, disclosure_id=identity, data_key=data_key) != in_pieces
