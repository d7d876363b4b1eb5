"""`yijian reconcile`: what differs after a restore, and what to do about each. It changes nothing unless asked to."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Annotated

import httpx
import psycopg
import typer
from psycopg.conninfo import make_conninfo
from yijian_contracts.departments import departments
from yijian_embedded.platform import Platform
from yijian_embedded.recovery import former_databases

from yijian_cli.backup import ready_platform
from yijian_cli.early_answers import replay_early_answers
from yijian_cli.output import AsJson, console, print_json, print_table
from yijian_cli.stores import APPROVAL, IDENTITY, RATING, SERVICES, Operator, login_name

MOST_SHOWN = 1000


@dataclass(frozen=True)
class Difference:
    """Something that is not as it was; `what` counts and names it, `about` are ids, `do` is what a person does."""

    where: str
    what: str
    do: str
    about: tuple[str, ...] = ()


def reconcile(
    *,
    replay: Annotated[
        bool, typer.Option("--replay", help="First have answers handled that were read before their request.")
    ] = False,
    by: Operator = "",
    as_json: AsJson = False,
) -> None:
    """Compare after a restore: what departments know and approval does not, what waits for a person, the ledger."""
    if replay:
        handled, left = asyncio.run(replay_early_answers(by=by or login_name()))
        if not as_json:
            console.print(f"{handled} early answers are handled, {left} wait.", highlight=False)
    differences = list(find_differences(ready_platform()))
    if as_json:
        print_json([asdict(one) for one in differences])
        return
    if not differences:
        console.print("Nothing differs: everything is handled, nothing is missing.")
        return
    rows = [(one.where, one.what, one.do) for one in differences]
    print_table("After the restore", ("where", "what differs", "what to do"), rows)
    console.print("`--json` names every application.", highlight=False)


def find_differences(platform: Platform) -> Iterator[Difference]:
    """Whatever differs, the gravest first."""
    yield from _ledger(platform)
    yield from _halted(platform)
    yield from _lost_applications(platform)
    for service, table in ((IDENTITY, "people"), (RATING, "review")):
        yield from _former_rows(platform, service, table)
    yield from _letters(platform)


def _ledger(platform: Platform) -> Iterator[Difference]:
    rows = _rows(
        platform,
        "data-exchange",
        "SELECT kind, summary FROM incident WHERE closed_at IS NULL AND kind IN ('ledger-broken', 'witness-refuses')",
    )
    for kind, summary in rows:
        yield Difference(
            "ledger", f"{kind}: {summary}", "docs/how-to/back-up-and-restore.md, The ledger refuses to sign"
        )
    try:
        told = httpx.get(f"{platform.url('data-exchange')}/v1/ledger", timeout=10, trust_env=False).json()
    except (httpx.HTTPError, ValueError):
        yield Difference("ledger", "data-exchange does not answer", "`yijian up`, then ask again")
        return
    signed = (told["signed"] or {"size": 0})["size"]
    if told["leaves"] > signed:
        yield Difference("ledger", f"{told['leaves'] - signed} leaves wait for a signature", "wait, then ask again")


def _halted(platform: Platform) -> Iterator[Difference]:
    query = "SELECT subject, summary FROM incident WHERE kind = 'offset-lost' AND closed_at IS NULL"
    found = [(service, *row) for service in SERVICES for row in _rows(platform, service, query)]
    found += [(code, *row) for code in departments() for row in _store_rows(platform, code, query)]
    if found:
        do = "Kafka was made anew? `yijian restore kafka`. Else docs/how-to/operate.md, A halted partition"
        yield Difference("Kafka", f"{len(found)} partitions are halted", do, tuple(str(row[1]) for row in found))


def _lost_applications(platform: Platform) -> Iterator[Difference]:
    """Applications that departments were asked about, or that a former database has, and approval does not."""
    there = {str(row[0]) for row in _rows(platform, APPROVAL, "SELECT id FROM application")}
    asked: dict[str, set[str]] = {}
    for code in departments():
        for (application,) in _store_rows(platform, code, "SELECT DISTINCT application_id FROM task"):
            if str(application) not in there:
                asked.setdefault(str(application), set()).add(code)
    decided = {
        str(row[0])
        for code in departments()
        for row in _store_rows(platform, code, "SELECT DISTINCT application_id FROM task WHERE state = 'ANSWERED'")
    }
    if known := sorted(asked):
        count = len(decided & asked.keys())
        yield Difference(
            "applications",
            f"{len(known)} that departments were asked about are not in approval; {count} of them have a decision",
            "the applicants apply again: tell them; departments find what they did by the child. Their answers are"
            " approval's dead letters `no such application`: discard them",
            tuple(known[:MOST_SHOWN]),
        )
    unasked = [one for one in _former_applications(platform) if one not in there and one not in asked]
    if unasked:
        do = "the applicants apply again: tell them; nobody has done anything for these yet"
        yield Difference(
            "applications", f"{len(unasked)} were accepted and no department was asked", do, tuple(unasked[:MOST_SHOWN])
        )


def _former_applications(platform: Platform) -> list[str]:
    former = former_databases(platform.postgres_admin_url, APPROVAL)
    if not former:
        return []
    return [str(row[0]) for row in _rows(platform, former[-1], "SELECT id FROM application ORDER BY submitted_at")]


def _former_rows(platform: Platform, service: str, table: str) -> Iterator[Difference]:
    former = former_databases(platform.postgres_admin_url, service)
    if not former:
        return
    count = f"SELECT count(*) FROM {table}"  # noqa: S608 - our own names
    before, after = _rows(platform, former[-1], count), _rows(platform, service, count)
    if before and after and before != after:
        do = f"look into {former[-1]}; who is concerned does it again: {service} has no other source"
        yield Difference(service, f"{after[0][0]} rows of {table}, and {before[0][0]} before it was put back", do)


def _letters(platform: Platform) -> Iterator[Difference]:
    query = "SELECT error, count(*) FROM dead_letter WHERE state = 'DEAD' GROUP BY error ORDER BY 2 DESC"
    for service in SERVICES:
        for error, count in _rows(platform, service, query):
            yield Difference(service, f"{count} dead letters: {error}", f"`yijian dead-letters list {service}`")
    for code in departments():
        for error, count in _store_rows(platform, code, query):
            yield Difference(code, f"{count} dead letters: {error}", f"`yijian dead-letters list {code}`")


def _rows(platform: Platform, database: str, query: str) -> list[tuple[object, ...]]:
    """What an administrator reads in a database; nothing where the table is gone, as in one that was harmed."""
    with psycopg.connect(make_conninfo(platform.postgres_admin_url, dbname=database)) as session:
        try:
            return session.execute(query.encode()).fetchall()
        except psycopg.errors.UndefinedTable:
            return []


def _store_rows(platform: Platform, code: str, query: str) -> list[tuple[object, ...]]:
    store = platform.home.department_store(code)
    if not store.is_file():
        return []
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=10)) as db:
        return db.execute(query).fetchall()
