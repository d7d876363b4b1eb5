"""What the witness is told by its environment."""

from pathlib import Path

from yijian_common.settings import ProcessSettings


class WitnessSettings(ProcessSettings):
    """Its own key, where it keeps what it saw, and the public keys of the logs that it watches, one file each."""

    witness_key_file: Path
    witness_store: Path
    ledger_public_key_file: Path
