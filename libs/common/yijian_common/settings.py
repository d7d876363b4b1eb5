"""What a process is told by its environment: `YIJIAN_*` variables, read once at start.

A missing or odd value ends the process with one sentence that names the variable, and exit code 2.
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "YIJIAN_"


class Environment(StrEnum):
    """Development adds fictitious people, development login and docs pages; production has none of them."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Role(StrEnum):
    """What a process does: answer HTTP, consume messages and sweep, or send the outbox."""

    API = "api"
    WORKER = "worker"
    RELAY = "relay"


class SaslProtocol(StrEnum):
    """Kafka's `security.protocol` values that this project uses; plain text only on loopback."""

    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"


class LogLevel(StrEnum):
    """The least severe log record that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _split_commas(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _without_trailing_slash(value: str) -> str:
    return value.rstrip("/")


Roles = Annotated[frozenset[Role], NoDecode, BeforeValidator(_split_commas)]
BaseUrl = Annotated[str, Field(pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$"), AfterValidator(_without_trailing_slash)]


class ProcessSettings(BaseSettings):
    """What every process has: a name, an HTTP port for its API, health and metrics, and telemetry."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True)

    service: str = Field(pattern=r"^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)?$")
    environment: Environment = Environment.PRODUCTION
    http_host: str = "127.0.0.1"
    http_port: int = Field(ge=0, le=65535)
    body_limit_bytes: int = Field(default=262_144, ge=1024, le=1_048_576)
    roles: Roles = Field(default=frozenset(Role), min_length=1)
    identity_issuer: BaseUrl | None = None
    audience: str = ""
    log_level: LogLevel = LogLevel.INFO
    trace_endpoint: BaseUrl | None = None
    trace_sample_ratio: float = Field(default=0.01, ge=0, le=1)
    trusted_proxies: str = ""
    drain_delay_seconds: float = Field(default=0, ge=0, le=5)
    faultpoint: str = ""

    @model_validator(mode="before")
    @classmethod
    def _audience_is_the_service(cls, values: dict[str, object]) -> dict[str, object]:
        return values if values.get("audience") else {**values, "audience": values.get("service", "")}

    @model_validator(mode="after")
    def _being_killed_is_for_tests(self) -> Self:
        if self.in_production and self.faultpoint:
            raise ValueError("YIJIAN_FAULTPOINT kills the process to test it; it is refused in production")
        return self

    @property
    def in_production(self) -> bool:
        return self.environment is Environment.PRODUCTION

    def plays(self, role: Role) -> bool:
        return role in self.roles


class DatabaseSettings(ProcessSettings):
    """Beside that: the service's own database and the key file that opens what is encrypted in it."""

    database_url: SecretStr = Field(min_length=1)
    key_file: Path
    cipher: str = Field(default="AES-GCM", pattern=r"^(AES|SM4)-GCM$")


class KafkaSettings(ProcessSettings):
    """Beside that: the Kafka cluster and the process's own principal there."""

    kafka_bootstrap: str = Field(min_length=1)
    kafka_security_protocol: SaslProtocol = SaslProtocol.SASL_PLAINTEXT
    kafka_username: str = ""
    kafka_password: SecretStr = Field(min_length=1)
    kafka_ca_file: Path | None = None
    instance: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,64}$")
    batch_records: int = Field(default=500, ge=1, le=5000)
    relay_batch: int = Field(default=1000, ge=1, le=10_000)
    commit_each_batch: bool = False

    @model_validator(mode="before")
    @classmethod
    def _username_is_the_service(cls, values: dict[str, object]) -> dict[str, object]:
        return values if values.get("kafka_username") else {**values, "kafka_username": values.get("service", "")}

    @model_validator(mode="after")
    def _a_certificate_authority_needs_tls(self) -> Self:
        if self.kafka_ca_file is not None and self.kafka_security_protocol is not SaslProtocol.SASL_SSL:
            raise ValueError("YIJIAN_KAFKA_CA_FILE is given but YIJIAN_KAFKA_SECURITY_PROTOCOL is not SASL_SSL")
        return self


class ServiceSettings(DatabaseSettings, KafkaSettings):
    """A service with a database and messages."""


AnySettings = TypeVar("AnySettings", bound=ProcessSettings)


def load_settings(kind: type[AnySettings]) -> AnySettings:
    """The settings from the environment, or a sentence per wrong variable on stderr and exit code 2."""
    try:
        return kind()
    except ValidationError as error:
        refuse_to_start(*explain(error))


def explain(error: ValidationError) -> list[str]:
    """One sentence per wrong variable; values are never repeated, since some are secrets."""
    return [_sentence(detail["type"], detail["loc"], detail["msg"]) for detail in error.errors(include_input=False)]


def _sentence(kind: str, location: tuple[int | str, ...], message: str) -> str:
    if not location:
        return message.removeprefix("Value error, ")
    variable = f"{PREFIX}{location[0]}".upper()
    if kind == "missing":
        return f"The environment variable {variable} is missing; set it and start again."
    return f"The environment variable {variable} is not usable: {message[0].lower()}{message[1:]}."


def refuse_to_start(*sentences: str) -> NoReturn:
    """End the process before it began: plain sentences, no traceback, exit code 2."""
    print(*sentences, sep="\n", file=sys.stderr)  # noqa: T201 - logging is not set up yet, and this is for a person
    raise SystemExit(2)
