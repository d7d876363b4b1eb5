"""Envelope encryption of personal data, and keyed hashes to find it by.

A data key (one per application or subject) seals its parts; a key-encryption key of the key file wraps the data key.
Destroying the wrapped data key makes what it sealed unreadable for ever, which is how erasure works.

The key file is JSON: `{"active": "k1", "keys": {"k1": "<base64, 32 bytes>"}, "index": "<base64, 32 bytes>"}`.
Formats, all big-endian (one leading byte names the cipher, so a later setting does not orphan what is stored):

    sealed      cipher(1) nonce(12) ciphertext tag(16)
    wrapped     cipher(1) length(1) key id, nonce(12) encrypted data key(32) tag(16)
    envelope    length(2) wrapped, sealed
    index       HMAC-SM3(index key, purpose and values, each preceded by its length(4))
"""

import binascii
import json
import os
import struct
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12
TAG_BYTES = 16
KEY_BYTES = 32
SM4_KEY_BYTES = 16
UNWRAPPED_KEPT = 4096


class UnsealError(Exception):
    """What was to be opened is damaged, belongs elsewhere, or its key is not (or no longer) here."""


class KeyFileError(Exception):
    """The key file cannot be used; the text says why in one sentence."""


class _Aead(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes: ...


class Sm4Gcm:
    """SM4-GCM of RFC 8998, with the interface of `AESGCM`; SM4 keys are 16 bytes."""

    def __init__(self, key: bytes) -> None:
        self._algorithm = algorithms.SM4(key)

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        encryptor = Cipher(self._algorithm, modes.GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(associated_data)
        return encryptor.update(data) + encryptor.finalize() + encryptor.tag

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        decryptor = Cipher(self._algorithm, modes.GCM(nonce, data[-TAG_BYTES:])).decryptor()
        decryptor.authenticate_additional_data(associated_data)
        return decryptor.update(data[:-TAG_BYTES]) + decryptor.finalize()


class _CipherId(IntEnum):
    AES_GCM = 1
    SM4_GCM = 2


_CIPHERS = {"AES-GCM": _CipherId.AES_GCM, "SM4-GCM": _CipherId.SM4_GCM}


def _aead(cipher: int, key: bytes) -> _Aead:
    match cipher:
        case _CipherId.AES_GCM:
            return AESGCM(key)
        case _CipherId.SM4_GCM:
            return Sm4Gcm(derive(key, "SM4-GCM")[:SM4_KEY_BYTES])
        case _:
            raise UnsealError(f"unknown cipher {cipher}")


def _seal(aead: _Aead, head: bytes, plain: bytes, context: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return head + nonce + aead.encrypt(nonce, plain, head + context)


def _open(aead: _Aead, head: bytes, rest: bytes, context: bytes) -> bytes:
    if len(rest) < NONCE_BYTES + TAG_BYTES:
        raise UnsealError("too short to be sealed")
    try:
        return aead.decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], head + context)
    except InvalidTag:
        raise UnsealError("damaged, sealed for another purpose, or by another key") from None


class DataKey:
    """Seals the parts of one aggregate. `context` binds a part to its place, so that it cannot be moved to another."""

    __slots__ = ("_aeads", "_cipher", "_key", "wrapped")

    def __init__(self, key: bytes, *, wrapped: bytes, cipher: int) -> None:
        self.wrapped = wrapped
        self._key = key
        self._cipher = cipher
        self._aeads: dict[int, _Aead] = {}

    def __repr__(self) -> str:
        return "DataKey(…)"

    def _aead(self, cipher: int) -> _Aead:
        found = self._aeads.get(cipher)
        if found is None:
            found = self._aeads[cipher] = _aead(cipher, self._key)
        return found

    def seal(self, plain: bytes, context: bytes) -> bytes:
        return _seal(self._aead(self._cipher), bytes((self._cipher,)), plain, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Raises `UnsealError`."""
        if not sealed:
            raise UnsealError("empty")
        return _open(self._aead(sealed[0]), sealed[:1], sealed[1:], context)

    def seal_envelope(self, plain: bytes, context: bytes) -> bytes:
        """Sealed together with the wrapped key: whoever holds the key file can open it with nothing else."""
        return struct.pack(">H", len(self.wrapped)) + self.wrapped + self.seal(plain, context)


@dataclass(frozen=True, slots=True)
class _Keys:
    active: str
    by_id: Mapping[str, bytes]
    index: bytes


class Keyring:
    """The key file's keys: wraps and unwraps data keys, and computes blind indexes."""

    def __init__(self, keys: _Keys, *, cipher: str = "AES-GCM") -> None:
        self._keys = keys
        self._cipher = _CIPHERS[cipher]
        self._unwrapped: OrderedDict[bytes, DataKey] = OrderedDict()
        self._index = hmac.HMAC(keys.index, hashes.SM3())

    @classmethod
    def load(cls, path: Path, cipher: str = "AES-GCM") -> "Keyring":
        """The keyring of a key file. Raises `KeyFileError`."""
        return cls(_read(path), cipher=cipher)

    def new_data_key(self) -> DataKey:
        key = os.urandom(KEY_BYTES)
        name = self._keys.active.encode()
        head = bytes((self._cipher, len(name))) + name
        wrapped = _seal(_aead(self._cipher, self._keys.by_id[self._keys.active]), head, key, b"data key")
        return DataKey(key, wrapped=wrapped, cipher=self._cipher)

    def unwrap(self, wrapped: bytes) -> DataKey:
        """The data key in `wrapped`. Raises `UnsealError`. The most recent ones are kept unwrapped in memory."""
        wrapped = bytes(wrapped)
        found = self._unwrapped.get(wrapped)
        if found is None:
            found = self._unwrapped[wrapped] = self._unwrap(wrapped)
            if len(self._unwrapped) > UNWRAPPED_KEPT:
                self._unwrapped.popitem(last=False)
        else:
            self._unwrapped.move_to_end(wrapped)
        return found

    def _unwrap(self, wrapped: bytes) -> DataKey:
        if len(wrapped) < 2 or len(wrapped) < 2 + wrapped[1]:
            raise UnsealError("not a wrapped key")
        end = 2 + wrapped[1]
        wrapping = self._keys.by_id.get(wrapped[2:end].decode("utf-8", "replace"))
        if wrapping is None:
            raise UnsealError("its key-encryption key is not in the key file")
        key = _open(_aead(wrapped[0], wrapping), wrapped[:end], wrapped[end:], b"data key")
        return DataKey(key, wrapped=wrapped, cipher=self._cipher)

    def forget(self, wrapped: bytes) -> None:
        """Drop an erased data key from memory as well."""
        self._unwrapped.pop(bytes(wrapped), None)

    def open_envelope(self, envelope: bytes, context: bytes) -> bytes:
        """Raises `UnsealError`."""
        if len(envelope) < 2:
            raise UnsealError("not an envelope")
        end = 2 + struct.unpack_from(">H", envelope)[0]
        return self.unwrap(envelope[2:end]).open(envelope[end:], context)

    def blind_index(self, purpose: str, *values: str) -> bytes:
        """A keyed hash (32 bytes) by which sealed values are found; different purposes give unrelated hashes."""
        return _keyed(self._index.copy(), purpose, *values)


def keyed_hash(key: bytes, purpose: str, *values: str) -> bytes:
    """HMAC-SM3 over `purpose` and `values`, each preceded by its length, so that no two inputs read alike."""
    return _keyed(hmac.HMAC(key, hashes.SM3()), purpose, *values)


def _keyed(mac: hmac.HMAC, *parts: str) -> bytes:
    for part in parts:
        encoded = part.encode()
        mac.update(struct.pack(">I", len(encoded)) + encoded)
    return mac.finalize()


def derive(key: bytes, purpose: str) -> bytes:
    """A key for one purpose out of another key (32 bytes)."""
    return keyed_hash(key, f"derive:{purpose}")


def new_key_file() -> str:
    """The text of a fresh key file; write it with mode 0600."""
    return json.dumps({"active": "k1", "keys": {"k1": _fresh()}, "index": _fresh()})


def _fresh() -> str:
    return binascii.b2a_base64(os.urandom(KEY_BYTES), newline=False).decode()


def _read(path: Path) -> _Keys:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        by_id = {str(name): _decode(text) for name, text in document["keys"].items()}
        keys = _Keys(active=str(document["active"]), by_id=by_id, index=_decode(document["index"]))
    except OSError as error:
        raise KeyFileError(f"the key file {path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise KeyFileError(f"the key file {path} is not of the form that docs describe") from None
    if keys.active not in keys.by_id:
        raise KeyFileError(f"the key file {path} names an active key that it does not hold")
    return keys


def _decode(text: str) -> bytes:
    key = b64decode(text, validate=True)
    if len(key) != KEY_BYTES:
        raise ValueError(text)
    return key
