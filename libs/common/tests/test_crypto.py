"""Sealing: known answers of the standards, keys that rotate, and nothing opened that was touched."""

import json
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st
from yijian_common.crypto import KeyFileError, Keyring, Sm4Gcm, UnsealError, keyed_hash, new_key_file

CIPHERS = ["AES-GCM", "SM4-GCM"]


def _one_keyring() -> Keyring:
    with NamedTemporaryFile("w", suffix=".json") as file:
        file.write(new_key_file())
        file.flush()
        return Keyring.load(Path(file.name))


KEYRING = _one_keyring()


def sm3(message: bytes) -> str:
    digest = hashes.Hash(hashes.SM3())
    digest.update(message)
    return digest.finalize().hex()


def test_sm3_gives_the_answers_of_gb_t_32905() -> None:
    assert sm3(b"abc") == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert sm3(b"abcd" * 16) == "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"
    assert sm3(b"") == "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b"


def test_sm4_gives_the_answer_of_gb_t_32907() -> None:
    key = bytes.fromhex("0123456789abcdeffedcba9876543210")
    encryptor = Cipher(algorithms.SM4(key), modes.ECB()).encryptor()  # noqa: S305 - the standard's single block
    assert encryptor.update(key).hex() == "681edf34d206965e86b3e94f536e4246"


def test_sm4_gcm_gives_the_answer_of_rfc_8998() -> None:
    cipher = Sm4Gcm(bytes.fromhex("0123456789abcdeffedcba9876543210"))
    nonce = bytes.fromhex("00001234567800000000ABCD")
    aad = bytes.fromhex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2")
    plain = bytes.fromhex("AA" * 8 + "BB" * 8 + "CC" * 8 + "DD" * 8 + "EE" * 8 + "FF" * 8 + "EE" * 8 + "AA" * 8)
    sealed = cipher.encrypt(nonce, plain, aad)
    assert sealed.hex().startswith("17f399f0")
    assert sealed[:-16].hex().endswith("91233b8d")
    assert sealed[-16:].hex() == "83de3541e4c2b58177e065a9bf7b62ec"
    assert cipher.decrypt(nonce, sealed, aad) == plain


@pytest.mark.parametrize("cipher", CIPHERS)
def test_what_was_sealed_opens_with_its_key_and_in_its_place_only(key_file: Path, cipher: str) -> None:
    keyring = Keyring.load(key_file, cipher)
    key = keyring.new_data_key()
    sealed = key.seal("张三".encode(), b"application 1")

    assert "张三".encode() not in sealed
    assert keyring.unwrap(key.wrapped).open(sealed, b"application 1").decode() == "张三"
    with pytest.raises(UnsealError):
        key.open(sealed, b"application 2")
    with pytest.raises(UnsealError):
        keyring.new_data_key().open(sealed, b"application 1")


@pytest.mark.parametrize("cipher", CIPHERS)
def test_no_bit_of_an_envelope_can_be_changed(key_file: Path, cipher: str) -> None:
    keyring = Keyring.load(key_file, cipher)
    envelope = keyring.new_data_key().seal_envelope(b"990101199001010019", b"context")
    for position in range(len(envelope)):
        touched = bytearray(envelope)
        touched[position] ^= 1
        with pytest.raises(UnsealError):
            keyring.open_envelope(bytes(touched), b"context")


@given(st.binary(max_size=120))
def test_any_bytes_are_refused_with_one_error(garbage: bytes) -> None:
    key = KEYRING.new_data_key()
    for attempt in (lambda: KEYRING.open_envelope(garbage, b""), lambda: KEYRING.unwrap(garbage)):
        with pytest.raises(UnsealError):
            attempt()
    with pytest.raises(UnsealError):
        key.open(garbage, b"")


@given(st.binary(max_size=4096), st.binary(max_size=64))
def test_whatever_is_sealed_comes_back(plain: bytes, context: bytes) -> None:
    assert KEYRING.open_envelope(KEYRING.new_data_key().seal_envelope(plain, context), context) == plain


def test_a_new_active_key_opens_what_older_keys_wrapped(tmp_path: Path) -> None:
    before, added = json.loads(new_key_file()), json.loads(new_key_file())
    rotated = {**before, "active": "k2", "keys": {**before["keys"], "k2": added["keys"]["k1"]}}
    old = write(tmp_path, before)
    new = write(tmp_path, rotated)
    envelope = old.new_data_key().seal_envelope(b"old", b"")

    assert new.open_envelope(envelope, b"") == b"old"
    with pytest.raises(UnsealError, match="not in the key file"):
        old.open_envelope(new.new_data_key().seal_envelope(b"new", b""), b"")


def test_changing_the_cipher_does_not_orphan_what_is_stored(key_file: Path) -> None:
    stored = Keyring.load(key_file, "AES-GCM").new_data_key().seal_envelope(b"kept", b"")
    assert Keyring.load(key_file, "SM4-GCM").open_envelope(stored, b"") == b"kept"


def test_a_blind_index_depends_on_key_purpose_and_how_values_are_split(key_file: Path, tmp_path: Path) -> None:
    keyring = Keyring.load(key_file)
    other = write(tmp_path, json.loads(new_key_file()))
    one = keyring.blind_index("id_no", "990101199001010019")
    assert one == keyring.blind_index("id_no", "990101199001010019")
    assert len(one) == 32
    different = {
        one,
        other.blind_index("id_no", "990101199001010019"),
        keyring.blind_index("mobile", "990101199001010019"),
        keyring.blind_index("id_no", "99010119900101001", "9"),
        keyring.blind_index("id_no", "", "990101199001010019"),
    }
    assert len(different) == 5


def test_the_keyed_hash_is_hmac_sm3() -> None:
    """HMAC (RFC 2104) over SM3, computed from its definition."""
    key = bytes(range(32))
    message = b"\0\0\0\x07purpose\0\0\0\x05value"
    padded = key.ljust(64, b"\0")
    inner = bytes.fromhex(sm3(bytes(b ^ 0x36 for b in padded) + message))
    assert keyed_hash(key, "purpose", "value").hex() == sm3(bytes(b ^ 0x5C for b in padded) + inner)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"active": "k2", "keys": {"k1": "AAAA"}, "index": "AAAA"}',
        '{"active":"k1","keys":[],"index":1}',
    ],
)
def test_an_odd_key_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(KeyFileError, match="key file"):
        Keyring.load(path)
    with pytest.raises(KeyFileError, match="cannot be read"):
        Keyring.load(tmp_path / "missing.json")


def test_a_data_key_does_not_show_itself(keyring: Keyring) -> None:
    assert repr(keyring.new_data_key()) == "DataKey(…)"


def write(folder: Path, document: dict[str, object]) -> Keyring:
    path = folder / f"{len(list(folder.iterdir()))}.json"
    path.write_text(json.dumps(document))
    return Keyring.load(path)
