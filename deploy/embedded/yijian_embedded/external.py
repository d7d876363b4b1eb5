"""An existing Kafka or Postgres, named in the environment, that is used in place of the embedded one."""

import os
from pathlib import Path

from yijian_embedded.credentials import KafkaCredentials
from yijian_embedded.errors import PlatformError


def external_kafka() -> KafkaCredentials | None:
    """The administrator of the broker at `YIJIAN_KAFKA_BOOTSTRAP`, if it is set."""
    bootstrap = os.environ.get("YIJIAN_KAFKA_BOOTSTRAP")
    if not bootstrap:
        return None
    ca_file = os.environ.get("YIJIAN_KAFKA_CA_FILE")
    return KafkaCredentials(
        bootstrap=bootstrap,
        username=_required("YIJIAN_KAFKA_ADMIN_USERNAME", beside="YIJIAN_KAFKA_BOOTSTRAP"),
        password=_required("YIJIAN_KAFKA_ADMIN_PASSWORD", beside="YIJIAN_KAFKA_BOOTSTRAP"),
        security_protocol=os.environ.get("YIJIAN_KAFKA_SECURITY_PROTOCOL", "SASL_SSL"),
        ca_file=Path(ca_file) if ca_file else None,
    )


def external_postgres() -> str | None:
    """The address with which an administrator reaches the server, if `YIJIAN_POSTGRES_ADMIN_URL` is set."""
    return os.environ.get("YIJIAN_POSTGRES_ADMIN_URL") or None


def _required(name: str, *, beside: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise PlatformError(f"{beside} is set and {name} is not: set both, or neither to have a broker started here")
    return value
