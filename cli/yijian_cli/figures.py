"""`yijian figures`: whether rating's stored figures are what happened, and making them so again."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import asyncpg
import typer
from rating import figure_rows
from rating.figure_rows import Difference
from yijian_contracts.working_days import local_date
from yijian_embedded.errors import PlatformError

from yijian_cli.output import AsJson, console, print_json
from yijian_cli.stores import (
    RATING,
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
    help="Hold the stored figures of departments against what happened, day by day.",
)

MOST_DAYS = 400

First = Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day; 30 days ago.")]
Last = Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day; today.")]


@app.command()
def check(*, first: First = None, last: Last = None, as_json: AsJson = False) -> None:
    """Compute every day's figures from what happened and tell each that is stored otherwise. Exit 1 if there is one."""
    days = _days(first, last)
    differences = asyncio.run(_check(*days))
    if as_json:
        print_json([_told(difference) for difference in differences])
    else:
        _print(differences, f"Every figure from {days[0]} to {days[1]} is what happened.")
    if differences:
        raise typer.Exit(1)


@app.command()
def rebuild(
    *, reason: Reason, first: First = None, last: Last = None, by: Operator = "", as_json: AsJson = False
) -> None:
    """Store what happened where something else is stored; reviews of these days wait meanwhile."""
    days = _days(first, last)
    differences = asyncio.run(_rebuild(*days, reason=checked_reason(reason), by=by or login_name()))
    if as_json:
        print_json([_told(difference) for difference in differences])
        return
    _print(differences, "Nothing to mend.")
    if differences:
        console.print(f"{len(differences)} days are stored as they were.", highlight=False)


async def _check(first: date, last: date) -> list[Difference]:
    async with (
        _pool() as (pool, _),
        pool.acquire() as held,
        held.transaction(isolation="repeatable_read", readonly=True),
    ):
        return await figure_rows.compare(held, first=first, last=last)


async def _rebuild(first: date, last: date, *, reason: str, by: str) -> list[Difference]:
    async with _pool() as (_, store), store.transaction() as transaction:
        differences = await figure_rows.rebuild(transaction.connection, first=first, last=last)
        what = f"had {len(differences)} days of figures stored anew"
        await record_action(transaction, "figures", f"{first} {last}", what=what, reason=reason, by=by)
        return differences


@asynccontextmanager
async def _pool() -> AsyncIterator[tuple["asyncpg.Pool[asyncpg.Record]", Any]]:
    async with open_store(store_address(RATING)) as opened:
        if opened.pool is None:
            raise PlatformError("rating keeps its figures in Postgres: correct YIJIAN_DATABASE_URL.")
        yield opened.pool, opened.store


def _days(first: datetime | None, last: datetime | None) -> tuple[date, date]:
    end = last.date() if last else local_date(datetime.now(UTC))
    start = first.date() if first else end - timedelta(days=30)
    if not timedelta(0) <= end - start < timedelta(days=MOST_DAYS):
        raise PlatformError(f"Name at most {MOST_DAYS} days, the first before the last.")
    return start, end


def _told(difference: Difference) -> dict[str, Any]:
    return {
        "day": difference.day.isoformat(),
        "department": difference.department,
        "stored": difference.stored,
        "happened": difference.folded,
    }


def _print(differences: Sequence[Difference], otherwise: str) -> None:
    for difference in differences:
        console.print(f"{difference.day}  {difference.department}", style="red", highlight=False)
        for name in sorted({*(difference.stored or {}), *(difference.folded or {})}):
            stored, happened = ((counts or {}).get(name, 0) for counts in (difference.stored, difference.folded))
            if stored != happened:
                console.print(f"    {name}: stored {stored}, happened {happened}", highlight=False)
    if not differences:
        console.print(otherwise, highlight=False)
