"""`yijian chaos`: attack a platform of one's own and judge whether anything was lost."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from yijian_chaos import report
from yijian_chaos.planted.bugs import BUGS
from yijian_chaos.profiles import PROFILES
from yijian_chaos.run import CHAOS, Order, Result, run_until_stopped
from yijian_chaos.stage import StageError
from yijian_embedded.errors import PlatformError

from yijian_cli.output import AsJson, console, errors, print_json, stopped

app = typer.Typer()


@app.command()
def chaos(  # noqa: PLR0913 - each is an option of the command
    *,
    profile: Annotated[str, typer.Option(help=f"How much: {', '.join(PROFILES)}.")] = "standard",
    seed: Annotated[
        int | None, typer.Option(min=0, help="Repeats what a run left to chance; drawn if not given.")
    ] = None,
    brokers: Annotated[int | None, typer.Option(help="1 or 3, instead of the profile's.")] = None,
    duration: Annotated[float | None, typer.Option(min=30, help="Seconds of load, instead of the profile's.")] = None,
    no_faults: Annotated[bool, typer.Option("--no-faults", help="The same load, and nobody attacks.")] = False,
    planted: Annotated[str | None, typer.Option(help="Plant one of the known bugs, to see it caught.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the data and the snapshot even if all is well.")] = False,
    folder: Annotated[Path, typer.Option(help="Where the platform keeps its data, and runs their evidence.")] = CHAOS,
    as_json: AsJson = False,
) -> None:
    """Attack a platform under load, in a folder of its own, and judge what became of what it accepted.

    Ends with 1 when anything at all was violated; then data, logs and history are kept, and the report says where.
    """
    order = replace(_order(profile, seed), planted=_known(planted), keep=keep, folder=folder.resolve())
    chosen = order.profile
    if brokers is not None:
        if brokers not in (1, 3):
            raise typer.BadParameter("--brokers takes 1 or 3")
        chosen = replace(chosen, brokers=brokers)
    if duration is not None:
        chosen = chosen.lasting(duration)
    if no_faults:
        chosen = chosen.without_faults()
    result = _run(replace(order, profile=chosen))
    if result is None:
        raise stopped()
    report.write(result)
    if as_json:
        print_json(report.as_dict(result))
    else:
        report.show(result, console)
    if not result.ok:
        raise typer.Exit(1)


def _order(profile: str, seed: int | None) -> Order:
    if profile not in PROFILES:
        raise typer.BadParameter(f"--profile takes one of {', '.join(PROFILES)}")
    chosen = random.SystemRandom().randrange(10**6) if seed is None else seed
    return Order(profile=PROFILES[profile], seed=chosen)


def _known(planted: str | None) -> str | None:
    if planted is not None and planted not in BUGS:
        raise typer.BadParameter(f"--planted takes one of {', '.join(BUGS)}")
    return planted


def _run(order: Order) -> Result | None:
    try:
        return run_until_stopped(order, lambda line: errors.print(line, highlight=False, markup=False, soft_wrap=True))
    except StageError as error:
        # As the other commands end when the platform does not come up: with one sentence.
        raise PlatformError(str(error)) from error
