"""What a broker of the embedded cluster is told: server.properties and its logging."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from yijian_embedded.credentials import ADMIN, CONTROLLER, Secrets
from yijian_embedded.home import Home
from yijian_embedded.shape import Shape, wire_port, wired_port

CLIENT: Final = "CLIENT"

SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
listeners={listeners},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners={advertised}
listener.security.protocol.map={protocols},CONTROLLER:SASL_PLAINTEXT
inter.broker.listener.name=CLIENT
controller.listener.names=CONTROLLER

# Clients prove themselves by SCRAM; the controller, which has to answer before users can be looked up, by PLAIN.
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
sasl.mechanism.controller.protocol=PLAIN
{logins}
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
# On one node there are no copies to keep; on three, what two of them hold is acknowledged and survives either.
default.replication.factor={copies}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={copies}
# Few groups: less to open at every start.
offsets.topic.num.partitions=8
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={in_sync}
share.coordinator.state.topic.num.partitions=1
# After a kill the controller waits this long for the broker that was before it lets the new one in.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=4194304
# Members of a group arrive one by one here; nobody waits three seconds for the rest of a fleet.
group.initial.rebalance.delay.ms=100
group.min.session.timeout.ms=1000
"""

LOGIN = """\
listener.name.{listener}.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule \
required username="{admin}" password="{password}";
"""

# Each way in has network threads of its own; those for a few processes need no more than one.
FEW_CLIENTS = "listener.name.{listener}.num.network.threads=1\n"

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


@dataclass(frozen=True)
class Broker:
    """One node of the cluster, broker and controller; the first is called `kafka`, the others `kafka-2`, `kafka-3`."""

    number: int

    @property
    def name(self) -> str:
        return "kafka" if self.number == 1 else f"kafka-{self.number}"

    @property
    def controller_port(self) -> str:
        """The name of the port on which the nodes' controllers talk to each other."""
        return "kafka-controller" if self.number == 1 else f"kafka-controller-{self.number}"

    def folder(self, home: Home) -> Path:
        return home.kafka if self.number == 1 else home.kafka / self.name


def brokers(shape: Shape) -> tuple[Broker, ...]:
    """The nodes of a platform of this shape."""
    return tuple(Broker(number) for number in range(1, shape.brokers + 1))


def server_properties(broker: Broker, shape: Shape, ports: Mapping[str, int], secrets: Secrets, data: Path) -> str:
    """The settings of one node whose records lie in `data`."""
    ways = [(CLIENT, ports[broker.name], ports[broker.name]), *_wired(broker, shape.wires, ports)]
    copies = shape.brokers
    return SERVER_PROPERTIES.format(
        number=broker.number,
        voters=",".join(f"{each.number}@127.0.0.1:{ports[each.controller_port]}" for each in brokers(shape)),
        listeners=",".join(f"{name}://127.0.0.1:{port}" for name, port, _ in ways),
        advertised=",".join(f"{name}://127.0.0.1:{port}" for name, _, port in ways),
        protocols=",".join(f"{name}:SASL_PLAINTEXT" for name, _, _ in ways),
        logins="".join(_login(name, secrets.get("kafka", ADMIN)) for name, _, _ in ways).rstrip("\n"),
        controller_port=ports[broker.controller_port],
        controller_password=secrets.get("kafka", CONTROLLER),
        admin=ADMIN,
        data=data,
        copies=copies,
        in_sync=max(1, copies - 1),
    )


def _wired(broker: Broker, wires: Sequence[str], ports: Mapping[str, int]) -> list[tuple[str, int, int]]:
    """Name, port and advertised port of the listener behind each wire."""
    return [
        (
            f"WIRED_{wire.replace('-', '_').upper()}",
            ports[wired_port(wire, broker.name)],
            ports[wire_port(wire, broker.name)],
        )
        for wire in wires
    ]


def _login(listener: str, password: str) -> str:
    login = LOGIN.format(listener=listener.lower(), admin=ADMIN, password=password)
    return login if listener == CLIENT else login + FEW_CLIENTS.format(listener=listener.lower())
