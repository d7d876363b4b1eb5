"""SM2 signatures (GB/T 32918.2 with SM3, the usual identity `1234567812345678`), through GmSSL's C code.

The signature is DER of r and s (GM/T 0009), as OpenSSL reads and writes it. Nonces come from the library's own
cryptographic generator.
"""

import gmssl_pyx

PUBLIC_BYTES = 64
PRIVATE_BYTES = 32


def generate() -> tuple[bytes, bytes]:
    """A new private key and its public key (x and y)."""
    public, private = gmssl_pyx.sm2_key_generate()
    return bytes(private), bytes(public)


def sign(message: bytes, *, private: bytes, public: bytes) -> bytes:
    return bytes(gmssl_pyx.sm2_sign(private, public, message))


def is_signed(message: bytes, signature: bytes, *, public: bytes) -> bool:
    try:
        return bool(gmssl_pyx.sm2_verify(public, message, signature))
    except (gmssl_pyx.GmsslInnerError, ValueError):
        return False


def is_public_key(public: bytes) -> bool:
    """Whether the bytes are a point of the curve."""
    if len(public) != PUBLIC_BYTES:
        return False
    try:
        gmssl_pyx.normalize_sm2_public_key(public)
    except gmssl_pyx.InvalidValueError:
        return False
    return True
