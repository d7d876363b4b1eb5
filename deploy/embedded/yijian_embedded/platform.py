"""The whole platform on one machine: up, down, status, clean."""

import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psutil
from confluent_kafka.admin import AdminClient

from yijian_embedded import archiving, kafka, postgres
from yijian_embedded.credentials import ADMIN, CONTROLLER, KafkaCredentials, Secrets
from yijian_embedded.errors import PlatformError, ProcessEndedError
from yijian_embedded.external import external_kafka, external_postgres
from yijian_embedded.home import Home, locked, make_private_folder
from yijian_embedded.kafka_access import answers, wait_for_user
from yijian_embedded.kafka_settings import Broker, brokers
from yijian_embedded.keys import ensure_key_file, ensure_ledger_keys, ensure_pairwise_keys
from yijian_embedded.ports import choose_ports, is_free_soon, read_ports
from yijian_embedded.postgres_access import close_to_public, database_url
from yijian_embedded.postgres_user import refuge_folder
from yijian_embedded.processes import (
    Program,
    end,
    find_leftovers,
    find_running,
    recorded,
    start,
    stop,
    wait_until_ready,
)
from yijian_embedded.provisioning import SERVICE_DATABASES, Provisioned, provision, rotate
from yijian_embedded.shape import Shape, read_shape, remember_shape, wire_port, wired_port
from yijian_embedded.topology import SERVICES, Service, environment, get_service, port_names

SERVICE_READY_WITHIN_S = 60
# A service has 15 s to finish what it accepted.
SERVICE_STOPPED_WITHIN_S = 20


@dataclass(frozen=True)
class ProcessStatus:
    """One line of `yijian status`."""

    name: str
    state: str
    port: int | None
    pid: int | None = None
    up_for_s: float | None = None
    memory_mb: int | None = None


