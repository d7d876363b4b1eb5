"""Who connects to Kafka and Postgres with which password; the passwords lie in one file that only its owner reads."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from yijian_embedded.home import Home, write_private

ADMIN = "platform"
CONTROLLER = "controller"


@dataclass(frozen=True, kw_only=True)
class KafkaCredentials:
    """How one principal reaches the broker."""

    bootstrap: str
    username: str
    password: str = field(repr=False)
    security_protocol: str = "SASL_PLAINTEXT"
    ca_file: Path | None = None

    def environment(self) -> dict[str, str]:
        """The settings that a process of the platform reads."""
        settings = {
            "YIJIAN_KAFKA_BOOTSTRAP": self.bootstrap,
            "YIJIAN_KAFKA_SECURITY_PROTOCOL": self.security_protocol,
            "YIJIAN_KAFKA_USERNAME": self.username,
            "YIJIAN_KAFKA_PASSWORD": self.password,
        }
        return settings | ({"YIJIAN_KAFKA_CA_FILE": str(self.ca_file)} if self.ca_file else {})

    def client_config(self) -> dict[str, str | int | float | bool]:
        """The same for a confluent-kafka client."""
        config: dict[str, str | int | float | bool] = {
            "bootstrap.servers": self.bootstrap,
            "security.protocol": self.security_protocol,
            "sasl.mechanisms": "SCRAM-SHA-512",
            "sasl.username": self.username,
            "sasl.password": self.password,
            # Failures reach the caller as exceptions; the client's own lines on stderr would only repeat them.
            "log_level": 0,
        }
        return config | ({"ssl.ca.location": str(self.ca_file)} if self.ca_file else {})


class Secrets:
    """Random passwords by server (`kafka`, `postgres`) and name, made when they are first asked for."""

    def __init__(self, home: Home) -> None:
        self._path = home.secrets

    def get(self, server: str, name: str) -> str:
        """The password, made and stored before anybody is told of it."""
        known = self._read()
        if name not in known.get(server, {}):
            return self.rotate(server, name)
        return known[server][name]

    def rotate(self, server: str, name: str) -> str:
        """A new password in place of the old one; provisioning makes it true on the server."""
        known = self._read()
        password = secrets.token_urlsafe(24)
        updated = {**known, server: {**known.get(server, {}), name: password}}
        write_private(self._path, json.dumps(updated, indent=1, sort_keys=True))
        return password

    def _read(self) -> Mapping[str, Mapping[str, str]]:
        try:
            stored: dict[str, dict[str, str]] = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return stored
