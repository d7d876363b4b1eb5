"""Which statements the services run, as the database logs them, and how it would carry them out however much is stored.

Nothing is listed anywhere: what runs is found by listening, so that no statement can be forgotten.
"""

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from yijian_messaging.postgres import PLANNER_SETTINGS

from tests.e2e.city import City

SERVICES = ("identity", "data-exchange", "approval", "rating")
LISTENING = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_format": "json",
    # What people entered is nobody's to log, here neither.
    "auto_explain.log_parameter_max_length": "0",
}
ROWS = 4_000

# `<time> <zone> [<pid>] <database> LOG:  duration: … ms  plan:` and then JSON, its further lines indented.
_LOGGED = re.compile(r"^\S+ \S+ \S+ \[\d+\] (\S+) LOG:  duration: .*? plan:\n((?:\t.*\n)+)", re.MULTILINE)

# What a column of a table made large holds, by its type; whatever is unique stays so.
_VALUES = {
    "uuid": "gen_random_uuid()",
    "bytea": "sha256(int8send(n))",
    "text": "md5({column} || n)",
    # What is marked is the exception.
    "boolean": "n % 400 = 0",
    "timestamp with time zone": "now() - make_interval(secs => n)",
    "text[]": "'{{}}'::text[]",
}


@contextmanager
def listening(city: City) -> Iterator[dict[str, set[str]]]:
    """The services anew, with every statement they run noted; filled in when the block ends."""
    found: dict[str, set[str]] = defaultdict(set)
    log = city.platform.home.logs / "postgres.log"
    began = log.stat().st_size
    with psycopg.connect(city.platform.postgres_admin_url, autocommit=True) as admin:
        admin.execute("LOAD 'auto_explain'")
        _tell(admin, "ALTER ROLE {} SET {} = {}")
        try:
            city.restart(*SERVICES)
            yield found
            _read(log, began, found)
        finally:
            _tell(admin, "ALTER ROLE {} RESET {}")
            city.restart(*SERVICES)


@contextmanager
def nobody_there(city: City) -> Iterator[None]:
    """The services' databases left alone, to be copied."""
    for service in SERVICES:
        city.stop(service)
    try:
        yield
    finally:
        city.restart(*SERVICES)


def _tell(admin: psycopg.Connection[Any], statement: str) -> None:
    for service in SERVICES:
        for name, value in LISTENING.items():
            parts = [sql.Identifier(service), sql.SQL(name), sql.Literal(value)][: statement.count("{}")]
            admin.execute(sql.SQL(statement).format(*parts))


def _read(log: Path, began: int, found: dict[str, set[str]]) -> None:
    with log.open("rb") as file:
        file.seek(began)
        text = file.read().decode("utf-8", "replace")
    for database, plan in _LOGGED.findall(text):
        query = json.loads(plan)["Query Text"]
        # Statements of catalogues are those of migrations and of partitions.
        if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", query) and "pg_catalog." not in query:
            found[database].add(query)


@contextmanager
def scratch(city: City, service: str) -> Iterator[psycopg.Connection[Any]]:
    """A database with a service's tables and nothing in them, planning as the service does. Nobody may be there."""
    admin_url, name = city.platform.postgres_admin_url, f"plans-{service}"
    with psycopg.connect(admin_url, autocommit=True) as admin:
        _drop(admin, name)
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(service)))
        try:
            with psycopg.connect(make_conninfo(admin_url, dbname=name), autocommit=True) as held:
                for setting, value in PLANNER_SETTINGS.items():
                    held.execute(sql.SQL("SET {} = {}").format(sql.SQL(setting), sql.Literal(value)))
                held.execute("SET session_replication_role = replica")
                _empty(held)
                yield held
        finally:
            _drop(admin, name)


def _drop(admin: psycopg.Connection[Any], name: str) -> None:
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _tables(held: psycopg.Connection[Any]) -> list[str]:
    rows = held.execute(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname IN ('public', 'ledger')"
        " AND c.relname <> 'alembic_version'"
    ).fetchall()
    return [str(row[0]) for row in rows]


def _empty(held: psycopg.Connection[Any]) -> None:
    for (table,) in held.execute(
        "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'never_changed'"
    ).fetchall():
        held.execute(f"ALTER TABLE {table} DISABLE TRIGGER never_changed")
    for table, name in held.execute(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0"
        " AND coninhcount = 0 AND connamespace IN ('public'::regnamespace, to_regnamespace('ledger'))"
    ).fetchall():
        held.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    held.execute(f"TRUNCATE {', '.join(_tables(held))}")


def fill(held: psycopg.Connection[Any], *, but: Sequence[str]) -> None:
    """Many rows in every table that grows, of which the planner has heard nothing."""
    for table in _tables(held):
        if table.removeprefix("ledger.") in but:
            continue
        columns = held.execute(
            "SELECT quote_ident(attname), format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = %s::regclass"
            " AND attnum > 0 AND NOT attisdropped AND attidentity = ''",
            [table],
        ).fetchall()
        values = [_value(table, str(name), str(kind)) for name, kind in columns]
        names = ", ".join(str(name) for name, _ in columns)
        held.execute(f"INSERT INTO {table} ({names}) SELECT {', '.join(values)} FROM generate_series(1, {ROWS}) n")  # noqa: S608 - our own names


def _value(table: str, column: str, kind: str) -> str:
    if kind == "date":
        # The outbox has places for some days only.
        return "current_date" if table == "outbox" else "current_date - n"
    return _VALUES.get(kind, "n").format(column=f"'{column}'")


def readings(held: psycopg.Connection[Any], queries: Iterable[str], *, but: Sequence[str]) -> list[str]:
    """The readings of whole tables that grow, each with its statement."""
    partial = {
        str(row[0])
        for row in held.execute(
            "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indpred IS NOT NULL"
        ).fetchall()
    }
    return [
        f"{node['Node Type']} of {node['Relation Name']} in {query}"
        for query in sorted(queries)
        for node in _nodes(_plan(held, query), partial)
        if _reads_all(node, but)
    ]


def _plan(held: psycopg.Connection[Any], query: str) -> Mapping[str, Any]:
    row = held.execute(f"EXPLAIN (FORMAT JSON, GENERIC_PLAN) {query}").fetchone()
    plan: Mapping[str, Any] = row[0][0]["Plan"] if row else {}
    return plan


def _reads_all(node: Mapping[str, Any], but: Sequence[str]) -> bool:
    """Whether a node reads a table that grows from end to end, through an index or not."""
    table = node.get("Relation Name", "")
    looked_up = "Index Cond" in node or node["Node Type"] == "ModifyTable"
    return bool(table) and not looked_up and table not in but and not table.startswith("pg_")


def _nodes(plan: Mapping[str, Any], partial: Collection[str]) -> Iterator[Mapping[str, Any]]:
    """Every node but the newest or oldest entries of an index, which are read from its end.

    Rows that are locked are compared again with what a partial index says of them already: then a filter leaves none
    out.
    """
    yield plan
    for inner in plan.get("Plans", []):
        locked = inner["Node Type"] == "LockRows"
        read = inner["Plans"][0] if locked else inner
        leaves_none_out = "Filter" not in read or (locked and read.get("Index Name") in partial)
        ends = plan["Node Type"] == "Limit" and read["Node Type"].startswith("Index") and leaves_none_out
        yield from read.get("Plans", []) if ends else _nodes(inner, partial)
