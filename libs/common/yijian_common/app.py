"""The shell of every HTTP server here: errors, limits, health, metrics, traces and docs are the same everywhere.

Resources (pools, clients) are opened and closed by `process.run`, so an app has no lifespan of its own.
"""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig

from yijian_common import docs_page, health, problem_pages
from yijian_common.access import Access
from yijian_common.admission import Admission
from yijian_common.body_guard import BodyGuard
from yijian_common.errors import Problem
from yijian_common.health import ProcessState, Ready
from yijian_common.problem_pages import Translation
from yijian_common.settings import ProcessSettings, Role

__all__ = ["create_app"]

# FastAPI's own spans hold paths and queries, its logs the texts of exceptions, and both would begin a second trace:
# what is observed of a request is `Access`'s to say.
NO_TELEMETRY_OF_ITS_OWN: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def _no_translation(_: Exception) -> Problem | None:
    return None


def create_app(
    settings: ProcessSettings,
    *,
    title: str,
    routers: Sequence[APIRouter],
    ready: Ready,
    translate: Translation = _no_translation,
    version: str = "0.1.0",
) -> FastAPI:
    """A FastAPI application with `routers` (only when the process plays the api role) and the common endpoints.

    `ready` says why no work can be accepted (None when it can); `translate` maps errors of the infrastructure to
    problems (`database.problem_of`). Handlers find their resources on `request.app.state`.
    """
    app = FastAPI(
        title=title,
        version=version,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY_OF_ITS_OWN,
    )
    app.state.settings = settings
    app.state.process = ProcessState(ready=ready, serves_api=settings.plays(Role.API))
    problem_pages.register(app)
    app.include_router(health.routes)
    app.include_router(problem_pages.pages)
    if not settings.in_production:
        app.include_router(docs_page.routes)
    if settings.plays(Role.API):
        for router in routers:
            app.include_router(router)
    # Behind the guard: whose body dribbles in takes nobody's place.
    app.add_middleware(Admission)
    app.add_middleware(BodyGuard, limit_bytes=settings.body_limit_bytes)
    app.add_middleware(Access, translate=translate)  # added last, so outermost
    return app
