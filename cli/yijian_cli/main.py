"""`yijian`: one command per thing that somebody wants done, each in the module of its group."""

import typer

from yijian_cli import doctor, platform, provision, topics
from yijian_cli.output import Commands

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="Yijian, one application for a life event: run the platform on this machine and look into it.",
)

app.command()(platform.up)
app.command()(platform.down)
app.command()(platform.status)
app.command()(platform.clean)
app.command()(doctor.doctor)
app.command()(topics.topics)
app.command()(provision.provision)
