"""`yijian`: one command per thing that somebody wants done, each in the module of its group."""

from collections.abc import Mapping
from typing import ClassVar

import typer

from yijian_cli import departments, doctor, platform, provision, topics
from yijian_cli.output import Commands


class Yijian(Commands):
    """What speaks of applications, and so needs approval's engine, or measures it."""

    on_demand: ClassVar[Mapping[str, str]] = {
        "demo": "yijian_cli.demo:demo",
        "apply": "yijian_cli.applications:apply",
        "watch": "yijian_cli.applications:watch",
        "wallet": "yijian_cli.wallet:wallet",
        "life-event": "yijian_cli.life_events:app",
        "tasks": "yijian_cli.tasks:app",
        "dead-letters": "yijian_cli.dead_letters:app",
        "incidents": "yijian_cli.incidents:app",
        "keys": "yijian_cli.keys:app",
        "ledger": "yijian_cli.ledger:app",
        "backup": "yijian_cli.backup:app",
        "restore": "yijian_cli.restore:app",
        "reconcile": "yijian_cli.reconcile:reconcile",
        "grow": "yijian_cli.growing:grow",
        "figures": "yijian_cli.figures:app",
        "bench": "yijian_cli.bench:app",
        "chaos": "yijian_cli.chaos:app",
    }


app = typer.Typer(
    cls=Yijian,
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
app.add_typer(departments.app, name="department")
