"""What identity is told by its environment."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode
from yijian_common.settings import BaseUrl, ServiceSettings


def _split_commas(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class IdentitySettings(ServiceSettings):
    """Its own address is `YIJIAN_IDENTITY_ISSUER`, the same variable by which others know it."""

    accounts_file: Path | None = None
    client_secrets_file: Path | None = None
    pairwise_key_file: Path
    portal_redirect_uris: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_commas)] = ()
    sms_url: BaseUrl | None = None
    signing_key_days: int = Field(default=90, ge=1, le=366)
    login_failures_per_account: int = Field(default=5, ge=1, le=10)
    login_failures_per_source: int = Field(default=5, ge=1, le=1000)

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        if self.identity_issuer is None:
            raise ValueError("The environment variable YIJIAN_IDENTITY_ISSUER is missing; set it and start again.")
        if self.in_production and not self.identity_issuer.startswith("https://"):
            raise ValueError("In production YIJIAN_IDENTITY_ISSUER must be an https address.")
        if self.in_production and self.sms_url is None:
            raise ValueError("In production YIJIAN_SMS_URL must say where one-time codes are texted from.")
        return self

    @property
    def issuer(self) -> str:
        return self.identity_issuer or ""

    @property
    def over_https(self) -> bool:
        return self.issuer.startswith("https://")
