"""`yijian tasks`: what an operator does about a department that does not answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

import typer
from approval.actions import changes
from approval.coverage import Coverage
from approval.effects import Effects
from approval.life_events_registry import LifeEvents
from yijian_common.database import Connection
from yijian_common.errors import Problem
from yijian_embedded.errors import PlatformError
from yijian_messaging import Transaction

from yijian_cli.output import AsJson, console, print_json
from yijian_cli.stores import (
    APPROVAL,
    Operator,
    Reason,
    checked_reason,
    login_name,
    open_store,
    record_action,
    store_address,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Ask departments again, or end a task that cannot be decided any more.",
)

ApplicationId = Annotated[UUID, typer.Argument(metavar="APPLICATION", help="The application's number.")]


@app.command()
def resend(
    application_id: ApplicationId,
    *,
    reason: Reason = "no answer from the department",
    by: Operator = "",
    as_json: AsJson = False,
) -> None:
    """Ask again, under the same task id, for every task of an application that no department has acknowledged."""
    count = asyncio.run(_resend(application_id, reason=checked_reason(reason), by=by or login_name()))
    if as_json:
        print_json({"application": str(application_id), "resent": count})
        return
    console.print(
        f"{count} tasks are sent again." if count else "Nothing to send again: departments have all that was asked.",
        highlight=False,
    )


async def _resend(application_id: UUID, *, reason: str, by: str) -> int:
    async with _at_work() as (transaction, effects):
        count = await changes.resend_now(transaction, application_id, effects=effects)
        what = f"had {count} unanswered tasks sent again"
        await record_action(transaction, "resend", str(application_id), what=what, reason=reason, by=by)
        return count


@app.command()
def terminate(
    application_id: ApplicationId,
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task's key, e.g. B4-1.")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why, in words for the applicant, who reads them.")],
    by: Operator = "",
    as_json: AsJson = False,
) -> None:
    """End a task for good, so that the rest of its application can come to an end."""
    status = asyncio.run(_terminate(application_id, task, reason=checked_reason(reason), by=by or login_name()))
    if as_json:
        print_json({"application": str(application_id), "task": task, "status": status})
        return
    console.print(f"Task {task} is ended; the application is {status}.", markup=False, highlight=False)


async def _terminate(application_id: UUID, task: str, *, reason: str, by: str) -> str:
    async with _at_work() as (transaction, effects):
        application = await changes.terminate_task(
            transaction, application_id, task_key=task, reason=reason, effects=effects
        )
        subject = f"{application_id} {task}"
        await record_action(transaction, "terminate", subject, what="ended this task", reason=reason, by=by)
        return application.status


@asynccontextmanager
async def _at_work() -> AsyncIterator[tuple[Transaction[Connection], Effects]]:
    """One transaction of approval; running applications carry their own life events, so no file is read."""
    try:
        async with open_store(store_address(APPROVAL)) as opened:
            if opened.pool is None:
                raise PlatformError("approval keeps its applications in Postgres: correct YIJIAN_DATABASE_URL.")
            coverage = Coverage(opened.store)
            await coverage.look()
            effects = Effects(life_events=LifeEvents(opened.pool, {}), keyring=opened.keyring, coverage=coverage)
            async with opened.store.transaction() as transaction:
                yield transaction, effects
    except Problem as problem:
        raise PlatformError(problem.detail) from None
