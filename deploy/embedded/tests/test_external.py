"""An existing Kafka and Postgres, named by the environment, are used instead of our own."""

from pathlib import Path

import pytest
from yijian_embedded.platform import Platform
from yijian_embedded.postgres_access import connect

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


def test_existing_servers_are_provisioned_and_left_running(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    kafka, postgres = platform.kafka_admin, platform.postgres_admin_url
    monkeypatch.setenv("YIJIAN_KAFKA_BOOTSTRAP", kafka.bootstrap)
    monkeypatch.setenv("YIJIAN_KAFKA_ADMIN_USERNAME", kafka.username)
    monkeypatch.setenv("YIJIAN_KAFKA_ADMIN_PASSWORD", kafka.password)
    monkeypatch.setenv("YIJIAN_KAFKA_SECURITY_PROTOCOL", kafka.security_protocol)
    monkeypatch.setenv("YIJIAN_POSTGRES_ADMIN_URL", postgres)
    guest = Platform(tmp_path / "guest")

    before = {process.name: process.state for process in guest.status()}
    assert (before["kafka"], before["postgres"], before["approval"]) == ("ready", "ready", "stopped")

    # The servers are shared with other tests, whose users keep their passwords.
    guest.home.folder.mkdir(parents=True, exist_ok=True)
    guest.home.secrets.write_text(platform.home.secrets.read_text())
    guest.home.secrets.chmod(0o600)
    guest.up(services=False)
    assert guest.process("kafka") is None
    assert guest.process("postgres") is None
    with connect(guest.database_url("approval")) as role:
        assert role.execute("SELECT current_user").fetchone() == ("approval",)

    guest.clean()
    assert platform.process("kafka") is not None
    assert platform.process("postgres") is not None
