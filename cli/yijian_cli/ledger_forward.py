"""A ledger does not go back: what was appended after the moment to which its database went back is brought forward.

Both databases are one history, of which the restored one is the beginning. So what stands in the former one behind the
restored leaves is put behind them, byte for byte, and the root is the one that the witness saw. With the leaves come
the details of their cases; what else is new is heard from Kafka again.
"""

from collections.abc import Mapping
from typing import Final

import psycopg
from psycopg import sql
from yijian_embedded.errors import PlatformError

Connection = psycopg.Connection[tuple[object, ...]]

# Each table with what of it is newer than `leaves` leaves, of which `signed` were signed.
_LEDGER: Final = {
    "leaf": sql.SQL("SELECT * FROM ledger.leaf WHERE index >= %(leaves)s"),
    "tile": sql.SQL("SELECT * FROM ledger.tile WHERE index >= (%(signed)s::bigint >> (8 * (level + 1)))"),
    "checkpoint": sql.SQL("SELECT * FROM ledger.checkpoint WHERE size > %(signed)s"),
    "cosignature": sql.SQL("SELECT * FROM ledger.cosignature WHERE size > %(signed)s"),
}
_CASES: Final = "SELECT d.case_id FROM disclosure d JOIN ledger.leaf l ON l.id = d.id WHERE l.index >= %(leaves)s"
_DETAILS: Final = ("case_key", "case_person", "disclosure")


def bring_forward(former_url: str, url: str) -> int:
    """Put the leaves that only the former database has behind those of the restored one; returns how many.

    Raises `PlatformError` when the two are not one history.
    """
    with psycopg.connect(former_url) as former, psycopg.connect(url) as here:
        at = {"leaves": _size(here, "leaf", "index", 1), "signed": _size(here, "checkpoint", "size", 0)}
        _refuse_another_history(former, here, at["leaves"])
        _bring_details(former, here, at)
        for table, newer in _LEDGER.items():
            _copy(former, here, newer, at, into=sql.Identifier("ledger", table))
        return _size(here, "leaf", "index", 1) - at["leaves"]


def _bring_details(former: Connection, here: Connection, at: dict[str, int]) -> None:
    """Whole cases, as they were last: what was destroyed of them since is not there again."""
    row = former.execute(
        "SELECT to_regclass('disclosure') IS NOT NULL AND to_regclass('case_key') IS NOT NULL"
    ).fetchone()
    if not row or not row[0]:
        return
    cases = [row[0] for row in former.execute(_CASES, at).fetchall()]
    for table in _DETAILS:
        name = sql.Identifier(table)
        here.execute(sql.SQL("DELETE FROM {} WHERE case_id = ANY(%s)").format(name), [cases])
        wanted = sql.SQL("SELECT * FROM {} WHERE case_id = ANY(%(cases)s)").format(name)
        _copy(former, here, wanted, {"cases": cases}, into=name)


def _copy(
    former: Connection, here: Connection, wanted: sql.Composable, at: Mapping[str, object], *, into: sql.Identifier
) -> None:
    out = sql.SQL("COPY ({}) TO STDOUT (FORMAT BINARY)").format(wanted)
    back = sql.SQL("COPY {} FROM STDIN (FORMAT BINARY)").format(into)
    with former.cursor().copy(out, at) as source, here.cursor().copy(back) as target:
        for block in source:
            target.write(block)


def _size(session: Connection, table: str, column: str, further: int) -> int:
    names = {"column": sql.Identifier(column), "table": sql.Identifier("ledger", table)}
    statement = sql.SQL("SELECT coalesce(max({column}) + %s, 0) FROM {table}").format(**names)
    row = session.execute(statement, [further]).fetchone()
    return int(str(row[0])) if row else 0


def _refuse_another_history(former: Connection, here: Connection, leaves: int) -> None:
    last = "SELECT data FROM ledger.leaf WHERE index = %s"
    if leaves and here.execute(last, [leaves - 1]).fetchone() != former.execute(last, [leaves - 1]).fetchone():
        raise PlatformError("the former ledger does not go on from the restored one: look for who changed it")
