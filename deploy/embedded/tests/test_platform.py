"""The platform comes up whatever happened before, and leaves nothing behind."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from confluent_kafka import Consumer, Producer
from yijian_embedded.credentials import KafkaCredentials
from yijian_embedded.errors import PlatformError
from yijian_embedded.platform import Platform
from yijian_embedded.ports import is_free

TASKS = "department.health.tasks"


@pytest.fixture
def bystander() -> Iterator[psutil.Process]:
    """A process that has nothing to do with the platform."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield psutil.Process(process.pid)
        process.kill()


def infrastructure(platform: Platform) -> dict[str, int]:
    return {status.name: status.pid for status in platform.status() if status.state == "ready" and status.pid}


def test_a_second_up_starts_nothing(own_platform: Platform):
    before = infrastructure(own_platform)
    assert set(before) == {"kafka", "postgres"}

    own_platform.up(services=False)

    assert infrastructure(own_platform) == before


def test_two_ups_at_the_same_time_start_one_platform(own_platform: Platform):
    own_platform.down()
    ups = [threading.Thread(target=Platform(own_platform.home.folder).up, kwargs={"services": False}) for _ in range(2)]
    for up in ups:
        up.start()
    for up in ups:
        up.join()

    for name in ("kafka", "postgres"):
        assert own_platform.home.log(name).exists()
    running = [process.pid for process in psutil.process_iter() if runs_in(process, own_platform.home.folder)]
    assert sorted(running) == sorted(infrastructure(own_platform).values())


def test_what_was_kept_survives_a_kill_of_everything(own_platform: Platform):
    with psycopg.connect(own_platform.database_url("approval")) as session:
        session.execute("CREATE TABLE kept (word text)")
        session.execute("INSERT INTO kept VALUES ('still here')")
    produce(own_platform.kafka_credentials("approval"), TASKS, b"still here")

    for pid in infrastructure(own_platform).values():
        psutil.Process(pid).kill()
    own_platform.up(services=False)

    with psycopg.connect(own_platform.database_url("approval")) as session:
        assert session.execute("SELECT word FROM kept").fetchall() == [("still here",)]
    assert consume_one(own_platform.kafka_credentials("department.health"), TASKS) == b"still here"


def test_a_lock_of_postgres_that_names_somebody_elses_pid_is_no_obstacle(
    own_platform: Platform, bystander: psutil.Process
):
    postgres = own_platform.process("postgres")
    assert postgres
    postgres.kill()
    postgres.wait()
    lock = own_platform.home.postgres / "data" / "postmaster.pid"
    lines = lock.read_text().splitlines()
    lock.write_text("\n".join([str(bystander.pid), *lines[1:], ""]))

    own_platform.up(services=False)

    assert "postgres" in infrastructure(own_platform)
    assert bystander.is_running()


def test_a_process_that_no_record_names_is_found_and_ended(own_platform: Platform):
    kafka = own_platform.process("kafka")
    assert kafka
    (own_platform.home.run / "kafka.json").unlink()

    own_platform.up(services=False)

    assert not kafka.is_running() or kafka.status() == psutil.STATUS_ZOMBIE
    assert infrastructure(own_platform)["kafka"] != kafka.pid


def test_a_recycled_pid_is_left_alone(own_platform: Platform, bystander: psutil.Process):
    record = own_platform.home.run / "approval.json"
    record.write_text(json.dumps({"pid": bystander.pid, "seconds_after_boot": 1.0}))

    assert "approval" not in own_platform.down()

    assert bystander.status() != psutil.STATUS_ZOMBIE
    assert not record.exists()


def test_down_leaves_nothing_running_and_may_be_repeated(own_platform: Platform):
    own_platform.up(services=False)
    pids = infrastructure(own_platform).values()

    assert own_platform.down() == ["kafka", "postgres"]
    assert own_platform.down() == []

    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert all(is_free(port) for port in own_platform.ports.values())


def test_secrets_and_keys_are_for_their_owner_alone(own_platform: Platform):
    home = own_platform.home
    files = [home.secrets, home.kafka / "server.properties", home.key_file("approval"), home.key_file("health")]
    assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o600"}
    assert not (home.kafka / "format.options").exists()
    assert not (home.postgres / "password").exists()


def test_a_broker_that_cannot_start_says_so_with_the_end_of_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho no heap\nexit 1\n")
    java.chmod(0o755)
    monkeypatch.setattr("yijian_embedded.kafka.find_java", lambda: java)

    with pytest.raises(PlatformError, match="no heap"):
        Platform(tmp_path / "home").up(services=False)

    Platform(tmp_path / "home").clean()
    assert not (tmp_path / "home").exists()


def produce(credentials: KafkaCredentials, topic: str, value: bytes) -> None:
    producer = Producer(credentials.client_config())
    producer.produce(topic, value)
    assert producer.flush(10) == 0


def consume_one(credentials: KafkaCredentials, topic: str) -> bytes | None:
    consumer = Consumer(
        credentials.client_config() | {"group.id": f"{credentials.username}.test", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    message = consumer.poll(15)
    consumer.close()
    assert message is not None
    assert message.error() is None
    value = message.value()
    return value if value is None else bytes(value)


def runs_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return any(str(folder) in argument for argument in process.cmdline()) and process.pid != os.getpid()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
