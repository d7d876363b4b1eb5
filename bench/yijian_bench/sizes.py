"""What is on the disk: each table of each service, and each department's file."""

from dataclasses import dataclass

import asyncpg
from yijian_embedded.topology import SERVICES

from yijian_bench.platform import Bench

DATABASES = ("approval", "data-exchange", "identity", "rating")

# A partitioned table counts as one.
_SIZES = """
SELECT coalesce(i.inhparent, c.oid)::regclass::text AS name, sum(greatest(c.reltuples, 0))::bigint AS rows,
    sum(pg_table_size(c.oid))::bigint AS table_bytes, sum(pg_indexes_size(c.oid))::bigint AS index_bytes
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
WHERE c.relkind = 'r' AND n.nspname IN ('public', 'ledger') GROUP BY 1 ORDER BY 3 DESC
"""


@dataclass(frozen=True, slots=True)
class Size:
    """What a table takes, with an estimate of its rows; of a department the whole file, rows not counted."""

    service: str
    table: str
    rows: int
    table_bytes: int
    index_bytes: int


async def read_sizes(bench: Bench) -> list[Size]:
    """Every table that takes more than a megabyte, the services' and the departments'."""
    found = []
    for service in DATABASES:
        connection = await asyncpg.connect(bench.platform.database_url(service))
        try:
            found += [Size(service, *row) for row in await connection.fetch(_SIZES)]
        finally:
            await connection.close()
    found += [
        Size(service.name, "(file)", 0, bench.platform.home.department_store(service.name).stat().st_size, 0)
        for service in SERVICES
        if service.department is not None
    ]
    return [size for size in found if size.table_bytes + size.index_bytes > 1_000_000]
