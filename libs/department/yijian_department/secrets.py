"""Encryption of the department's store, with the keyring that every process has."""

from yijian_common.crypto import Keyring
from yijian_common.sealer import KeyringSealer

PURPOSE = "department-records"


class StoreSecrets(KeyringSealer):
    """Seals like the messages' sealer, and finds sealed values again by keyed hashes."""

    def __init__(self, keyring: Keyring) -> None:
        super().__init__(keyring)
        self._index = keyring

    def keyed_hash(self, text: str) -> bytes:
        return self._index.blind_index(PURPOSE, text)
