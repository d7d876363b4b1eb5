"""How a command says what it found: a table for people, JSON for machines, one sentence when it cannot."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any, ClassVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup
from yijian_embedded.errors import PlatformError

WIDTH = 120


def _console(*, stderr: bool) -> Console:
    """Without a terminal nobody's width is known, so a log gets one that holds a table."""
    made = Console(stderr=stderr)
    return made if made.is_terminal or "COLUMNS" in os.environ else Console(stderr=stderr, width=WIDTH)


console = _console(stderr=False)
errors = _console(stderr=True)

INTERRUPTED = 130

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")]


class Commands(TyperGroup):
    """Ends a command that cannot go on with its one sentence instead of a stack of frames.

    `on_demand` names further commands and groups as `module:name`; the module is loaded when one is asked for, because
    the engine behind some of them takes longer to load than most commands take to run.
    """

    on_demand: ClassVar[Mapping[str, str]] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *self.on_demand]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.on_demand:
            return super().get_command(ctx, cmd_name)
        module, _, name = self.on_demand[cmd_name].partition(":")
        found = getattr(import_module(module), name)
        command = typer.main.get_command(found if isinstance(found, typer.Typer) else _alone(found))
        command.name = cmd_name
        return command

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PlatformError as error:
            errors.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(1) from error


def _alone(function: Callable[..., None]) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return app


def stopped() -> typer.Exit:
    """How a command ends that somebody asked to stop, when all that it had started is gone."""
    errors.print("Stopped; nothing is left running.")
    return typer.Exit(INTERRUPTED)


def print_json(value: object) -> None:
    """One JSON document on stdout, in whatever encoding the terminal has."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table of plain text whose first column is never cut."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console.print(table)
