"""Following an application live: a table that changes with every event, or lines where there is no terminal."""

from collections.abc import Iterator
from uuid import UUID

from approval.schemas import ApplicationOut, EntryOut
from rich.console import Console
from rich.live import Live

from yijian_cli import pages, wording
from yijian_cli.approval_api import ApprovalApi

FRAMES_PER_SECOND = 10


def follow(api: ApprovalApi, application_id: UUID) -> Iterator[tuple[EntryOut, ApplicationOut]]:
    """Each event as it comes, with the application as it stood then or a little later."""
    application = api.application(application_id)
    for entry in api.progress(application_id):
        if entry.version > application.version:
            application = api.application(application_id)
        yield entry, application


def show_live(api: ApprovalApi, application_id: UUID, *, console: Console) -> ApplicationOut:
    """Show an application until it is over, and return it as it is then."""
    if console.is_terminal:
        _show_table(api, application_id, console)
    else:
        for entry, application in follow(api, application_id):
            console.print(wording.progress_line(entry, application), markup=False, highlight=False, soft_wrap=True)
    return api.application(application_id)


def _show_table(api: ApprovalApi, application_id: UUID, console: Console) -> None:
    shown = api.application(application_id)
    # Drawn anew several times a second, so that time is seen to pass between two events.
    with Live(
        console=console, get_renderable=lambda: pages.progress_table(shown), refresh_per_second=FRAMES_PER_SECOND
    ) as live:
        for _, shown in follow(api, application_id):  # noqa: B007 - the table above shows it
            live.refresh()
        shown = api.application(application_id)
