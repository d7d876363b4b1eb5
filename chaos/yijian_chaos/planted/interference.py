"""Faults that only these scenarios need: what an operator, a clock or a backup may do to Kafka and the database."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from typing import LiteralString

import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from psycopg import sql
from yijian_embedded.platform import Platform
from yijian_embedded.postgres_access import connect, drop_database, ensure_database
from yijian_messaging.testing import wait_until

from yijian_chaos.rest import why_not_at_rest
from yijian_chaos.stage import Stage
from yijian_chaos.whereabouts import databases, where_to_look

DATABASE, COPY = "approval", "approval_before"
QUIET_WITHIN_S = 120.0
# A member that stopped in good order is missed only when its session is over: its name is its place.
FORGOTTEN_WITHIN_S = 60.0
LOOK_EVERY_S = 1.0
ANSWER_WITHIN_S = 15


async def forget_group(platform: Platform, group: str) -> None:
    """Delete a consumer group with its offsets, as soon as Kafka takes it for empty."""
    admin = AdminClient(platform.kafka_admin.client_config())
    deadline = time.monotonic() + FORGOTTEN_WITHIN_S
    while True:
        (deleted,) = admin.delete_consumer_groups([group], request_timeout=ANSWER_WITHIN_S).values()
        try:
            await asyncio.to_thread(deleted.result)
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(LOOK_EVERY_S)
        else:
            return


@asynccontextmanager
async def timestamps_refused(platform: Platform, topic: str) -> AsyncIterator[None]:
    """Meanwhile the broker takes no record of this topic that is older than it is itself, by its own clock."""
    await asyncio.to_thread(_oldest_allowed, platform, topic, "0")
    try:
        yield
    finally:
        await asyncio.to_thread(_oldest_allowed, platform, topic, None)


def _oldest_allowed(platform: Platform, topic: str, milliseconds: str | None) -> None:
    operation = AlterConfigOpType.DELETE if milliseconds is None else AlterConfigOpType.SET
    entry = ConfigEntry("message.timestamp.before.max.ms", milliseconds, incremental_operation=operation)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    # Kept until it is done: an administrator that is let go of takes its requests along.
    admin = AdminClient(platform.kafka_admin.client_config())
    (done,) = admin.incremental_alter_configs([resource]).values()
    done.result(ANSWER_WITHIN_S)


async def quiet(stage: Stage) -> None:
    """Wait until nothing is under way."""

    async def is_quiet() -> bool:
        return not await asyncio.to_thread(why_not_at_rest, where_to_look(stage.platform))

    await wait_until(is_quiet, what="the platform to come to rest", within=QUIET_WITHIN_S)


async def waits_for_its_last_answer(stage: Stage, application: str | None) -> None:
    """Wait until all of this application's tasks but one are over, and everything was said and read."""

    async def one_is_left() -> bool:
        return await asyncio.to_thread(_open_tasks, stage, application) == 1

    await wait_until(one_is_left, what="all tasks but the last", within=QUIET_WITHIN_S)
    # Whatever its other answers set going comes to an end, such as the ledger's signature.
    await asyncio.sleep(3 * LOOK_EVERY_S)


def _open_tasks(stage: Stage, application: str | None) -> int:
    return _count(
        stage,
        "SELECT count(*) FROM application, jsonb_array_elements(state::jsonb -> 'tasks') task WHERE id = %s"
        " AND NOT task ? 'ended_at'",
        application,
    )


def _count(stage: Stage, query: LiteralString, about: str | None) -> int:
    with closing(psycopg.connect(databases(stage.platform)[DATABASE])) as connection:
        row = connection.execute(query, [about]).fetchone()
    return row[0] if row else 0


async def all_answered(stage: Stage, department: str, applications: Iterable[str | None]) -> None:
    """Wait until a department has answered what it was asked about each of these, and its answers are in Kafka."""
    wanted = {application for application in applications if application is not None}

    async def answered() -> bool:
        return wanted <= await asyncio.to_thread(_answered_and_sent, stage, department)

    await wait_until(answered, what=f"{department} to answer", within=QUIET_WITHIN_S)


def _answered_and_sent(stage: Stage, department: str) -> set[str]:
    """Applications of this department's answered tasks, once nothing waits in its outbox."""
    store = stage.platform.home.department_store(department)
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=ANSWER_WITHIN_S)) as opened:
        (waiting,) = opened.execute("SELECT count(*) FROM outbox_unsent").fetchone()
        rows = opened.execute("SELECT application_id FROM task WHERE state = 'ANSWERED'").fetchall()
    return set() if waiting else {row[0] for row in rows}


async def waits_to_be_sent(stage: Stage, topic: str, *, at_least: int) -> None:
    """Wait until so many of approval's messages for this topic wait in its outbox."""

    async def enough() -> bool:
        return await asyncio.to_thread(_unsent, stage, topic) >= at_least

    await wait_until(enough, what=f"{at_least} messages to wait for {topic}", within=QUIET_WITHIN_S)


def _unsent(stage: Stage, topic: str) -> int:
    return _count(
        stage,
        "SELECT count(*) FROM outbox_unsent u JOIN outbox o ON o.day = u.day AND o.id = u.id WHERE o.topic = %s",
        topic,
    )


def copy_database(platform: Platform) -> None:
    """Keep approval's database as it is now; nobody may be connected to it."""
    with connect(platform.postgres_admin_url) as admin:
        drop_database(admin, COPY)
        admin.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(*map(sql.Identifier, (COPY, DATABASE, DATABASE)))
        )


def put_database_back(platform: Platform) -> None:
    """Have approval's database be as it was when it was copied."""
    with connect(platform.postgres_admin_url) as admin:
        drop_database(admin, DATABASE)
        admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*map(sql.Identifier, (COPY, DATABASE))))
        ensure_database(admin, DATABASE, owner=DATABASE)
