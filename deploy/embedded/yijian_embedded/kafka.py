"""A real Kafka in KRaft mode: one node or three, broker and controller each, on loopback, with SCRAM users and ACLs."""

import os
import shutil
import signal
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final
from uuid import uuid4

import psutil
from confluent_kafka.admin import AdminClient

from yijian_embedded.credentials import ADMIN, KafkaCredentials, Secrets
from yijian_embedded.errors import PlatformError
from yijian_embedded.home import Home, write_private
from yijian_embedded.jars import class_path
from yijian_embedded.java import find_java
from yijian_embedded.kafka_access import members
from yijian_embedded.kafka_settings import LOGGING, Broker, brokers, server_properties
from yijian_embedded.processes import Program, recorded, start, stop, wait_until_ready
from yijian_embedded.shape import Shape

NAME: Final = "kafka"
READY_WITHIN_S: Final = 180
HEAP: Final = ("-Xms256m", "-Xmx320m", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError")


def make_storage(home: Home, shape: Shape, ports: Mapping[str, int]) -> None:
    """Make the empty cluster of this shape, unless it was made before; nothing runs yet."""
    missing = [broker for broker in brokers(shape) if not (broker.folder(home) / "data").exists()]
    if not missing:
        return
    if len(missing) == shape.brokers:
        cluster_id = urlsafe_b64encode(uuid4().bytes).rstrip(b"=").decode("ascii")
        _class_path(home)
        with ThreadPoolExecutor(len(missing)) as pool:
            list(pool.map(partial(_format, home, shape, ports, cluster_id), missing))
    # Drafts get their names once all of them are whole: beside a node that has its name, a draft is whole.
    for broker in missing:
        if not (broker.folder(home) / "data.draft").exists():
            raise PlatformError(f"{broker.name} lost its data: restore it, or `yijian clean`")
        (broker.folder(home) / "data.draft").rename(broker.folder(home) / "data")


def start_broker(home: Home, broker: Broker, shape: Shape, ports: Mapping[str, int]) -> psutil.Process:
    """Start one node on the data that is there; it is not ready yet."""
    folder = broker.folder(home)
    _write_configuration(home, broker, shape, ports, folder / "data")
    command = [str(find_java()), f"@{folder / 'jvm.options'}", "kafka.Kafka", str(folder / "server.properties")]
    return start(home, Program(broker.name, command, os.environ))


def wait_for_broker(home: Home, broker: Broker, process: psutil.Process, ports: Mapping[str, int]) -> None:
    """Return when the broker serves clients as a member of its cluster."""
    admin = AdminClient(own_credentials(home, broker, ports).client_config())
    wait_until_ready(home, broker.name, process, lambda: broker.number in members(admin), within_s=READY_WITHIN_S)


def is_member(home: Home, broker: Broker, ports: Mapping[str, int]) -> bool:
    """Whether the broker serves clients now."""
    return broker.number in members(AdminClient(own_credentials(home, broker, ports).client_config()))


def stop_kafka(home: Home) -> bool:
    """Let the brokers close their logs; says whether any ran."""
    return bool(stop_brokers(home))


def stop_brokers(home: Home, names: Sequence[str] | None = None) -> list[str]:
    """Let these brokers, or all, close their logs; says which ones ran."""
    return stop(home, names or running_names(home), by=signal.SIGTERM, within_s=30)


def kill_brokers(home: Home) -> None:
    """End all brokers at once, for data that nobody will read again."""
    stop(home, running_names(home), by=signal.SIGKILL)


def running_names(home: Home) -> list[str]:
    """The nodes that were started and not stopped since."""
    return [name for name in recorded(home) if is_broker(name)]


def is_broker(name: str) -> bool:
    return name == NAME or name.startswith(f"{NAME}-")


def admin_credentials(home: Home, shape: Shape, ports: Mapping[str, int]) -> KafkaCredentials:
    """The administrator of the embedded cluster."""
    return _credentials(home, [ports[broker.name] for broker in brokers(shape)])


def own_credentials(home: Home, broker: Broker, ports: Mapping[str, int]) -> KafkaCredentials:
    """The administrator, who asks this broker first."""
    return _credentials(home, [ports[broker.name]])


def _credentials(home: Home, ports: Sequence[int]) -> KafkaCredentials:
    password = Secrets(home).get("kafka", ADMIN)
    bootstrap = ",".join(f"127.0.0.1:{port}" for port in ports)
    return KafkaCredentials(bootstrap=bootstrap, username=ADMIN, password=password)


def _write_configuration(home: Home, broker: Broker, shape: Shape, ports: Mapping[str, int], data: Path) -> None:
    folder = broker.folder(home)
    write_private(folder / "server.properties", server_properties(broker, shape, ports, Secrets(home), data))
    write_private(folder / "log4j2.yaml", LOGGING)
    # One class path for formatting and running, in a file: their jars would drown the process list.
    jvm = [*HEAP, f"-Dlog4j2.configurationFile={folder / 'log4j2.yaml'}", "-cp", _class_path(home)]
    write_private(folder / "jvm.options", "\n".join(f'"{option}"' for option in jvm))


def _format(home: Home, shape: Shape, ports: Mapping[str, int], cluster_id: str, broker: Broker) -> None:
    """Make the draft of an empty node that knows the cluster's administrator."""
    folder = broker.folder(home)
    draft = folder / "data.draft"
    shutil.rmtree(draft, ignore_errors=True)
    _write_configuration(home, broker, shape, ports, draft)
    user = f"SCRAM-SHA-512=[name={ADMIN},password={Secrets(home).get('kafka', ADMIN)}]"
    # With an equals sign, since the id may start with a dash.
    storage = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}"]
    arguments = [*storage, "--config", str(folder / "server.properties"), "--add-scram", user]
    # The whole command goes through a file, since it carries a password.
    options = folder / "format.options"
    quoted = "\n".join(f'"{argument}"' for argument in arguments)
    write_private(options, f"{(folder / 'jvm.options').read_text(encoding='utf-8')}\n{quoted}\n")
    result = subprocess.run([find_java(), f"@{options}"], capture_output=True, text=True, check=False)  # noqa: S603 - our own words, no shell
    options.unlink()
    if result.returncode:
        raise PlatformError(f"Kafka's storage could not be made:\n{result.stdout[-1000:]}{result.stderr[-1000:]}")


def _class_path(home: Home) -> str:
    return os.pathsep.join(map(str, class_path(home)))
