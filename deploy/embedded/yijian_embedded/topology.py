"""Every process of the platform on one page: what it runs, where it listens, what it is told.

postgres ── approval, identity, data-exchange, rating    a database and a role each
kafka ──┬── approval                     the engine and its API
        ├── identity                     the OpenID provider and the wallet
        ├── data-exchange                the consent register and the ledger ──▶ witness, another party's in a city
        ├── rating                       reviews and rectification orders
        └── one program per department   its own SQLite store, its own two topics
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec

from yijian_contracts.departments import departments

from yijian_embedded.credentials import KafkaCredentials
from yijian_embedded.home import Home
from yijian_embedded.kafka_settings import brokers
from yijian_embedded.shape import Shape, wire_port, wired_port


@dataclass(frozen=True)
class Service:
    """One process of ours: `python -m <module>` on the port that has its name."""

    name: str
    module: str
    principal: str | None
    """Who it is for Kafka; the witness, who belongs to somebody else, is nobody there."""
    department: str | None = None
    replica: int = 1
    process: str = ""

    @property
    def process_name(self) -> str:
        """The name of its record, log, port and Kafka instance: a second process of the same service has its own."""
        return self.process or (self.name if self.replica == 1 else f"{self.name}-{self.replica}")

    @property
    def is_written(self) -> bool:
        """Whether its program is part of this checkout."""
        return find_spec(self.module) is not None and find_spec(f"{self.module}.__main__") is not None


SERVICES = (
    Service("identity", module="identity", principal="identity"),
    Service("witness", module="yijian_witness", principal=None),
    Service("data-exchange", module="data_exchange", principal="data-exchange"),
    Service("approval", module="approval", principal="approval"),
    Service("rating", module="rating", principal="rating"),
    *(
        Service(code, module=code.replace("-", "_"), principal=department.principal, department=code)
        for code, department in departments().items()
    ),
)


def port_names(shape: Shape) -> tuple[str, ...]:
    """Everything that listens on a platform of this shape, and the wires that somebody else lays to it."""
    nodes = brokers(shape)
    servers = [node.name for node in nodes]
    return (
        *(name for node in nodes for name in (node.name, node.controller_port)),
        "postgres",
        *(service.name for service in SERVICES),
        *shape.processes,
        *(wired_port(wire, server) for wire in shape.wires for server in servers),
        *(wire_port(wire, server) for wire in shape.wires for server in (*servers, "postgres")),
    )


PORT_NAMES = port_names(Shape())


def get_service(name: str, *, replica: int = 1, process: str = "") -> Service:
    """The service or department with this name; an unknown name is a `KeyError`."""
    services = {service.name: service for service in SERVICES}
    return replace(services[name], replica=replica, process=process)


def environment(
    service: Service,
    home: Home,
    ports: Mapping[str, int],
    *,
    kafka: KafkaCredentials | None,
    database_url: str | None,
) -> dict[str, str]:
    """Everything a process is told. `database_url` is its Postgres database; a department keeps an SQLite file."""
    own = {
        "YIJIAN_SERVICE": service.principal or service.name,
        "YIJIAN_ENVIRONMENT": "development",
        "YIJIAN_HTTP_HOST": "127.0.0.1",
        "YIJIAN_HTTP_PORT": str(ports[service.process_name]),
        **_files(service, home, ports),
    }
    if kafka is None:
        return own
    return own | {
        **kafka.environment(),
        # A process that was killed goes on where it was as soon as it is back.
        "YIJIAN_INSTANCE": service.process_name,
        "YIJIAN_DATABASE_URL": database_url or f"sqlite:///{home.department_store(service.name)}",
        "YIJIAN_KEY_FILE": str(home.key_file(service.name)),
        "YIJIAN_IDENTITY_ISSUER": f"http://127.0.0.1:{ports['identity']}",
    }


def _files(service: Service, home: Home, ports: Mapping[str, int]) -> dict[str, str]:
    """What it reads beside its database: fictitious records, if somebody has made any, and what it alone may know."""
    if service.department:
        return {
            "YIJIAN_RECORDS_FILE": str(home.records / f"{service.department}.jsonl"),
            "YIJIAN_SCRIPT_FILE": str(home.script_file(service.department)),
        }
    match service.name:
        case "identity":
            return {
                "YIJIAN_ACCOUNTS_FILE": str(home.records / "identity.jsonl"),
                "YIJIAN_CLIENT_SECRETS_FILE": str(home.client_secrets),
                "YIJIAN_PAIRWISE_KEY_FILE": str(home.pairwise_key_file(service.name)),
            }
        case "approval":
            return {"YIJIAN_PAIRWISE_KEY_FILE": str(home.pairwise_key_file(service.name))}
        case "data-exchange":
            return {
                "YIJIAN_LEDGER_KEY_FILE": str(home.ledger_key),
                "YIJIAN_WITNESS_URL": f"http://127.0.0.1:{ports['witness']}",
                "YIJIAN_WITNESS_PUBLIC_KEY_FILE": str(home.witness_public_key),
            }
        case "witness":
            return {
                "YIJIAN_WITNESS_KEY_FILE": str(home.witness_key),
                "YIJIAN_WITNESS_STORE": str(home.witness_store),
                "YIJIAN_LEDGER_PUBLIC_KEY_FILE": str(home.ledger_public_key),
            }
        case _:
            return {}