class Platform:
    """The processes whose data lies in `folder`. Every command may be repeated at any time, also after a crash.

    `shape` is for the first `up`; without it the folder keeps the shape that it has.
    """

    def __init__(self, folder: Path, *, shape: Shape | None = None) -> None:
        self.home = Home(folder.resolve())
        self.secrets = Secrets(self.home)
        self._shape = shape

    @property
    def shape(self) -> Shape:
        """How many brokers and further processes there are."""
        return self._shape or read_shape(self.home)

    @property
    def brokers(self) -> tuple[str, ...]:
        """The brokers' names."""
        return tuple(broker.name for broker in brokers(self.shape))

    @property
    def ports(self) -> Mapping[str, int]:
        """The ports chosen by the last `up`."""
        return read_ports(self.home)

    @property
    def kafka_admin(self) -> KafkaCredentials:
        """The brokers' administrator."""
        if external := external_kafka():
            return external
        self._refuse_before_first_start()
        return kafka.admin_credentials(self.home, self.shape, self.ports)

    @property
    def postgres_admin_url(self) -> str:
        """The database server's administrator."""
        if external := external_postgres():
            return external
        self._refuse_before_first_start()
        return postgres.admin_url(self.home, self.ports)

    def kafka_credentials(self, principal: str) -> KafkaCredentials:
        """How this principal of the catalogue reaches the broker."""
        admin = self.kafka_admin
        return KafkaCredentials(
            bootstrap=admin.bootstrap,
            username=principal,
            password=self.secrets.get("kafka", principal),
            security_protocol=admin.security_protocol,
            ca_file=admin.ca_file,
        )

    def database_url(self, service: str, *, database: str | None = None) -> str:
        """A service's own database, or another one, for the service's role."""
        password = self.secrets.get("postgres", service)
        return database_url(self.postgres_admin_url, role=service, password=password, database=database or service)

    def environment(self, name: str, *, replica: int = 1) -> dict[str, str]:
        """What the process with this name is told."""
        return self._environment(get_service(name, replica=replica))

    def _environment(self, service: Service) -> dict[str, str]:
        url = self.database_url(service.name) if service.name in SERVICE_DATABASES else None
        credentials = self.kafka_credentials(service.principal) if service.principal else None
        return environment(service, self.home, self.ports, kafka=credentials, database_url=url)

    def url(self, name: str) -> str:
        """Where the process with this name answers over HTTP."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def up(self, *, services: bool = True, wait: bool = True) -> None:
        """Start what is not running. With `wait`, return when every service says that it is ready."""
        with locked(self.home):
            end(find_leftovers(self.home))
            remember_shape(self.home, self.shape)
            choose_ports(self.home, port_names(self.shape), occupied=self.occupied())
            make_private_folder(self.home.stores)
            for service in SERVICES:
                ensure_key_file(self.home, service.name)
            ensure_pairwise_keys(self.home)
            ensure_ledger_keys(self.home)
            self._start_infrastructure()
            provision(self.kafka_admin, self.postgres_admin_url, self.secrets)
            if services:
                started = self._start_services(SERVICES, settings={})
                self._wait_for(started if wait else {})

    def down(self) -> list[str]:
        """Stop services, then the broker, then the database; says what was running. Nothing is left behind."""
        if not self.home.folder.exists():
            return []
        with locked(self.home):
            servers = (*kafka.running_names(self.home), postgres.NAME, archiving.NAME)
            services = [name for name in recorded(self.home) if name not in servers]
            stopped = stop(self.home, services, within_s=SERVICE_STOPPED_WITHIN_S)
            stopped += kafka.stop_brokers(self.home)
            stopped += [postgres.NAME] if postgres.stop_postgres(self.home) else []
            # Last: the server ends when what it wrote has arrived.
            stopped += [archiving.NAME] if archiving.stop_receiver(self.home) else []
            end(find_leftovers(self.home))
        return stopped

    def start_service(
        self,
        name: str,
        *,
        replica: int = 1,
        process: str = "",
        wait: bool = True,
        settings: Mapping[str, str] | None = None,
        runner: Sequence[str] = (),
    ) -> None:
        """Start one service or department whose infrastructure runs, with further settings in its environment.

        `process` is one of the shape's further processes, in place of `replica`. A `runner` is a module with its
        arguments that is given the program's module to run.
        """
        service = get_service(name, replica=replica, process=process)
        with locked(self.home):
            started = self._start_services([service], settings=settings or {}, runner=runner)
        self._wait_for(started if wait else {})

    def stop_service(self, name: str, *, replica: int = 1, process: str = "") -> None:
        """Stop one service or department."""
        with locked(self.home):
            process_name = get_service(name, replica=replica, process=process).process_name
            stop(self.home, [process_name], within_s=SERVICE_STOPPED_WITHIN_S)

    def start_server(self, name: str, *, wait: bool = True) -> None:
        """Start one broker or the database of a platform that was up, on the data that is there."""
        with locked(self.home):
            process = find_running(self.home, name) or self._start_server(name)
        if wait:
            self._wait_for_server(name, process)

    def stop_server(self, name: str) -> None:
        """Let one broker or the database end in good order."""
        with locked(self.home):
            if name == postgres.NAME:
                postgres.stop_postgres(self.home)
            else:
                kafka.stop_brokers(self.home, [name])

    def process(self, name: str) -> psutil.Process | None:
        """The running process with this name (`kafka`, `approval`, `approval-2`, `health`), if it runs."""
        return find_running(self.home, name)

    def is_ready(self, name: str) -> bool:
        """Whether the process with this name does its work now."""
        if kafka.is_broker(name):
            if external := external_kafka():
                return answers(AdminClient(external.client_config()))
            return kafka.is_member(self.home, self._broker(name), self.ports)
        if name == postgres.NAME:
            return postgres.answers(self.postgres_admin_url)
        if name == archiving.NAME:
            return self.is_ready(postgres.NAME) and archiving.receiving(self.postgres_admin_url).connected
        connection = HTTPConnection("127.0.0.1", self.ports[name], timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def status(self) -> list[ProcessStatus]:
        """Every process of the platform and how it is."""
        usual = [*self.brokers, postgres.NAME, *(service.name for service in SERVICES)]
        names = [*usual, *(name for name in recorded(self.home) if name not in usual)]
        with ThreadPoolExecutor(len(names)) as pool:
            return list(pool.map(self._status_of, names))

    def provision(self, *, rotated: str | None = None) -> Provisioned:
        """Make topics, users, rights and databases what the catalogue says, and take away what it does not."""
        with locked(self.home):
            if rotated:
                rotate(self.secrets, rotated)
            done = provision(self.kafka_admin, self.postgres_admin_url, self.secrets, withdraw=True)
            if rotated in done.principals:
                wait_for_user(self.kafka_credentials(rotated))
            return done

    def clean(self) -> None:
        """Stop everything and remove the data folder, with the platforms that lie in it."""
        for record in self.home.folder.glob("*/run"):
            Platform(record.parent).clean()
        kafka.kill_brokers(self.home)
        self.down()
        shutil.rmtree(refuge_folder(self.home), ignore_errors=True)
        shutil.rmtree(self.home.folder, ignore_errors=True)

    def _refuse_before_first_start(self) -> None:
        if not self.ports:
            raise PlatformError(f"nothing was ever started in {self.home.folder}: run `yijian up` first")

    def occupied(self) -> frozenset[str]:
        """The names whose ports this folder's own processes hold, and those of wires that others lay to them."""
        shape = self.shape
        running = {name for name in port_names(shape) if find_running(self.home, name)}
        for broker in brokers(shape) if running else ():
            running |= {wire_port(wire, broker.name) for wire in shape.wires}
            if broker.name in running:
                running |= {broker.controller_port, *(wired_port(wire, broker.name) for wire in shape.wires)}
        return frozenset(running | {wire_port(wire, postgres.NAME) for wire in shape.wires if running})

    def _start_infrastructure(self) -> None:
        if not external_postgres():
            # Before Kafka runs: the restore that is needed then wants it down.
            postgres.refuse_to_begin_anew(self.home)
        # Made before the threads below, which then only read them.
        for server, name in (("kafka", ADMIN), ("kafka", CONTROLLER), ("postgres", ADMIN)):
            self.secrets.get(server, name)
        with ThreadPoolExecutor(2) as pool:
            for started in (pool.submit(self._start_kafka), pool.submit(self._start_postgres)):
                started.result()

    def _start_kafka(self) -> None:
        if external_kafka():
            if not self.is_ready(kafka.NAME):
                raise PlatformError(
                    f"Kafka at {self.kafka_admin.bootstrap} does not let {self.kafka_admin.username} in"
                )
            return
        kafka.make_storage(self.home, self.shape, self.ports)
        with ThreadPoolExecutor(len(self.brokers)) as pool:
            list(pool.map(self._ensure, self.brokers))

    def _start_postgres(self) -> None:
        if external_postgres():
            if not self.is_ready(postgres.NAME):
                raise PlatformError("the Postgres that YIJIAN_POSTGRES_ADMIN_URL names does not let its user in")
            return
        self._ensure(postgres.NAME)
        close_to_public(self.postgres_admin_url)
        archiving.start_receiver(self.home, self.ports[postgres.NAME], self.postgres_admin_url)

    def _ensure(self, name: str) -> None:
        """Wait for the server that runs, or for a new one; one that was just killed may look alive for a moment."""
        running = find_running(self.home, name)
        if running:
            with suppress(ProcessEndedError):
                self._wait_for_server(name, running)
                return
        self._wait_for_server(name, self._start_server(name))

    def _start_server(self, name: str) -> psutil.Process:
        is_free_soon(self.ports[name])
        if name == postgres.NAME:
            return postgres.start_postgres(self.home, self.ports)
        return kafka.start_broker(self.home, self._broker(name), self.shape, self.ports)

    def _wait_for_server(self, name: str, process: psutil.Process) -> None:
        if name == postgres.NAME:
            postgres.wait_for_postgres(self.home, process, self.postgres_admin_url)
        else:
            kafka.wait_for_broker(self.home, self._broker(name), process, self.ports)

    def _broker(self, name: str) -> Broker:
        return next(broker for broker in brokers(self.shape) if broker.name == name)

    def _start_services(
        self, services: Sequence[Service], *, settings: Mapping[str, str], runner: Sequence[str] = ()
    ) -> dict[str, psutil.Process]:
        started = {}
        for service in services:
            if not service.is_written:
                continue
            command = [sys.executable, "-m", *runner, service.module]
            told = self._environment(service)
            program = Program(service.process_name, command, _inherited_environment() | told | dict(settings))
            started[program.name] = find_running(self.home, program.name) or start(self.home, program)
        return started

    def _wait_for(self, started: Mapping[str, psutil.Process]) -> None:
        for name, process in started.items():
            is_ready = partial(self.is_ready, name)
            wait_until_ready(self.home, name, process, is_ready, within_s=SERVICE_READY_WITHIN_S)

    def _status_of(self, name: str) -> ProcessStatus:
        if (name == kafka.NAME and external_kafka()) or (name == postgres.NAME and external_postgres()):
            return ProcessStatus(name, "ready" if self.is_ready(name) else "not answering", None)
        port = self.ports.get(name)
        process = find_running(self.home, name)
        if not process:
            return ProcessStatus(name, "stopped", port)
        return ProcessStatus(
            name,
            "ready" if self.is_ready(name) else "not ready",
            port,
            pid=process.pid,
            up_for_s=round(time.time() - process.create_time(), 1),
            memory_mb=process.memory_info().rss // 2**20,
        )


def _inherited_environment() -> dict[str, str]:
    """This process's environment without what only an administrator may know."""
    return {name: value for name, value in os.environ.items() if "_ADMIN_" not in name}
