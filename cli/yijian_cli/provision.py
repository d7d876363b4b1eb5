"""`yijian provision`: topics, users, rights and databases as the catalogue says."""

from dataclasses import asdict
from typing import Annotated

import typer

from yijian_cli.output import AsJson, console, print_json
from yijian_cli.platform import this_platform


def provision(
    *,
    rotate: Annotated[
        str | None, typer.Option(help="Give this principal or service a new password, e.g. department.health.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make Kafka and Postgres what the catalogue says: run it after adding a department, or to change a password."""
    done = this_platform().provision(rotated=rotate)
    if as_json:
        print_json(asdict(done) | {"rotated": rotate})
        return
    console.print(
        f"All there: {len(done.topics)} topics, {len(done.principals)} principals, {len(done.databases)} databases."
    )
    if done.changed_topics:
        console.print(f"Topics made or corrected: {', '.join(done.changed_topics)}.")
    if done.withdrawn_rights:
        console.print(f"Rights taken away: {', '.join(done.withdrawn_rights)}.", markup=False)
    if rotate:
        console.print(f"{rotate} has a new password; restart it with `yijian down` and `yijian up`.", markup=False)
