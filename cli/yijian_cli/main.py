"""`yijian`: one command per thing that somebody wants done, each in the module of its group."""

from collections.abc import Mapping
from typing import ClassVar

import typer

from yijian_cli import applications, dead_letters, demo, doctor, incidents, platform, provision, topics
from yijian_cli.output import Commands


class Yijian(Commands):
    """The commands that work with approval's engine, or measure it."""

    on_demand: ClassVar[Mapping[str, str]] = {
        "bench": "yijian_cli.bench",
        "life-event": "yijian_cli.life_events",
        "tasks": "yijian_cli.tasks",
    }


app = typer.Typer(
    cls=Yijian,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="Yijian, one application for a life event: run the platform on this machine and look into it.",
)

app.command()(demo.demo)
app.command()(platform.up)
app.command()(platform.down)
app.command()(platform.status)
app.command()(platform.clean)
app.command()(doctor.doctor)
app.command()(topics.topics)
app.command()(provision.provision)
app.command()(applications.apply)
app.command()(applications.watch)
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(incidents.app, name="incidents")
