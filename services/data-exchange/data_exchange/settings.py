"""What data-exchange is told by its environment."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from yijian_common.settings import BaseUrl, ServiceSettings


class DataExchangeSettings(ServiceSettings):
    """A worker that has `ledger_key_file` signs; several may have it, and one of them signs at a time."""

    ledger_key_file: Path | None = None
    witness_url: BaseUrl | None = None
    witness_public_key_file: Path | None = None
    api_pool: int = Field(default=8, ge=2, le=100)

    @model_validator(mode="after")
    def _a_witness_has_an_address_and_a_key(self) -> Self:
        if (self.witness_url is None) != (self.witness_public_key_file is None):
            raise ValueError("YIJIAN_WITNESS_URL and YIJIAN_WITNESS_PUBLIC_KEY_FILE go together: set both or neither.")
        return self
