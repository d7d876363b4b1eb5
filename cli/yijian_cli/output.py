"""How a command says what it found: a table for people, JSON for machines, one sentence when it cannot."""

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any, ClassVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup
from yijian_embedded.errors import PlatformError

console = Console()
errors = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")]


class Commands(TyperGroup):
    """Ends a command that cannot go on with its one sentence instead of a stack of frames.

    `on_demand` names groups by the module that holds their `app`; it is loaded when the group is asked for, because
    the engine behind some of them takes longer to load than most commands to run.
    """

    on_demand: ClassVar[Mapping[str, str]] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *self.on_demand]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in self.on_demand:
            command = typer.main.get_command(import_module(self.on_demand[cmd_name]).app)
            command.name = cmd_name
            return command
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PlatformError as error:
            errors.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(1) from error


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
