"""A real Kafka in KRaft mode: one node, broker and controller, on loopback, with SCRAM users and access lists."""

import os
import shutil
import signal
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from uuid import uuid4

import psutil
from confluent_kafka.admin import AdminClient

from yijian_embedded.credentials import ADMIN, CONTROLLER, KafkaCredentials, Secrets
from yijian_embedded.errors import PlatformError
from yijian_embedded.home import Home, write_private
from yijian_embedded.jars import class_path
from yijian_embedded.java import find_java
from yijian_embedded.kafka_access import answers
from yijian_embedded.processes import Program, start, stop, wait_until_ready

NAME: Final = "kafka"
CONTROLLER_PORT: Final = "kafka-controller"
READY_WITHIN_S: Final = 90
HEAP: Final = ("-Xms256m", "-Xmx320m", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError")

SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=CLIENT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=CLIENT://127.0.0.1:{port}
listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT
inter.broker.listener.name=CLIENT
controller.listener.names=CONTROLLER

# Clients prove themselves by SCRAM; the controller, which has to answer before users can be looked up, by PLAIN.
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
sasl.mechanism.controller.protocol=PLAIN
listener.name.client.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule \
required username="{admin}" password="{password}";
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule \
required username="{admin}" password="{controller_password}" user_{admin}="{controller_password}";
connections.max.reauth.ms=0

authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:{admin}

auto.create.topics.enable=false
log.dirs={data}
num.recovery.threads.per.data.dir=2
# One node and few groups: no copies to keep, and less to open at every start.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
# After a kill the controller waits this long for the broker that was before it lets the new one in.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=4194304
# Members of a group arrive one by one here; nobody waits three seconds for the rest of a fleet.
group.initial.rebalance.delay.ms=100
group.min.session.timeout.ms=1000
"""

LOGGING = """\
Configuration:
  Appenders:
    Console:
      name: output
      PatternLayout: {pattern: "%d{ISO8601} %p %m (%c)%n"}
  Loggers:
    Root: {level: WARN, AppenderRef: {ref: output}}
    Logger:
      - {name: kafka.server.KafkaRaftServer, level: INFO}
      - {name: org.apache.kafka.server.BrokerLifecycleManager, level: INFO}
      # Who was refused what.
      - {name: kafka.authorizer.logger, level: INFO}
"""


def start_kafka(home: Home, ports: Mapping[str, int]) -> psutil.Process:
    """Start the broker on the data that is there, or on an empty cluster made for it; it is not ready yet."""
    secrets = Secrets(home)
    _write_configuration(home, ports, secrets, home.kafka / "data")
    # One class path for formatting and running, in a file: their jars would drown the process list.
    jvm = [*HEAP, f"-Dlog4j2.configurationFile={home.kafka / 'log4j2.yaml'}", "-cp", _class_path(home)]
    write_private(home.kafka / "jvm.options", "\n".join(f'"{option}"' for option in jvm))
    if not (home.kafka / "data").exists():
        _format(home, ports, secrets)
    command = [str(find_java()), f"@{home.kafka / 'jvm.options'}", "kafka.Kafka", str(home.kafka / "server.properties")]
    return start(home, Program(NAME, command, os.environ))


def wait_for_kafka(home: Home, process: psutil.Process, credentials: KafkaCredentials) -> None:
    """Return when the broker answers its administrator."""
    admin = AdminClient(credentials.client_config())
    wait_until_ready(home, NAME, process, lambda: answers(admin), within_s=READY_WITHIN_S)


def stop_kafka(home: Home) -> bool:
    """Let the broker close its logs; says whether it ran."""
    return bool(stop(home, [NAME], by=signal.SIGTERM, within_s=30))


def admin_credentials(home: Home, ports: Mapping[str, int]) -> KafkaCredentials:
    """The administrator of the embedded broker."""
    password = Secrets(home).get("kafka", ADMIN)
    return KafkaCredentials(bootstrap=f"127.0.0.1:{ports[NAME]}", username=ADMIN, password=password)


def _write_configuration(home: Home, ports: Mapping[str, int], secrets: Secrets, data: Path) -> None:
    properties = SERVER_PROPERTIES.format(
        port=ports[NAME],
        controller_port=ports[CONTROLLER_PORT],
        admin=ADMIN,
        password=secrets.get("kafka", ADMIN),
        controller_password=secrets.get("kafka", CONTROLLER),
        data=data,
    )
    write_private(home.kafka / "server.properties", properties)
    write_private(home.kafka / "log4j2.yaml", LOGGING)


def _format(home: Home, ports: Mapping[str, int], secrets: Secrets) -> None:
    """Make an empty cluster that knows its administrator; it gets its final name only once it is whole."""
    draft = home.kafka / "data.draft"
    shutil.rmtree(draft, ignore_errors=True)
    _write_configuration(home, ports, secrets, draft)
    cluster_id = urlsafe_b64encode(uuid4().bytes).rstrip(b"=").decode("ascii")
    user = f"SCRAM-SHA-512=[name={ADMIN},password={secrets.get('kafka', ADMIN)}]"
    # With an equals sign, since the id may start with a dash.
    storage = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}"]
    arguments = [*storage, "--config", str(home.kafka / "server.properties"), "--add-scram", user]
    # The whole command goes through a file, since it carries a password.
    options = home.kafka / "format.options"
    quoted = "\n".join(f'"{argument}"' for argument in arguments)
    write_private(options, f"{(home.kafka / 'jvm.options').read_text(encoding='utf-8')}\n{quoted}\n")
    result = subprocess.run([find_java(), f"@{options}"], capture_output=True, text=True, check=False)  # noqa: S603
    options.unlink()
    if result.returncode:
        raise PlatformError(f"Kafka's storage could not be made:\n{result.stdout[-1000:]}{result.stderr[-1000:]}")
    draft.rename(home.kafka / "data")
    _write_configuration(home, ports, secrets, home.kafka / "data")


def _class_path(home: Home) -> str:
    return os.pathsep.join(map(str, class_path(home)))
