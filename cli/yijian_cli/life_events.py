"""`yijian life-event`: whether a life event's file is right, and what it makes happen."""

from pathlib import Path
from typing import Annotated

import typer
from approval.drawing import draw
from approval.life_event import load_life_event
from approval.life_event_checks import LifeEventError
from yijian_embedded.errors import PlatformError

from yijian_cli.output import AsJson, console, print_json

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Life events: the files that say what one application asks of whom.",
)


@app.callback()
def life_event() -> None:
    """Keeps `check` a command of its own while it is the only one."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A life event, e.g. services/approval/approval/life_events/birth.yaml.")],
    *,
    setting: Annotated[
        list[str] | None, typer.Option(help="A city's choice as NAME=VALUE, e.g. med_insurance_key=BIRTH_CERT.")
    ] = None,
    production: Annotated[
        bool, typer.Option("--production", help="Refuse places of the fictitious region 99.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Draw its graph when it is right; otherwise every mistake with its line and how to mend it, and exit 1."""
    settings = _settings(setting or [])
    try:
        loaded = load_life_event(file, settings_overrides=settings, allow_fictitious=not production)
    except LifeEventError as error:
        if as_json:
            print_json({"right": False, "problems": list(error.problems)})
        else:
            console.print("\n".join(error.problems), markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    except OSError as error:
        raise PlatformError(f"{file} cannot be read: {error.strerror}.") from None
    if as_json:
        print_json({"right": True, "code": loaded.code, "digest": loaded.digest, "drawing": draw(loaded)})
        return
    console.print(draw(loaded), markup=False, highlight=False, soft_wrap=True, end="")


def _settings(given: list[str]) -> dict[str, str]:
    settings = dict(text.partition("=")[::2] for text in given)
    if any("=" not in text for text in given):
        raise PlatformError("A setting has the form NAME=VALUE.")
    return settings
