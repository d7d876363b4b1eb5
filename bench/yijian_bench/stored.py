"""Filling the databases with applications of the past: copies of completed ones, row by row, under ids of their own.

Their sealed parts are copies too and open for nobody, which does not matter: nothing looks into an application that
is over. Sizes, indexes and row counts are those of real ones.
"""

import sqlite3
from collections.abc import Sequence

import asyncpg
from yijian_embedded.topology import SERVICES

from yijian_bench.platform import Bench

BATCH = 5_000

# A copy's id is of the past and unique; `n` tells the copies of one original apart.
_COPIES = """
CREATE TEMP TABLE copy AS
SELECT o.id AS original, uuidv7(make_interval(secs => -86400 - n)) AS id, n
FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM application WHERE id = ANY($1)) o
JOIN generate_series(1, $2::int) AS n ON (n - 1) % $3::int = o.place
"""
_ROWS = (
    """INSERT INTO application (id, life_event, digest, applicant, status, version, state, answers, people, data_key,
       traceparent, submitted_at, next_look_at, held)
       SELECT c.id, a.life_event, a.digest, a.applicant, a.status, a.version, replace(a.state, a.id::text, c.id::text),
       a.answers, a.people, a.data_key, a.traceparent, a.submitted_at, a.next_look_at, a.held
       FROM copy c JOIN application a ON a.id = c.original""",
    """INSERT INTO application_party SELECT sha256(p.party || c.id::text::bytea), c.id
       FROM copy c JOIN application_party p ON p.application_id = c.original""",
    """INSERT INTO application_form SELECT c.id, f.revision, f.sealed
       FROM copy c JOIN application_form f ON f.application_id = c.original""",
    """INSERT INTO timeline SELECT c.id, t.version, t.entry
       FROM copy c JOIN timeline t ON t.application_id = c.original""",
    """INSERT INTO consent SELECT c.id, s.basis, s.giver, sha256(s.party || c.id::text::bytea), s.state, s.means,
       s.asked_at, s.changed_at, s.given_at, s.valid_until
       FROM copy c JOIN consent s ON s.application_id = c.original""",
    """INSERT INTO authorisation SELECT sha256(u.used || c.id::text::bytea), c.id, u.used_at
       FROM copy c JOIN authorisation u ON u.application_id = c.original""",
    """INSERT INTO disclosure (task_id, application_id, department, matter, disclosed_at, fields)
       SELECT gen_random_uuid(), c.id, d.department, d.matter, d.disclosed_at, d.fields
       FROM copy c JOIN disclosure d ON d.application_id = c.original""",
    """INSERT INTO claim SELECT sha256(k.digest || c.id::text::bytea), c.id
       FROM copy c JOIN claim k ON k.application_id = c.original""",
    """INSERT INTO outbox (day, shard, event_id, topic, key, headers, value, personal, created_at)
       SELECT o.day, o.shard, gen_random_uuid()::text, o.topic, c.id::text, o.headers, o.value, o.personal, o.created_at
       FROM copy c JOIN outbox o ON o.key = c.original::text""",
    """INSERT INTO inbox (id)
       SELECT substring(uuid_send(c.id) FOR 8) || substring(sha256(gen_random_uuid()::text::bytea) FOR 16)
       FROM copy c, generate_series(1, 11)""",
    """INSERT INTO idempotency_keys SELECT sha256(i.key_index || c.id::text::bytea), i.request_digest, i.response, c.id,
       i.created_at FROM copy c JOIN idempotency_keys i ON i.about = c.original""",
)


async def fill(bench: Bench, originals: Sequence[object], wanted: int) -> int:
    """Add copies until `wanted` applications are stored; returns how many there are. Services should be stopped."""
    connection = await asyncpg.connect(bench.platform.database_url("approval"))
    try:
        stored: int = await connection.fetchval("SELECT count(*) FROM application")
        while stored < wanted:
            batch = min(BATCH, wanted - stored)
            async with connection.transaction():
                await connection.execute(_COPIES, list(originals), batch, len(originals))
                for statement in _ROWS:
                    await connection.execute(statement)
                await connection.execute("DROP TABLE copy")
            stored += batch
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
    for service in SERVICES:
        if service.department is not None:
            _fill_department(bench, service.name, wanted)
    return stored


def _fill_department(bench: Bench, name: str, wanted: int) -> None:
    """The department's finished tasks, copied likewise."""
    with sqlite3.connect(bench.platform.home.department_store(name)) as store:
        have = store.execute("SELECT count(*) FROM task").fetchone()[0]
        if not have:
            return
        columns = [row[1] for row in store.execute("PRAGMA table_info(task)")]
        values = ", ".join("randomblob(16)" if column == "task_id" else column for column in columns)
        total = store.execute("SELECT count(DISTINCT application_id) FROM task").fetchone()[0]
        for _ in range(max(0, wanted // max(total, 1) - 1)):
            store.execute(f"INSERT INTO task SELECT {values} FROM task LIMIT ?", (have,))  # noqa: S608 - own columns
    store.close()
