"""A small service that the process tests start, break and stop. Behaviour is chosen by SAMPLE_* variables."""

import asyncio
import os
from contextlib import AsyncExitStack

from fastapi import APIRouter
from yijian_common.app import create_app
from yijian_common.process import Parts, StartError, run
from yijian_common.settings import ProcessSettings, load_settings
from yijian_messaging.component import Component

router = APIRouter()


@router.get("/slow")
async def slow() -> str:
    await asyncio.sleep(1.5)
    return "done"


class Orderly:
    """Says when it was asked to stop and when it ended."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def run(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        print(f"{self.name} stopping", flush=True)  # noqa: T201 - what the test reads
        await asyncio.sleep(0.1)
        print(f"{self.name} ended", flush=True)  # noqa: T201 - the test reads it

    def problem(self) -> str | None:
        return None


class Hanging(Orderly):
    """Like a client of a broker that is gone: deaf to stopping and to being cancelled."""

    async def run(self, _: asyncio.Event) -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                print(f"{self.name} ignores the stop", flush=True)  # noqa: T201 - the test reads it


class Crashing(Orderly):
    """Fails at once, the first two times."""

    runs = 0

    async def run(self, stopping: asyncio.Event) -> None:
        self.runs += 1
        if self.runs <= 2:
            raise ConnectionError("990101199001010019")
        await super().run(stopping)


KINDS = {"orderly": Orderly, "hanging": Hanging, "crashing": Crashing}


async def ready() -> str | None:
    return os.environ.get("SAMPLE_NOT_READY")


async def build(resources: AsyncExitStack) -> Parts:
    if os.environ.get("SAMPLE_REFUSES"):
        raise StartError("the sample cannot start; give it what it needs.")
    resources.callback(print, "resources closed", flush=True)
    named = os.environ.get("SAMPLE_COMPONENTS", "").split()
    components: list[Component] = [KINDS[kind](f"{kind}-{place}") for place, kind in enumerate(named)]
    return create_app(settings, title="Sample", routers=[router], ready=ready), components


if __name__ == "__main__":
    settings = load_settings(ProcessSettings)
    run(settings, build)
