"""The platform under attack: every process by name, to be killed, paused, stopped and started, and the wires between.

    stage = Stage(folder, families=200)
    await stage.up()
    stage.kill("approval-worker-1")
    await stage.wires["approval-api>postgres"].hang()
    stage.start("approval-worker-1")
    await stage.down()

The brokers are called `kafka-1` to `kafka-3` here, also where there is one.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from pathlib import Path

import psutil
from yijian_embedded.platform import Platform
from yijian_embedded.processes import tail
from yijian_embedded.shape import Shape, remember_shape, wire_port, wired_port
from yijian_examples.records import find_population, write_records

from yijian_chaos.disks import Disks
from yijian_chaos.planted.bugs import BUGS
from yijian_chaos.topology import APIS, FURTHER_PROCESSES, MEMBERS, WIRES, Member, wires_to_postgres
from yijian_chaos.wires import Leg, Switchboard, Wire

POSTGRES = "postgres"
GONE_WITHIN_S = 20.0
# Every process at once on two cores: the last of them is a while in coming.
READY_WITHIN_S = 180.0
LOOK_EVERY_S = 0.2


class StageError(Exception):
    """The platform did not come up; the text says which part."""


class Stage:
    """A platform of its own in `folder` for one run.

    `families` are how many the bureaus know; `planted` is a bug of `planted.bugs`, in the processes that it names.
    Without `wired`, processes dial their servers directly and `wires` is empty. With `on_disks` the data lies on disks
    of its own, which can be full, if the machine allows it (`disks.missing`).
    """

    def __init__(
        self,
        folder: Path,
        *,
        families: int,
        brokers: int = 1,
        planted: str | None = None,
        wired: bool = True,
        on_disks: bool = False,
    ) -> None:
        shape = Shape(brokers=brokers, processes=FURTHER_PROCESSES, wires=WIRES if wired else ())
        self.platform = Platform(folder, shape=shape)
        self.wires: Mapping[str, Wire] = {}
        self.disks = Disks(self.platform.home)
        self._on_disks = on_disks
        self._board = Switchboard()
        self._families = families
        self._planted = BUGS[planted] if planted else None
        brokers_here = tuple(f"kafka-{number}" for number in range(1, brokers + 1))
        self._servers = dict(zip(brokers_here, self.platform.brokers, strict=True))
        self.processes = (*MEMBERS, *brokers_here, POSTGRES)

    # --- all of it ---------------------------------------------------------------------------------------------------

    async def up(self) -> None:
        """Start from nothing: records, topics, databases, wires, every process ready. Raises `StageError`."""
        await asyncio.to_thread(self._start_servers)
        await self._lay_wires()
        for name in MEMBERS:
            await asyncio.to_thread(self.start, name, wait=False)
        await self.ready()

    async def ready(self, *, within_s: float = READY_WITHIN_S) -> None:
        """Wait until every process is ready. Raises `StageError` with the names of those that are not.

        One that is not running will not be ready however long we wait: that is said at once, with its log's end.
        """
        deadline = asyncio.get_running_loop().time() + within_s
        while lacking := [name for name, ready in (await asyncio.to_thread(self.readiness)).items() if not ready]:
            if ended := [name for name in lacking if self.process(name) is None]:
                log = tail(self.platform.home, self._own_name(ended[0]))
                raise StageError(f"not running: {', '.join(ended)}; the log of {ended[0]} closes with:\n{log}")
            if asyncio.get_running_loop().time() > deadline:
                raise StageError(f"not ready after {within_s:.0f} s: {', '.join(lacking)}; logs: {self.logs}")
            await asyncio.sleep(LOOK_EVERY_S)

    async def down(self, *, keep: bool = False) -> None:
        """Stop everything; with `keep` the data stays for whoever looks into it."""
        for name in self.processes:
            # What is paused hears no signal to end.
            self.resume(name)
        await asyncio.to_thread(self.platform.down if keep else self._clean)
        await self._board.stop()

    def _start_servers(self) -> None:
        self._clean()
        write_records(self.platform.home.records, self._families)
        if self._on_disks:
            # The brokers' folder is there before the brokers are: this is no older cluster of another shape.
            remember_shape(self.platform.home, self.platform.shape)
            self.disks.mount()
        self.platform.up(services=False)
        if self._on_disks:
            self.platform.stop_server(POSTGRES)
            self.disks.separate_wal()
            self.platform.start_server(POSTGRES)

    def _clean(self) -> None:
        self.platform.down()
        # Also those that a run which kept its data left.
        self.disks.unmount()
        self.platform.clean()

    async def _lay_wires(self) -> None:
        shape, ports = self.platform.shape, self.platform.ports
        if not shape.wires:
            return
        await self._board.start()
        laid = {}
        for wire in shape.wires:
            legs = [
                Leg(ports[wire_port(wire, broker)], ports[wired_port(wire, broker)]) for broker in self.platform.brokers
            ]
            laid[f"{wire}>kafka"] = await self._board.lay(f"{wire}>kafka", *legs)
        for wire in wires_to_postgres():
            leg = Leg(ports[wire_port(wire, POSTGRES)], ports[POSTGRES])
            laid[f"{wire}>{POSTGRES}"] = await self._board.lay(f"{wire}>{POSTGRES}", leg)
        self.wires = laid

    # --- one process -------------------------------------------------------------------------------------------------

    def start(self, name: str, settings: Mapping[str, str] | None = None, *, wait: bool = True) -> None:
        """Start a process that does not run, with further settings for this once. Raises `PlatformError`."""
        if name not in MEMBERS:
            self.platform.start_server(self._server(name), wait=wait)
            return
        member = MEMBERS[name]
        bug = self._planted if self._planted and name in self._planted.planted_in else None
        self.platform.start_service(
            member.service,
            process=name,
            wait=wait,
            settings={**member.settings, **self._by_wire(member), **(settings or {})},
            runner=("yijian_chaos.planted", bug.name) if bug else (),
        )

    def stop(self, name: str) -> None:
        """Ask a process to end, and wait until it has."""
        if name in MEMBERS:
            self.platform.stop_service(MEMBERS[name].service, process=name)
        else:
            self.platform.stop_server(self._server(name))

    def kill(self, name: str) -> None:
        """SIGKILL; returns when the process is gone. One that does not run stays so."""
        if process := self.process(name):
            process.kill()
            process.wait(GONE_WITHIN_S)

    def pause(self, name: str) -> None:
        """SIGSTOP for the process and its children: they live, and do nothing."""
        process = self.process(name)
        for each in [process, *process.children(recursive=True)] if process else ():
            with suppress(psutil.NoSuchProcess):
                each.suspend()

    def resume(self, name: str) -> None:
        """SIGCONT for the process and its children."""
        process = self.process(name)
        for each in [*process.children(recursive=True), process] if process else ():
            with suppress(psutil.NoSuchProcess):
                each.resume()

    def is_ready(self, name: str) -> bool:
        """Whether the process does its work now."""
        return self.process(name) is not None and self.platform.is_ready(self._own_name(name))

    def readiness(self) -> Mapping[str, bool]:
        """The same for every process at once."""
        with ThreadPoolExecutor(len(self.processes)) as pool:
            return dict(zip(self.processes, pool.map(self.is_ready, self.processes), strict=True))

    # --- where things are --------------------------------------------------------------------------------------------

    def process(self, name: str) -> psutil.Process | None:
        return self.platform.process(self._own_name(name))

    def pid(self, name: str) -> int | None:
        process = self.process(name)
        return process.pid if process else None

    def url(self, name: str) -> str:
        """Where one of our processes answers over HTTP."""
        return self.platform.url(name)

    @property
    def approval_urls(self) -> tuple[str, str]:
        """The two API processes."""
        first, second = APIS
        return self.url(first), self.url(second)

    @property
    def logs(self) -> Path:
        """One file a process, by the platform's names: the first broker's is `kafka.log`."""
        return self.platform.home.logs

    @property
    def today(self) -> date:
        """The day for which the fictitious records were written."""
        population = find_population(self.platform.home.records)
        if population is None:
            raise StageError("the stage was never up")
        return population.today

    def _own_name(self, name: str) -> str:
        """The platform's name of a process."""
        return name if name in MEMBERS else self._server(name)

    def _server(self, name: str) -> str:
        return POSTGRES if name == POSTGRES else self._servers[name]

    def _by_wire(self, member: Member) -> Mapping[str, str]:
        """Its servers' addresses, if there is a wire between."""
        if member.wire is None or not self.platform.shape.wires:
            return {}
        ports = self.platform.ports
        dialled = [ports[wire_port(member.wire, broker)] for broker in self.platform.brokers]
        settings = {"YIJIAN_KAFKA_BOOTSTRAP": ",".join(f"127.0.0.1:{port}" for port in dialled)}
        if member.has_database:
            direct = self.platform.database_url(member.service)
            by_wire = f":{ports[wire_port(member.wire, POSTGRES)]}/"
            settings["YIJIAN_DATABASE_URL"] = direct.replace(f":{ports[POSTGRES]}/", by_wire)
        return settings
