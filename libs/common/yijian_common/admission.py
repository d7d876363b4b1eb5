"""Who is let in: no more than can be answered soon. Everybody else is told at once to come back.

Without it, requests that come faster than they are answered wait in the event loop, where each makes all of them slower
until every client has given up and the work was for nothing. What is counted is who waits for an answer, and how long
those who came before have waited already: that holds on any machine, whatever a request costs there.
"""

import time
from collections.abc import Callable
from itertools import islice

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from yijian_common.errors import Problem, ServiceUnavailable
from yijian_common.problem_pages import respond
from yijian_common.telemetry import HTTP_TURNED_AWAY

AT_ONCE = 256
ALWAYS = 32
LONG_SECONDS = 0.75
STUCK_SHARE = 4

WATCHED: frozenset[str] = frozenset({"/livez", "/readyz", "/startupz", "/metrics"})


class Admission:
    """Pure ASGI middleware. Lets in `AT_ONCE` requests, or fewer where they wait longer than `LONG_SECONDS`.

    A quarter of them may be stuck, each for a reason of its own, without anybody else being turned away, and `ALWAYS`
    requests are let in whatever happens. An answer that has begun, such as a stream, waits no more. Health and metrics
    are always answered.
    """

    def __init__(self, app: ASGIApp, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._waiting: dict[object, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in WATCHED:
            await self._app(scope, receive, send)
            return
        if (problem := self._problem()) is not None:
            HTTP_TURNED_AWAY.inc()
            await respond(problem)(scope, receive, send)
            return
        place = object()
        self._waiting[place] = self._clock()

        async def answering(message: Message) -> None:
            self._waiting.pop(place, None)
            await send(message)

        try:
            await self._app(scope, receive, answering)
        finally:
            self._waiting.pop(place, None)

    def _problem(self) -> Problem | None:
        count = len(self._waiting)
        if count < ALWAYS:
            return None
        if count >= AT_ONCE or self._clock() - self._since(count // STUCK_SHARE) > LONG_SECONDS:
            return ServiceUnavailable("现在办理的人很多，请稍候再试。")
        return None

    def _since(self, place: int) -> float:
        """When the one at this place in the queue came; the first came first."""
        return next(islice(self._waiting.values(), place, None))
