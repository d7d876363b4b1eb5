"""`yijian demo`: one birth application through seven departments, live, from nothing to nothing."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Annotated

import typer
from approval.schemas import ApplicationOut
from yijian_contracts.departments import departments
from yijian_embedded.errors import PlatformError
from yijian_embedded.platform import Platform
from yijian_examples.records import Population

from yijian_cli import pages, wording
from yijian_cli.applications import api_for
from yijian_cli.approval_api import ApprovalApi
from yijian_cli.demo_loop import close_the_loop
from yijian_cli.following import show_live
from yijian_cli.output import console
from yijian_cli.pace import PAUSE_S, unhurried
from yijian_cli.platform import this_platform
from yijian_cli.population import Filled, application_of, ensure_population, standard_families

LIFE_EVENT = "birth"
TIMELINE = "时间线：谁做了什么"
STOPPED_BY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def demo(
    *,
    full_speed: Annotated[
        bool, typer.Option("--full-speed", help="Let the departments decide at once: it is over in a moment.")
    ] = False,
) -> None:
    """Watch one birth application go through seven departments. Leaves running only what ran before."""
    platform = this_platform()
    console.print("一件 · 出生一件事", style="bold")
    with _signals_end_it(), _at_work(platform) as population:
        with nullcontext(False) if full_speed else unhurried(platform.home) as slowed:
            if slowed:
                _say(f"  为便于观看，演示中每个部门收到事项后停 {PAUSE_S} 秒再办理（--full-speed 不停）。", "dim")
            api, filled = _next_family(population)
            application = _show(api, filled)
        _tell(api, application)
        if application.outcome == "ALL_GRANTED":
            close_the_loop(platform, application, filled.account)
        _where_next(platform)
    if application.outcome != "ALL_GRANTED":
        raise PlatformError(f"Not every matter was granted: the reasons are above, the logs in {platform.home.logs}.")


@contextmanager
def _at_work(platform: Platform) -> Iterator[Population]:
    """The platform up; afterwards it is as it was before."""
    before = {status.name for status in platform.status() if status.pid is not None}
    try:
        with _step("虚构的居民和各部门的登记信息", "Writing fictitious records"):
            population = ensure_population(platform.home)
        with _step(f"Kafka、Postgres、一件平台、身份认证和{len(departments())}个部门的系统", "Starting everything"):
            platform.up()
        yield population
    finally:
        with _undisturbed():
            _restore(platform, before)


def _restore(platform: Platform, before: set[str]) -> None:
    """Stop what was not running before."""
    if not before:
        with _step("已停止，没有留下任何进程", "Stopping"):
            platform.down()
        return
    for status in platform.status():
        if status.state != "stopped" and status.name not in before | {"kafka", "postgres"}:
            platform.stop_service(status.name)
    _say("\nThe platform was up before and stays up; `make down` stops it.", "dim")


def _next_family(population: Population) -> tuple[ApprovalApi, Filled]:
    """The first family that has no application yet: what one handed in before stays handed in."""
    for n in standard_families(population):
        filled = application_of(n, population)
        api = api_for(filled.account, approval_url=None, identity_url=None, token=None)
        if not api.applications().items:
            return api, filled
    raise PlatformError("Every fictitious family has applied already: `make clean` begins anew.")


def _show(api: ApprovalApi, filled: Filled) -> ApplicationOut:
    mother = filled.form["mother"]["name"]
    _say(f"  以{mother}（虚构，账号 {filled.account}）的身份登录，提交出生一件事申请")
    words = api.words_of_others(LIFE_EVENT, filled.form)
    accepted = api.submit(LIFE_EVENT, filled.form, authorisations=words)
    _say(f"  已受理，申请编号 {accepted.id}，承诺 {wording.day_and_time(accepted.due_at)} 前办结")
    console.print("" if console.is_terminal else pages.heading(TIMELINE))
    return show_live(api, accepted.id, console=console)


def _tell(api: ApprovalApi, application: ApplicationOut) -> None:
    """What came of it. Without a terminal the timeline was told already, and the table comes now."""
    if not console.is_terminal:
        console.print(pages.progress_table(application))
    console.print(f"\n{wording.summary(application)}", style="bold green", highlight=False)
    console.print(pages.documents(application))
    if console.is_terminal:
        console.print(pages.timeline(TIMELINE, api.timeline(application.id), application))
    console.print(pages.disclosures(application, api.form_schema(application.life_event)))


def _say(text: str, style: str = "") -> None:
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def _where_next(platform: Platform) -> None:
    console.print(pages.heading("Where to look next"))
    for command, what in (
        ("make up", f"keeps it running; then {platform.url('approval')}/docs is the API, with every call to try"),
        ("yijian status", "every process, its address and memory; `yijian topics` shows what Kafka holds"),
        ("yijian apply examples/birth/twins.json --watch", "twins, and other stories in examples/README.md"),
        ("yijian life-event check services/approval/approval/life_events/birth.yaml", "the graph that just ran"),
        ("ARCHITECTURE.md, docs/", "how it works, and why it is built like this"),
    ):
        console.print(f"  [cyan]{command}[/cyan]\n      {what}", highlight=False, soft_wrap=True)
    _say(f"  Logs: {platform.home.logs}", "dim")


@contextmanager
def _step(done: str, doing: str) -> Iterator[None]:
    """Something that takes a while: what is being done, then that it is done and how long it took."""
    began = time.monotonic()
    if console.is_terminal:
        with console.status(f"{doing} …"):
            yield
    else:
        console.print(f"  {doing} …")
        sys.stdout.flush()
        yield
    console.print(f"  [green]✓[/green] {done} [dim]{time.monotonic() - began:.1f} s[/dim]", highlight=False)


@contextmanager
def _signals_end_it() -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal end the demo by way of everything that has to be undone."""

    def end(number: int, _: FrameType | None) -> None:
        _say("\nStopping, as soon as what is just being started can be stopped …", "dim")
        raise SystemExit(128 + number)

    handlers = {number: signal.signal(number, end) for number in STOPPED_BY}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """While things are put back, a second Ctrl-C does not leave half of them behind."""
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in STOPPED_BY}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
