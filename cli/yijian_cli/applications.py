"""`yijian apply | watch`: hand in an application and follow it, as a resident."""

import json
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from yijian_embedded.errors import PlatformError
from yijian_examples.records import find_population

from yijian_cli import pages, wording
from yijian_cli.approval_api import ApprovalApi, Tokens
from yijian_cli.following import follow, show_live
from yijian_cli.output import AsJson, console
from yijian_cli.platform import this_platform
from yijian_cli.population import Filled, find_example

FIRST_MOTHER = "mother-000001"

Account = Annotated[str | None, typer.Option("--as", help="The fictitious person's account, e.g. mother-000001.")]
ApprovalUrl = Annotated[str | None, typer.Option(envvar="YIJIAN_APPROVAL_URL", help="Another platform's approval.")]
IdentityUrl = Annotated[str | None, typer.Option(envvar="YIJIAN_IDENTITY_URL", help="Another platform's identity.")]
Token = Annotated[
    str | None, typer.Option(envvar="YIJIAN_TOKEN", help="An access token, instead of the development login.")
]


def apply(  # noqa: PLR0913 - the options of a command
    file: Annotated[Path, typer.Argument(help="The filled-in form as JSON, e.g. examples/birth/twins.json.")],
    *,
    account: Account = None,
    life_event: Annotated[str, typer.Option(help="Which life event the form is of.")] = "birth",
    alone: Annotated[
        bool, typer.Option("--alone", help="Without the other parent's word, so that they are asked afterwards.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it is over.")] = False,
    approval_url: ApprovalUrl = None,
    identity_url: IdentityUrl = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Hand in an application."""
    filled = read_application(file, account=account)
    if filled.note and not as_json:
        console.print(filled.note, style="dim")
    api = api_for(filled.account, approval_url=approval_url, identity_url=identity_url, token=token)
    words = [] if alone else api.words_of_others(life_event, filled.form)
    accepted = api.submit(life_event, filled.form, authorisations=words)
    if as_json:
        print_line({"accepted": accepted.model_dump(mode="json")})
    else:
        console.print(f"已受理，申请编号 {accepted.id}，承诺 {wording.day_and_time(accepted.due_at)} 前办结。")
        for line in wording.waiting_for(api.application(accepted.id)):
            console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)
    if watch:
        _watch(api, accepted.id, as_json=as_json)
    elif not as_json:
        console.print(f"Follow it with: yijian watch {accepted.id} --as {filled.account}", style="dim")


def watch(
    application_id: Annotated[UUID, typer.Argument(metavar="ID")],
    *,
    account: Account = None,
    approval_url: ApprovalUrl = None,
    identity_url: IdentityUrl = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Follow an application until it is over. With --json one line for each event, then the application."""
    api = api_for(account or FIRST_MOTHER, approval_url=approval_url, identity_url=identity_url, token=token)
    _watch(api, application_id, as_json=as_json)


def _watch(api: ApprovalApi, application_id: UUID, *, as_json: bool) -> None:
    if as_json:
        for entry, _ in follow(api, application_id):
            print_line({"entry": entry.model_dump(mode="json")})
        print_line({"application": api.application(application_id).model_dump(mode="json")})
        return
    application = show_live(api, application_id, console=console)
    console.print(pages.documents(application))
    console.print(f"\n{wording.summary(application)}", style="bold")


def api_for(account: str, *, approval_url: str | None, identity_url: str | None, token: str | None) -> ApprovalApi:
    """approval as this person uses it: at the given addresses, or at those of the platform on this machine."""
    if approval_url is None or (identity_url is None and token is None):
        here = this_platform()
        if not here.ports:
            raise PlatformError(f"nothing was ever started in {here.home.folder}: run `yijian up` first")
        approval_url, identity_url = approval_url or here.url("approval"), identity_url or here.url("identity")
    return ApprovalApi(approval_url, Tokens(identity=identity_url or "", account=account, fixed=token))


def read_application(file: Path, *, account: str | None) -> Filled:
    """The form in a file and who hands it in. Raises `PlatformError` for a file that holds none."""
    form = _read_object(file)
    population = find_population(this_platform().home.records)
    example = find_example(file, population) if population else None
    if example is None:
        return Filled(form, account or FIRST_MOTHER)
    return Filled(example.form, account or example.account, example.note)


def _read_object(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PlatformError(f"There is no file {file}.") from None
    except OSError as error:
        raise PlatformError(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise PlatformError(f"{file} is not UTF-8 text; save it as UTF-8.") from None
    except json.JSONDecodeError as error:
        raise PlatformError(f"{file}:{error.lineno}:{error.colno} is not JSON: {error.msg}.") from None
    if not isinstance(content, dict):
        raise PlatformError(f"{file} holds no form: a form is a JSON object.")
    return content


def print_line(value: object) -> None:
    """One JSON document on one line, at once."""
    typer.echo(json.dumps(value, ensure_ascii=False))
