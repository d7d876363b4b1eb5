"""What rating is told by its environment."""

from pydantic import Field
from yijian_common.settings import ServiceSettings


class RatingSettings(ServiceSettings):
    api_pool: int = Field(default=8, ge=2, le=100)
