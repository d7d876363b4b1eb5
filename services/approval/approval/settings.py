"""What approval is told by its environment."""

from pathlib import Path

from pydantic import Field
from yijian_common.settings import ServiceSettings

from approval.life_events_registry import FOLDER


class ApprovalSettings(ServiceSettings):
    """`life_event_settings` are the city's choices by life event, such as {"birth": {"med_insurance_key": "ID"}}.

    `ledger_limit_seconds` is how long a disclosure may stay uncovered by the ledger until no further task is requested.
    """

    pairwise_key_file: Path
    life_events_folder: Path = FOLDER
    life_event_settings: dict[str, dict[str, str]] = Field(default_factory=dict)
    ledger_limit_seconds: float = Field(default=600, ge=1, le=600)
    api_pool: int = Field(default=8, ge=2, le=100)
