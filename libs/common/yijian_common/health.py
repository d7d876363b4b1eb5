"""What a process says about itself: /livez, /readyz, /startupz and /metrics.

Ready means that the process can accept work: its own database answers and it is not stopping. Neither Kafka nor another
service is part of that; what background loops suffer from is shown beside it. A process without the api role lives by
its progress: it is dead when a loop has made none for `STUCK_SECONDS`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from yijian_messaging.component import Component

STUCK_SECONDS = 600
READY_SECONDS = 2

Ready = Callable[[], Awaitable[str | None]]
"""Says in one sentence why no work can be accepted, or None when it can."""


@dataclass(slots=True)
class ProcessState:
    """The one place where a process's life is known; `app.state.process`. `stopping` ends long answers (streams)."""

    ready: Ready
    serves_api: bool
    components: Sequence[Component] = ()
    started: bool = False
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    problem_since: dict[str, float] = field(default_factory=dict)
    crashes: dict[str, str] = field(default_factory=dict)

    def component_problems(self) -> dict[str, str]:
        """Why each loop without progress makes none, by its name."""
        found = {}
        for component in self.components:
            problem = self.crashes.get(component.name) or component.problem()
            if problem is None:
                self.problem_since.pop(component.name, None)
            else:
                self.problem_since.setdefault(component.name, time.monotonic())
                found[component.name] = problem
        return found

    def stuck(self) -> list[str]:
        """The loops without progress for too long."""
        now = time.monotonic()
        self.component_problems()
        return [name for name, since in self.problem_since.items() if now - since > STUCK_SECONDS]

    async def not_ready_because(self) -> str | None:
        if self.stopping.is_set():
            return "stopping"
        if not self.started:
            return "starting"
        try:
            async with asyncio.timeout(READY_SECONDS):
                return await self.ready()
        except Exception as error:  # noqa: BLE001 - whatever keeps us from asking keeps us from working
            return f"the readiness check failed: {type(error).__name__}"


routes = APIRouter(include_in_schema=False)


def _state(request: Request) -> ProcessState:
    state: ProcessState = request.app.state.process
    return state


def _answer(ok: bool, **details: object) -> Response:
    return JSONResponse({"ok": ok, **details}, status_code=200 if ok else 503, headers={"Cache-Control": "no-store"})


@routes.get("/livez")
async def live(request: Request) -> Response:
    state = _state(request)
    stuck = [] if state.serves_api else state.stuck()
    return _answer(not stuck, stuck=stuck)


@routes.get("/readyz")
async def ready(request: Request) -> Response:
    state = _state(request)
    reason = await state.not_ready_because()
    return _answer(reason is None, reason=reason, components=state.component_problems())


@routes.get("/startupz")
async def started(request: Request) -> Response:
    return _answer(_state(request).started)


@routes.get("/metrics")
async def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
