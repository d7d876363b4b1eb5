"""`yijian bench`: measure the whole pipeline on this machine."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from yijian_bench import overload as pressing
from yijian_bench.main import run, show_or_dump
from yijian_bench.plan import Plan
from yijian_embedded.home import CHECKOUT
from yijian_embedded.stopping import run_until_stopped

from yijian_cli.output import AsJson, console, errors, print_json, stopped

app = typer.Typer()
QUICK = Plan(applications=500, saturations=1, warm_up=200, steady_seconds=15, stored=(0,), replicas=False)
HOME = CHECKOUT / ".yijian" / "bench"


@app.command()
def bench(
    *,
    quick: Annotated[bool, typer.Option(help="A minute's look instead of the whole measurement.")] = False,
    applications: Annotated[int, typer.Option(min=50, help="Applications for each measurement at saturation.")] = 2000,
    baselines: Annotated[
        bool, typer.Option(help="Also measure the floor, one message at a time, and second replicas.")
    ] = True,
    stored: Annotated[
        str, typer.Option(help="Sizes to measure at: the first alone, each later one in turn with the first.")
    ] = "0,100000",
    pairs: Annotated[int, typer.Option(min=1, help="Turns of both platforms at each later size.")] = 4,
    overload: Annotated[
        int, typer.Option(min=0, help="Instead of the measurement: seconds of twice the load that saturates it.")
    ] = 0,
    folder: Annotated[Path, typer.Option(help="Where the platform under measurement keeps its data.")] = HOME,
    as_json: AsJson = False,
) -> None:
    """Measure applications per second, latency and CPU time, in a platform of its own that is removed afterwards.

    HTTP in, tokens, encryption, Kafka, seven departments, Postgres with fsync: everything is on. Beside it, in the
    same run, the same programs take one message at a time.
    """
    if overload:
        _overload(folder, overload, as_json=as_json)
        return
    plan = QUICK if quick else Plan(applications=applications, stored=_sizes(stored), pairs=pairs)
    if not baselines:
        plan = replace(plan, floor=False, naive=False, replicas=False)
    # Progress goes to stderr, so that --json leaves nothing but JSON on stdout.
    results = run_until_stopped(run(folder, plan, errors))
    if results is None:
        raise stopped()
    show_or_dump(results, console, as_json=as_json)


def _overload(folder: Path, seconds: int, *, as_json: bool) -> None:
    found = run_until_stopped(pressing.run(folder, pressing.Plan(seconds=seconds), errors))
    if found is None:
        raise stopped()
    if as_json:
        print_json(asdict(found))
    else:
        pressing.show(found, console)


def _sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(part) for part in text.replace("_", "").split(","))
    except ValueError:
        raise typer.BadParameter("--stored takes whole numbers separated by commas, such as 0,10000") from None
    if list(sizes) != sorted(set(sizes)) or min(sizes) < 0:
        raise typer.BadParameter("--stored takes ascending sizes, since applications are only ever added")
    return sizes
