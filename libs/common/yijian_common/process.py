"""The life of a process: open resources, serve HTTP beside the background components, stop within 15 seconds.

Stop order: readiness off, HTTP drains, components one after the other in the order given, resources. Whatever hangs is
cancelled and, if that does not help, left behind: the process ends all the same, with exit code 0.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import structlog
import uvloop
from fastapi import FastAPI
from yijian_messaging.component import Component

from yijian_common import http_server, telemetry
from yijian_common.health import ProcessState
from yijian_common.settings import ProcessSettings, refuse_to_start

log = structlog.get_logger(__name__)

STOP_SECONDS = 14.0
RESOURCES_SECONDS = 2.0
TRACE_SECONDS = 1.0
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0
HEALTHY_SECONDS = 60.0
SETTLED_SECONDS = 5.0


class StartError(Exception):
    """The process cannot begin its work; the text is one sentence that says what to do."""


Parts = tuple[FastAPI, Sequence[Component]]
Build = Callable[[AsyncExitStack], Awaitable[Parts]]
"""Opens what the process needs on the given stack and returns its app and its background components."""


def run(settings: ProcessSettings, build: Build) -> None:
    """Run the process until SIGTERM or SIGINT, then end it; does not return."""
    telemetry.configure(settings)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_live(settings, build))
            _leave(0)
    except StartError as error:
        refuse_to_start(str(error))


async def _live(settings: ProcessSettings, build: Build) -> None:
    stop = asyncio.Event()
    with _listening(settings) as listener, _signals(stop):
        resources = AsyncExitStack()
        parts = await _build(build, resources, stop)
        if parts is None:
            return
        app, components = parts
        await serve(settings, app, components, listener=listener, resources=resources, stop=stop)


async def _build(build: Build, resources: AsyncExitStack, stop: asyncio.Event) -> Parts | None:
    """What `build` opened, or None when the stop came first (it may be waiting for a database that is down)."""

    async def opened() -> Parts:
        return await build(resources)

    task = asyncio.create_task(opened(), name="start")
    await _first(task, stop)
    return await task if task.done() else None


def _leave(code: int) -> None:
    """End now: threads and tasks that were left behind would hold up an ordinary exit."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@contextlib.contextmanager
def _listening(settings: ProcessSettings) -> Iterator[socket.socket]:
    try:
        place = http_server.listening_place(settings.http_host, settings.http_port)
    except OSError as error:
        raise _taken(settings, error) from None
    with place:
        yield place


def _taken(settings: ProcessSettings, error: OSError) -> StartError:
    return StartError(
        f"{settings.service} cannot listen on {settings.http_host}:{settings.http_port} ({error.strerror});"
        " stop the program that uses this port or set YIJIAN_HTTP_PORT to a free one."
    )


@contextlib.contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def serve(
    settings: ProcessSettings,
    app: FastAPI,
    components: Sequence[Component] = (),
    *,
    listener: socket.socket,
    resources: AsyncExitStack,
    stop: asyncio.Event,
) -> None:
    """Serve until `stop` is set, then stop everything in order within `STOP_SECONDS`."""
    state: ProcessState = app.state.process
    state.components = components
    _spare_garbage_collection()
    server = http_server.build_server(settings, app)
    http = asyncio.create_task(server.serve([listener]), name="http")
    loops = [_Loop(component, state) for component in components]
    state.started = True
    log.info("started", port=listener.getsockname()[1], components=[component.name for component in components])
    await _first(http, stop)
    if http.done() and isinstance(error := http.exception(), OSError):
        # Somebody began to listen there after we had taken the port.
        raise _taken(settings, error)

    deadline = asyncio.get_running_loop().time() + STOP_SECONDS
    state.stopping.set()
    await asyncio.sleep(settings.drain_delay_seconds)
    server.should_exit = True
    await _end(http, http_server.STOP_SECONDS)
    for position, loop in enumerate(loops):
        remaining = deadline - RESOURCES_SECONDS - TRACE_SECONDS - asyncio.get_running_loop().time()
        await loop.stop(within=max(remaining / (len(loops) - position), 0.1))
    await _end(asyncio.create_task(resources.aclose(), name="resources"), RESOURCES_SECONDS)
    flush = asyncio.get_running_loop().run_in_executor(None, telemetry.flush_traces, TRACE_SECONDS)
    await asyncio.wait([flush], timeout=TRACE_SECONDS)
    log.info("stopped")


def _spare_garbage_collection() -> None:
    """What was built at start stays; young objects mostly die by reference count, so look for cycles seldom.

    With Python's own thresholds a quarter of a busy process's time went into looking.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def _first(task: asyncio.Task[Any], stop: asyncio.Event) -> None:
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def _end(task: asyncio.Task[None], seconds: float) -> None:
    """Wait for `task`; cancel it when it takes too long, and leave it behind when even that does not end it."""
    await asyncio.wait([task], timeout=seconds)
    if not task.done():
        log.warning("cancelled, took too long to stop", task=task.get_name())
        task.cancel()
        await asyncio.wait([task], timeout=0.2)
    if task.done() and not task.cancelled() and (error := task.exception()) is not None:
        log.error("failed while stopping", task=task.get_name(), exc_info=error)


class _Loop:
    """A component under supervision: an error restarts it after a growing pause and shows in /readyz meanwhile."""

    def __init__(self, component: Component, state: ProcessState) -> None:
        self._component = component
        self._state = state
        self._stopping = asyncio.Event()
        self._task = asyncio.create_task(self._supervise(), name=component.name)

    async def stop(self, *, within: float) -> None:
        self._stopping.set()
        await _end(self._task, within)

    async def _supervise(self) -> None:
        backoff = FIRST_BACKOFF_SECONDS
        clock = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            began = clock()
            await self._run_once()
            if clock() - began > HEALTHY_SECONDS:
                backoff = FIRST_BACKOFF_SECONDS
            if not self._stopping.is_set():
                await self._pause(backoff)
                backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)

    async def _run_once(self) -> None:
        name = self._component.name
        settled = asyncio.get_running_loop().call_later(SETTLED_SECONDS, self._state.crashes.pop, name, None)
        try:
            await self._component.run(self._stopping)
            reason = "it ended without being asked to"
        except Exception as error:  # supervision is what this is for
            reason = f"it failed with {type(error).__name__}"
            log.exception("component failed", component=name)
        finally:
            settled.cancel()
        if not self._stopping.is_set():
            self._state.crashes[name] = f"{reason}; it is started again"
            telemetry.COMPONENT_CRASHES.labels(name).inc()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
