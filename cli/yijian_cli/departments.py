"""`yijian department`: what somebody needs who writes a department's program, in the place of ours or beside it."""

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from confluent_kafka.admin import AdminClient
from yijian_contracts.departments import departments
from yijian_embedded.errors import PlatformError
from yijian_embedded.home import make_private_folder
from yijian_embedded.java import compile_java, java_command
from yijian_embedded.kafka_access import answers
from yijian_embedded.platform import Platform

from yijian_cli.department_asking import Sending, read_task
from yijian_cli.department_asking import ask as ask_department
from yijian_cli.output import AsJson, console, print_json
from yijian_cli.platform import this_platform

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Run a department by a program of your own: its environment, and ours out of the way.",
)

Code = Annotated[str, typer.Argument(metavar="DEPARTMENT", help="The department's code, e.g. disease-control.")]


@app.command()
def env(code: Code, *, as_json: AsJson = False) -> None:
    """What a department's program is told: where Kafka is, its own password there, its store and keys.

    For a shell: eval "$(yijian department env disease-control)".
    """
    told = this_platform().environment(_known(code))
    if as_json:
        print_json(told)
        return
    for name, value in told.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@app.command()
def stop(code: Code, *, as_json: AsJson = False) -> None:
    """Stop the department's program; tasks wait for it in Kafka."""
    platform = this_platform()
    was_running = platform.process(_known(code)) is not None
    platform.stop_service(code)
    if as_json:
        print_json({"department": code, "stopped": was_running})
        return
    console.print(f"{code} is stopped; `yijian department start {code}` starts it again.", highlight=False)


@app.command()
def start(code: Code, *, as_json: AsJson = False) -> None:
    """Start the department's own program, and wait until it is ready."""
    platform = _up()
    platform.start_service(_known(code))
    if as_json:
        print_json({"department": code, "started": True})
        return
    console.print(f"{code} is at work.", highlight=False)


@app.command()
def java(
    code: Code,
    source: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A Java file; its class has its name.")],
) -> None:
    """Compile a Java file and run it in the department's place until Ctrl-C; its one argument is a folder to keep."""
    platform = _up()
    folder = make_private_folder(platform.home.folder / "java" / _known(code))
    classes = make_private_folder(folder / "classes")
    compile_java(platform.home, source, into=classes)
    platform.stop_service(code)
    console.print(f"{source.name} is {code} now and keeps what it knows in {folder}. Ctrl-C ends it.", soft_wrap=True)
    console.print(f"`yijian department start {code}` brings our own program back.", highlight=False)
    console.print("Kafka waits up to 20 seconds for that one to come back before another may read.", highlight=False)
    # This process becomes the program: what is said to the one is said to the other, and nothing is left behind.
    command = java_command(platform.home, source.stem, str(folder), classes=classes)
    sys.stdout.flush()
    os.execve(command[0], command, platform.environment(code))  # noqa: S606 - our own words


@app.command()
def ask(
    code: Code,
    task: Annotated[Path, typer.Argument(help="The value of a TaskRequested (or TaskCancelled), as JSON.")],
    *,
    times: Annotated[int, typer.Option(min=1, help="Send it so many times.")] = 1,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel the task of this file.")] = False,
    structured: Annotated[bool, typer.Option("--structured", help="In CloudEvents' structured mode.")] = False,
    major: Annotated[int, typer.Option(help="The major version that its type names.")] = 1,
    wait: Annotated[float, typer.Option(help="Listen for so many seconds.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Send a task as approval would, and print what the department's program says about it; 1 if it says nothing."""
    sending = Sending(cancel=cancel, times=times, structured=structured, major=major)
    said = ask_department(_up(), _known(code), read_task(task), sending=sending, within=wait)
    if as_json:
        print_json(said)
    for record in () if as_json else said:
        console.print(f"{record['ce_type']}  {record['ce_id']}", highlight=False, soft_wrap=True)
        console.print_json(data=record["data"])
    if not said:
        raise PlatformError(f"{code} said nothing about this task within {wait:g} s")


def _known(code: str) -> str:
    if code not in departments():
        raise PlatformError(f"no department is called {code!r}: they are {', '.join(departments())}")
    return code


def _up() -> Platform:
    platform = this_platform()
    if not answers(AdminClient(platform.kafka_admin.client_config())):
        raise PlatformError("Kafka does not answer: run `yijian up` first")
    return platform
