"""The whole platform on one machine: up, down, status, clean."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psutil
from confluent_kafka.admin import AdminClient

from yijian_embedded import kafka, postgres
from yijian_embedded.credentials import ADMIN, CONTROLLER, KafkaCredentials, Secrets
from yijian_embedded.errors import PlatformError, ProcessEndedError
from yijian_embedded.external import external_kafka, external_postgres
from yijian_embedded.home import Home, locked, make_private_folder
from yijian_embedded.kafka_access import answers, wait_for_user
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
from yijian_embedded.topology import PORT_NAMES, SERVICES, Service, environment, get_service

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
    """The processes whose data lies in `folder`. Every command may be repeated at any time, also after a crash."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder.resolve())
        self.secrets = Secrets(self.home)

    @property
    def ports(self) -> Mapping[str, int]:
        """The ports chosen by the last `up`."""
        return read_ports(self.home)

    @property
    def kafka_admin(self) -> KafkaCredentials:
        """The broker's administrator."""
        if external := external_kafka():
            return external
        self._refuse_before_first_start()
        return kafka.admin_credentials(self.home, self.ports)

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
        service = get_service(name, replica=replica)
        url = self.database_url(name) if name in SERVICE_DATABASES else None
        credentials = self.kafka_credentials(service.principal) if service.principal else None
        return environment(service, self.home, self.ports, kafka=credentials, database_url=url)

    def url(self, name: str) -> str:
        """Where the process with this name answers over HTTP."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def up(self, *, services: bool = True, wait: bool = True) -> None:
        """Start what is not running. With `wait`, return when every service says that it is ready."""
        with locked(self.home):
            end(find_leftovers(self.home))
            choose_ports(self.home, PORT_NAMES, occupied=self._occupied())
            make_private_folder(self.home.stores)
            for service in SERVICES:
                ensure_key_file(self.home, service.name)
            ensure_pairwise_keys(self.home)
            ensure_ledger_keys(self.home)
            self._start_infrastructure()
            provision(self.kafka_admin, self.postgres_admin_url, self.secrets)
            if services:
                self._start_services(SERVICES, wait=wait, settings={})

    def down(self) -> list[str]:
        """Stop services, then the broker, then the database; says what was running. Nothing is left behind."""
        if not self.home.folder.exists():
            return []
        with locked(self.home):
            services = [name for name in recorded(self.home) if name not in (kafka.NAME, postgres.NAME)]
            stopped = stop(self.home, services, within_s=SERVICE_STOPPED_WITHIN_S)
            stopped += [kafka.NAME] if kafka.stop_kafka(self.home) else []
            stopped += [postgres.NAME] if postgres.stop_postgres(self.home) else []
            end(find_leftovers(self.home))
        return stopped

    def start_service(
        self, name: str, *, replica: int = 1, wait: bool = True, settings: Mapping[str, str] | None = None
    ) -> None:
        """Start one service or department whose infrastructure runs, with further settings in its environment."""
        with locked(self.home):
            self._start_services([get_service(name, replica=replica)], wait=wait, settings=settings or {})

    def stop_service(self, name: str, *, replica: int = 1) -> None:
        """Stop one service or department."""
        with locked(self.home):
            process_name = get_service(name, replica=replica).process_name
            stop(self.home, [process_name], within_s=SERVICE_STOPPED_WITHIN_S)

    def process(self, name: str) -> psutil.Process | None:
        """The running process with this name (`kafka`, `approval`, `approval-2`, `health`), if it runs."""
        return find_running(self.home, name)

    def status(self) -> list[ProcessStatus]:
        """Every process of the platform and how it is."""
        names = [kafka.NAME, postgres.NAME, *(service.name for service in SERVICES)]
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
        self.down()
        shutil.rmtree(refuge_folder(self.home), ignore_errors=True)
        shutil.rmtree(self.home.folder, ignore_errors=True)

    def _refuse_before_first_start(self) -> None:
        if not self.ports:
            raise PlatformError(f"nothing was ever started in {self.home.folder}: run `yijian up` first")

    def _occupied(self) -> frozenset[str]:
        """The names whose ports this folder's own processes hold."""
        running = {name for name in PORT_NAMES if find_running(self.home, name)}
        return frozenset(running | ({kafka.CONTROLLER_PORT} if kafka.NAME in running else set()))

    def _start_infrastructure(self) -> None:
        # Made before the threads below, which then only read them.
        for server, name in (("kafka", ADMIN), ("kafka", CONTROLLER), ("postgres", ADMIN)):
            self.secrets.get(server, name)
        with ThreadPoolExecutor(2) as pool:
            for started in (pool.submit(self._start_kafka), pool.submit(self._start_postgres)):
                started.result()

    def _start_kafka(self) -> None:
        if external_kafka():
            if not self._is_ready(kafka.NAME):
                raise PlatformError(
                    f"Kafka at {self.kafka_admin.bootstrap} does not let {self.kafka_admin.username} in"
                )
            return
        self._ensure(
            kafka.NAME,
            start=lambda: kafka.start_kafka(self.home, self.ports),
            wait=lambda process: kafka.wait_for_kafka(self.home, process, self.kafka_admin),
        )

    def _start_postgres(self) -> None:
        if external_postgres():
            if not self._is_ready(postgres.NAME):
                raise PlatformError("the Postgres that YIJIAN_POSTGRES_ADMIN_URL names does not let its user in")
            return
        self._ensure(
            postgres.NAME,
            start=lambda: postgres.start_postgres(self.home, self.ports),
            wait=lambda process: postgres.wait_for_postgres(self.home, process, self.postgres_admin_url),
        )
        close_to_public(self.postgres_admin_url)

    def _ensure(
        self, name: str, *, start: Callable[[], psutil.Process], wait: Callable[[psutil.Process], None]
    ) -> None:
        """Wait for the process that runs, or for a new one; one that was just killed may look alive for a moment."""
        running = find_running(self.home, name)
        if running:
            with suppress(ProcessEndedError):
                wait(running)
                return
        is_free_soon(self.ports[name])
        wait(start())

    def _start_services(self, services: Sequence[Service], *, wait: bool, settings: Mapping[str, str]) -> None:
        started = {}
        for service in services:
            if not service.is_written:
                continue
            command = [sys.executable, "-m", service.module]
            told = self.environment(service.name, replica=service.replica)
            program = Program(service.process_name, command, _inherited_environment() | told | dict(settings))
            started[program.name] = find_running(self.home, program.name) or start(self.home, program)
        for name, process in started.items() if wait else ():
            is_ready = partial(self._is_ready, name)
            wait_until_ready(self.home, name, process, is_ready, within_s=SERVICE_READY_WITHIN_S)

    def _status_of(self, name: str) -> ProcessStatus:
        if (name == kafka.NAME and external_kafka()) or (name == postgres.NAME and external_postgres()):
            return ProcessStatus(name, "ready" if self._is_ready(name) else "not answering", None)
        port = self.ports.get(name)
        process = find_running(self.home, name)
        if not process:
            return ProcessStatus(name, "stopped", port)
        return ProcessStatus(
            name,
            "ready" if self._is_ready(name) else "not ready",
            port,
            pid=process.pid,
            up_for_s=round(time.time() - process.create_time(), 1),
            memory_mb=process.memory_info().rss // 2**20,
        )

    def _is_ready(self, name: str) -> bool:
        if name == kafka.NAME:
            return answers(AdminClient(self.kafka_admin.client_config()))
        if name == postgres.NAME:
            return postgres.answers(self.postgres_admin_url)
        connection = HTTPConnection("127.0.0.1", self.ports[name], timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


def _inherited_environment() -> dict[str, str]:
    """This process's environment without what only an administrator may know."""
    return {name: value for name, value in os.environ.items() if "_ADMIN_" not in name}
