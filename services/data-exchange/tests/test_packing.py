"""What is kept of a disclosure is small, and can be read for as long as it is kept."""

import hashlib
import json

from data_exchange.packing import WORDS, pack, unpack

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
