"""Seals what the messaging library keeps: outbox values and dead letters, each openable with the key file alone."""

import time

from yijian_common.crypto import DataKey, Keyring

FRESH_SECONDS = 60.0
_CONTEXT = b"messaging"


class KeyringSealer:
    """A `yijian_messaging.Sealer`. One data key serves a minute, so that a message costs one encryption, not two."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._key: DataKey | None = None
        self._fresh_until = 0.0

    def seal(self, plain: bytes) -> bytes:
        if self._key is None or time.monotonic() > self._fresh_until:
            self._key = self._keyring.new_data_key()
            self._fresh_until = time.monotonic() + FRESH_SECONDS
        return self._key.seal_envelope(plain, _CONTEXT)

    def open(self, sealed: bytes) -> bytes:
        return self._keyring.open_envelope(sealed, _CONTEXT)
