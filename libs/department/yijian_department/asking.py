"""Asking a handler: its exception undoes only its own writes, and so does its silence."""

import asyncio
import inspect
import sqlite3
import traceback
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from yijian_contracts.events import Outcome, TaskMode

from yijian_department.answers import Answer, Decision, Later
from yijian_department.matters import Matter, R
from yijian_department.task import Task

log = structlog.get_logger(__name__)

HANDLER_SECONDS = 5.0
"""How long an async handler may take. While it runs it holds the store's only transaction, so nobody else of the
department does anything: what takes longer is left with `waiting(…)` and answered later by `Department.answer`."""

# Waiting helps against these, whoever met them: the whole batch is rolled back and comes again.
_TRANSIENT = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_NOMEM,
}


@dataclass(frozen=True, slots=True)
class Failed:
    """The handler raised: what and where, never the exception's own text. Or it `hung`: it gave no answer in time."""

    error: str
    hung: bool = False


async def ask(matter: Matter[R], task: Task[Any], records: R) -> Answer | Failed:
    """The handler's answer; after `Failed` nothing it wrote is left. Errors of a full or locked store propagate."""
    db = records.db
    db.execute("SAVEPOINT asked")
    try:
        answer = matter.handle(task, records)
        if not isinstance(answer, Answer) and inspect.isawaitable(answer):
            answer = await _in_time(answer)
        _check(matter, answer)
    except Exception as error:
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _TRANSIENT:
            raise
        db.execute("ROLLBACK TO asked")
        db.execute("RELEASE asked")
        failed = _failed(error)
        log.warning("handler failed", matter=task.matter, task=str(task.id), error=failed.error)
        return failed
    db.execute("RELEASE asked")
    return answer


class _HungError(Exception):
    """The handler gave no answer in time."""


async def _in_time(answer: Awaitable[Answer]) -> Answer:
    limit = asyncio.timeout(HANDLER_SECONDS)
    try:
        async with limit:
            return await answer
    except TimeoutError:
        if limit.expired():
            raise _HungError from None
        raise  # the handler's own


def _failed(error: Exception) -> Failed:
    if isinstance(error, _HungError):
        return Failed(f"no answer within {HANDLER_SECONDS:g} seconds", hung=True)
    return Failed(whereabouts(error))


def _check(matter: Matter[Any], answer: object) -> None:
    """A handler that answers something else than it was asked has failed."""
    match answer:
        case Later():
            return
        case Decision(outcome=Outcome.PROVEN) if matter.mode is not TaskMode.PROVE:
            raise TypeError("proven(…) answers only a task that asks for a proof")
        case Decision(outcome=Outcome.APPROVED) if matter.mode is not TaskMode.DECIDE:
            raise TypeError("approve(…) does not answer a task that asks for a proof")
        case Decision():
            return
        case _:
            raise TypeError("a handler returns approve(…), reject(…), needs_person(…) or one of their siblings")


def whereabouts(error: BaseException) -> str:
    """What failed and where, without the exception's text: that may repeat a name or a number."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {frames[-1].name} ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}{place}"
