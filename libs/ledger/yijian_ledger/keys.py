"""Keys by which notes are signed, as text for verifiers (C2SP signed-note, "vkey") and as a file for the signer.

    public   <name>+<key id, hex>+<base64(type ‖ public key)>
    private  {"name": …, "kind": "ed25519" | "sm2" | "cosignature-ed25519", "private": <base64>, "public": <base64>}

The types are 0x01 for Ed25519, 0x04 for Ed25519 cosignatures of witnesses, and for SM2, to which no byte is assigned,
0xff and a name of its own, as the specification advises.
"""

import binascii
import hashlib
import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from yijian_ledger import sm2


class KeyKind(StrEnum):
    """What a key signs, and how."""

    ED25519 = "ed25519"
    SM2 = "sm2"
    COSIGNATURE = "cosignature-ed25519"


_TYPES: Final = {
    KeyKind.ED25519: b"\x01",
    KeyKind.COSIGNATURE: b"\x04",
    KeyKind.SM2: b"\xffsm2-sm3/v1\n",
}
_PUBLIC_BYTES: Final = {KeyKind.ED25519: 32, KeyKind.COSIGNATURE: 32, KeyKind.SM2: sm2.PUBLIC_BYTES}


class SigningKeyError(ValueError):
    """The key cannot be used; the text says why in one sentence and repeats no secret."""


def check_name(name: str) -> str:
    """A key's name, which is also a log's origin. Raises `SigningKeyError`."""
    if not name or "+" in name or any(character.isspace() or ord(character) < 0x20 for character in name):
        raise SigningKeyError("a key's name is not empty and has neither spaces nor a plus")
    return name


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Who signed, by name and key."""

    name: str
    kind: KeyKind
    material: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes by which signature lines name the key."""
        return hashlib.sha256(self.name.encode() + b"\n" + _TYPES[self.kind] + self.material).digest()[:4]

    @property
    def vkey(self) -> str:
        text = b64encode(_TYPES[self.kind] + self.material).decode()
        return f"{self.name}+{self.key_id.hex()}+{text}"

    def is_signed(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` (without a witness's time) is this key's over `message`."""
        if self.kind is KeyKind.SM2:
            return sm2.is_signed(message, signature, public=self.material)
        try:
            Ed25519PublicKey.from_public_bytes(self.material).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """What signs; it never shows itself."""

    public: PublicKey
    secret: bytes = field(repr=False)

    @property
    def name(self) -> str:
        return self.public.name

    def sign(self, message: bytes) -> bytes:
        if self.public.kind is KeyKind.SM2:
            return sm2.sign(message, private=self.secret, public=self.public.material)
        return Ed25519PrivateKey.from_private_bytes(self.secret).sign(message)

    def as_text(self) -> str:
        """What the private key's file holds; write it with mode 0600."""
        return json.dumps(
            {
                "name": self.public.name,
                "kind": self.public.kind.value,
                "private": b64encode(self.secret).decode(),
                "public": b64encode(self.public.material).decode(),
            },
            indent=1,
        )


def new_key(name: str, kind: KeyKind = KeyKind.ED25519) -> PrivateKey:
    """A fresh key. Raises `SigningKeyError` for a name that cannot be one."""
    check_name(name)
    if kind is KeyKind.SM2:
        secret, material = sm2.generate()
    else:
        key = Ed25519PrivateKey.generate()
        secret, material = key.private_bytes_raw(), key.public_key().public_bytes_raw()
    return PrivateKey(PublicKey(name, kind, material), secret)


def parse_vkey(text: str) -> PublicKey:
    """The key that a line of text names. Raises `SigningKeyError`."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3:
        raise SigningKeyError("a public key is written as name+id+key")
    name, _, encoded = parts
    try:
        raw = b64decode(encoded, validate=True)
    except binascii.Error:
        raise SigningKeyError("the public key is not base64") from None
    for kind, prefix in _TYPES.items():
        if raw.startswith(prefix) and len(raw) == len(prefix) + _PUBLIC_BYTES[kind]:
            key = PublicKey(check_name(name), kind, raw[len(prefix) :])
            break
    else:
        raise SigningKeyError("the public key is of a kind that is not known here")
    if kind is KeyKind.SM2 and not sm2.is_public_key(key.material):
        raise SigningKeyError("the public key is no point of its curve")
    if key.vkey != text.strip():
        raise SigningKeyError("the public key's id does not fit its name and key")
    return key


def read_public_key(path: Path) -> PublicKey:
    """The key in a file of one line. Raises `SigningKeyError`."""
    try:
        return parse_vkey(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SigningKeyError(f"the public key file {path} cannot be read ({type(error).__name__})") from None
    except SigningKeyError as error:
        raise SigningKeyError(f"the public key file {path} cannot be used: {error}") from None


def read_private_key(path: Path) -> PrivateKey:
    """The key in a private key file, tried once. Raises `SigningKeyError`."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        kind = KeyKind(document["kind"])
        public = PublicKey(check_name(document["name"]), kind, b64decode(document["public"], validate=True))
        key = PrivateKey(public, b64decode(document["private"], validate=True))
        works = public.is_signed(b"a trial", key.sign(b"a trial"))
    except OSError as error:
        raise SigningKeyError(f"the key file {path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError):
        raise SigningKeyError(f"the key file {path} is not of the form that docs describe") from None
    if not works:
        raise SigningKeyError(f"the private and the public key in {path} do not belong together")
    return key
