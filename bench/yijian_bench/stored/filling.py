"""Filling every store with applications of the past, so that what is measured has grown as it would have."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import asyncpg
from yijian_common.crypto import Keyring
from yijian_embedded.topology import SERVICES
from yijian_ledger.keys import read_private_key
from yijian_messaging.retention import SENT_DAYS

from yijian_bench.platform import Bench
from yijian_bench.stored.departments import fill_store
from yijian_bench.stored.ledger import sign_all
from yijian_bench.stored.past import Past
from yijian_bench.stored.readable import make_readable
from yijian_bench.stored.rows import BY_SERVICE, CHUNK, PREPARE, Rows

TEMPLATES: Final = 100
AT_ONCE: Final = 25_000
BYTES_EACH: Final = 61_000
"""What an application takes on the disk, all stores together, with room for what is written twice meanwhile."""
SPARE_BYTES: Final = 5_000_000_000

# Quick and not safe, while nobody uses the server; taken back at the end.
_HURRY: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    "maintenance_work_mem": "512MB",
}
# Their indexes are made anew at the end, at once; the others' are kept up: small, or written in order.
_KEEPS_INDEXES: Final = frozenset(("figure", "outbox"))


@dataclass(frozen=True, slots=True)
class Template:
    """The completed applications that are copied, the tasks of each, and the first of their applicants."""

    applications: Sequence[asyncpg.Record]
    tasks: Sequence[asyncpg.Record]

    @property
    def subject(self) -> str:
        applicant: str = self.applications[0]["applicant"]
        return applicant

    @property
    def past(self) -> Past:
        first = min(row["submitted_at"] for row in self.applications)
        return Past(round(first.timestamp() * 1000))


async def read_template(bench: Bench) -> Template:
    connection = await asyncpg.connect(bench.platform.database_url("approval"))
    try:
        applications = await connection.fetch(
            "SELECT id, applicant, submitted_at FROM application WHERE status = 'COMPLETED' ORDER BY id LIMIT $1",
            TEMPLATES,
        )
        tasks = await connection.fetch(
            "SELECT task_id, application_id, matter FROM disclosure WHERE application_id = ANY($1)",
            [row["id"] for row in applications],
        )
    finally:
        await connection.close()
    return Template(applications, tasks)


async def fill(bench: Bench, template: Template, *, have: int, wanted: int) -> None:
    """Add copies `have + 1` to `wanted` of completed applications to every store. Services should be stopped."""
    _check_space(bench, wanted - have)
    async with _in_a_hurry(bench):
        await asyncio.gather(
            *(_fill_database(bench, service, template, have=have, wanted=wanted) for service in BY_SERVICE),
            _fill_departments(bench, template.past, have=have, wanted=wanted),
        )


def _check_space(bench: Bench, copies: int) -> None:
    free = shutil.disk_usage(bench.platform.home.folder).free
    if (needed := copies * BYTES_EACH + SPARE_BYTES) > free:
        raise RuntimeError(f"{copies:,} more applications need {needed / 1e9:.0f} GB; {free / 1e9:.0f} GB are free")


@contextlib.asynccontextmanager
async def _in_a_hurry(bench: Bench) -> AsyncIterator[None]:
    admin = await asyncpg.connect(bench.platform.postgres_admin_url)
    try:
        for name, value in _HURRY.items():
            await admin.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        await admin.execute("SELECT pg_reload_conf()")
        yield
        await asyncio.to_thread(os.sync)
        for name in _HURRY:
            await admin.execute(f"ALTER SYSTEM RESET {name}")
        await admin.execute("SELECT pg_reload_conf()")
        await admin.execute("CHECKPOINT", timeout=600)
    finally:
        await admin.close()


async def _fill_database(bench: Bench, service: str, template: Template, *, have: int, wanted: int) -> None:
    """One service's tables, chunk by chunk; each chunk is vacuumed while it is still in memory."""
    # What is kept for some days only comes last, since older copies are taken out of the chunk for it.
    rows = sorted(BY_SERVICE[service], key=lambda each: -(each.last or wanted + 1))
    url = bench.platform.database_url(service)
    admin = await asyncpg.connect(_of_admin(bench, service))
    try:
        await _prepare(admin, template)
        tables = [each.table for each in rows]
        await _without_indexes(admin, [table for table in tables if table not in _KEEPS_INDEXES])
        for first in range(have + 1, wanted + 1, AT_ONCE):
            last = min(first + AT_ONCE - 1, wanted)
            await _fill_chunk(admin, rows, template.past, first=first, last=last)
        for table in tables:
            await admin.execute(f"REINDEX TABLE {table}", timeout=3600)
        await admin.execute("VACUUM ANALYZE", timeout=3600)
    finally:
        await admin.close()
    own = await asyncpg.connect(url)
    try:
        if service == "data-exchange":
            await sign_all(own, read_private_key(bench.platform.home.ledger_key))
        if service == "approval":
            keyring = Keyring.load(bench.platform.home.key_file("approval"))
            await make_readable(own, keyring, template.past, subject=template.subject, have=have, wanted=wanted)
    finally:
        await own.close()


def _of_admin(bench: Bench, database: str) -> str:
    return f"{bench.platform.postgres_admin_url.rpartition('/')[0]}/{database}"


async def _prepare(admin: asyncpg.Connection, template: Template) -> None:
    await admin.execute(PREPARE)
    await admin.copy_records_to_table(
        "original", records=[(place, row["id"]) for place, row in enumerate(template.applications)]
    )
    await admin.copy_records_to_table(
        "original_task", records=[(row["task_id"], row["application_id"], row["matter"]) for row in template.tasks]
    )
    await admin.execute("ANALYZE original; ANALYZE original_task")
    # Days that were before this platform was; its own housekeeping made the others.
    today = template.applications[0]["submitted_at"].date()
    for day in (today - timedelta(days=back) for back in range(2, SENT_DAYS + 2)):
        await admin.execute(
            f"CREATE TABLE IF NOT EXISTS outbox_{day:%Y%m%d} PARTITION OF outbox"
            f" FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}') WITH (toast_tuple_target = 8160)"
        )


async def _without_indexes(admin: asyncpg.Connection, tables: Sequence[str]) -> None:
    """Rows are added without touching the indexes of these tables, until REINDEX makes them anew."""
    await admin.execute(
        "UPDATE pg_index SET indisready = false, indisvalid = false WHERE indrelid = ANY($1::regclass[])", list(tables)
    )


async def _fill_chunk(admin: asyncpg.Connection, rows: Sequence[Rows], past: Past, *, first: int, last: int) -> None:
    await admin.execute("TRUNCATE copy")
    await admin.execute(CHUNK, past.origin_ms, first, last)
    await admin.execute("ANALYZE copy")
    written = []
    for each in rows:
        if each.last is not None and first > each.last:
            continue
        if each.last is not None and last > each.last:
            # The last chunk that still has any: what is older went out of this table long ago.
            await admin.execute("DELETE FROM copy WHERE n > $1", each.last)
        await admin.execute(each.statement, timeout=3600)
        written.append(each.table)
    await admin.execute(f"VACUUM {', '.join(written)}", timeout=3600)


async def _fill_departments(bench: Bench, past: Past, *, have: int, wanted: int) -> None:
    for service in SERVICES:
        if service.department is not None:
            store = bench.platform.home.department_store(service.name)
            await asyncio.to_thread(fill_store, store, past, have=have, wanted=wanted)
